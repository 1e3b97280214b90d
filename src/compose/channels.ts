import type { AccessSettings } from "../access/mod.ts";
import { type ChannelDeps, openChannel } from "../channels/mod.ts";
import { telegramSettings } from "../channels/telegram/settings.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { ChannelRow } from "../control/mod.ts";
import type { Channel, ChannelHost, ChannelStatus } from "../delivery/mod.ts";
import type { Log } from "../kernel/mod.ts";
import type { Route } from "../network/mod.ts";

/** The channels of the current config: each account is started once, and again when its settings change. */
export interface Channels {
  /** Starts, stops and restarts what the config asks for. Resolves when each has ended its first attempt. */
  apply(config: OpenClawConfig): Promise<void>;
  get(id: string, account: string): Channel | undefined;
  access(id: string, account: string): AccessSettings | undefined;
  rows(): readonly ChannelRow[];
  /** Secrets in use, for the redactor. */
  secrets(): readonly string[];
  webhook(path: string): Channel["webhook"] | undefined;
  /** Starts an account that was stopped by hand; false when the config has none of that name. */
  startAccount(config: OpenClawConfig, id: string, account: string): Promise<boolean>;
  /** Stops one until it is started by hand, its settings change, or the gateway starts again. */
  stopAccount(id: string, account: string): Promise<boolean>;
  stop(): Promise<void>;
}

interface Account {
  readonly id: string;
  readonly account: string;
  readonly access: AccessSettings;
  readonly fingerprint: string;
  readonly secrets: readonly string[];
  readonly open: () => Promise<Channel>;
}

interface Running {
  readonly account: Account;
  readonly channel: Channel;
  status: ChannelStatus;
}

export function createChannels(ports: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly deps: ChannelDeps;
  readonly log: Log;
  readonly accept: ChannelHost["accept"];
  readonly changed: () => void;
}): Channels {
  const running = new Map<string, Running>();
  let secrets: readonly string[] = [];
  const keyOf = (id: string, account: string) => `${id}\n${account}`;

  function accountsOf(config: OpenClawConfig): Account[] {
    const owners = (config.commands?.ownerAllowFrom ?? []).map(String);
    const { accounts, problems } = telegramSettings(config.channels?.telegram, ports.env);
    for (const problem of problems) {
      ports.log("error", "channels.telegram: this account is not started", {
        at: problem.path.join("."),
        problem: `must ${problem.message}`,
      });
    }
    return accounts.map((settings) => ({
      id: "telegram",
      account: settings.accountId,
      access: {
        enabled: true,
        dmPolicy: settings.dmPolicy,
        allowFrom: settings.allowFrom,
        groupPolicy: settings.groupPolicy ?? config.channels?.defaults?.groupPolicy ?? "allowlist",
        groupAllowFrom: settings.groupAllowFrom,
        groups: settings.groups,
        owners,
      },
      fingerprint: `${JSON.stringify(settings)}\n${settings.botToken.reveal()}`,
      secrets: [
        settings.botToken.reveal(),
        ...(settings.mode === "polling" ? [] : [settings.mode.secret.reveal()]),
      ],
      open: () => openChannel("telegram", settings.accountId, settings, ports.deps),
    }));
  }

  async function start(account: Account): Promise<void> {
    const channel = await account.open();
    const item: Running = { account, channel, status: { state: "starting" } };
    running.set(keyOf(account.id, account.account), item);
    await channel.start({
      accept: ports.accept,
      report(status) {
        const before = item.status.state;
        item.status = { ...item.status, ...status };
        if (before !== status.state) {
          const level = status.state === "failed" || status.state === "reconnecting" ? "warn" : "info";
          ports.log(level, `${account.id} (${account.account}): ${status.state}`, { detail: status.detail });
          ports.changed();
        }
      },
    });
  }

  return {
    async apply(config) {
      const wanted = accountsOf(config);
      secrets = wanted.flatMap((account) => account.secrets);
      const wantedKeys = new Map(wanted.map((account) => [keyOf(account.id, account.account), account]));
      for (const [key, item] of running) {
        if (wantedKeys.get(key)?.fingerprint === item.account.fingerprint) continue;
        running.delete(key);
        await item.channel.stop();
      }
      await Promise.all(
        wanted.map((account) => {
          const current = running.get(keyOf(account.id, account.account));
          return current
            ? undefined
            : start(account).catch((error) =>
                ports.log("error", `${account.id} could not be started`, { error: (error as Error).message }),
              );
        }),
      );
      ports.changed();
    },
    get: (id, account) => running.get(keyOf(id, account))?.channel,
    access: (id, account) => running.get(keyOf(id, account))?.account.access,
    rows: () =>
      [...running.values()].map((item) => ({
        id: item.account.id,
        account: item.account.account,
        label: labels[item.account.id] ?? item.account.id,
        status: item.status,
      })),
    secrets: () => secrets,
    webhook(path) {
      for (const item of running.values())
        if (item.channel.webhook?.path === path) return item.channel.webhook;
      return undefined;
    },
    async startAccount(config, id, account) {
      const key = keyOf(id, account);
      const wanted = accountsOf(config).find((item) => keyOf(item.id, item.account) === key);
      if (!wanted) return false;
      const current = running.get(key);
      if (current && current.status.state !== "stopped" && current.status.state !== "failed") return true;
      await current?.channel.stop();
      await start(wanted);
      ports.changed();
      return true;
    },
    async stopAccount(id, account) {
      const item = running.get(keyOf(id, account));
      if (!item) return false;
      await item.channel.stop();
      item.status = { ...item.status, state: "stopped" };
      ports.changed();
      return true;
    },
    async stop() {
      await Promise.all([...running.values()].map((item) => item.channel.stop()));
    },
  };
}

const labels: Readonly<Record<string, string>> = { telegram: "Telegram" };

/** Platform webhooks come in on our own port, under paths that the config names. */
export function webhookRoute(channels: Channels): Route {
  return {
    method: "POST",
    path: "/*",
    has: (path) => channels.webhook(path) !== undefined,
    auth: "webhook",
    maxBodyBytes: 1_048_576,
    async handle(request) {
      const webhook = channels.webhook(request.path);
      if (!webhook) return { status: 404 };
      if (request.body.length > webhook.maxBodyBytes) return { status: 413 };
      const proved = webhook.verify(request.headers, request.body);
      if (!proved.ok) return { status: 401 };
      return { status: await webhook.receive(request.body) };
    },
  };
}
