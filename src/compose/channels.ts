import { join } from "node:path";
import {
  type ChannelDeps,
  loadPlatform,
  type PlatformAccount,
  platformIds,
  readSecretFile,
  type SettingsSources,
} from "../channels/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { ChannelRow } from "../control/mod.ts";
import type { Channel, ChannelHost, ChannelStatus } from "../delivery/mod.ts";
import type { Log } from "../kernel/mod.ts";
import type { Route } from "../network/mod.ts";
import type { HelperPrograms } from "../sandbox/mod.ts";

/** The channels of the current config: each account is started once, and again when its settings change. */
export interface Channels {
  /** Starts, stops and restarts what the config asks for. Resolves when each has ended its first attempt. */
  apply(config: OpenClawConfig): Promise<void>;
  get(id: string, account: string): Channel | undefined;
  /** Unix ms since when it is connected without a break; undefined while it is not. */
  connectedSince(id: string, account: string): number | undefined;
  rows(): readonly ChannelRow[];
  /** Secrets in use, for the redactor. */
  secrets(): readonly string[];
  webhook(path: string): Channel["webhook"] | undefined;
  /** False until `apply` has opened what the config asks for: until then a webhook may be missing that comes at once. */
  readonly isSettled: boolean;
  /** Starts an account that was stopped by hand; false when the config has none of that name. */
  startAccount(config: OpenClawConfig, id: string, account: string): Promise<boolean>;
  /** Runs an action while an account stands still; one that ran goes on after it, with what is on disk then. */
  whileStopped(id: string, account: string, action: () => Promise<void>): Promise<void>;
  /** Stops one until it is started by hand, its settings change, or the gateway starts again. */
  stopAccount(id: string, account: string): Promise<boolean>;
  stop(): Promise<void>;
}

interface Account {
  readonly id: string;
  readonly label: string;
  readonly account: string;
  readonly fingerprint: string;
  readonly platform: PlatformAccount;
}

interface Running {
  readonly account: Account;
  readonly channel: Channel;
  status: ChannelStatus;
  connectedSince: number | undefined;
}

export function createChannels(ports: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly deps: Omit<ChannelDeps, "stateFolder">;
  readonly log: Log;
  /** What operators added to the gateway. */
  readonly extensions: string;
  /** Each account keeps its own state in `<folder>/<channel>/<account>`. */
  readonly folder: string;
  readonly accept: ChannelHost["accept"];
  readonly newestNumbers: (channel: string, account: string) => ReadonlyMap<string, number>;
  /** Told of each account that the config asks for, so that what is wrong with who may talk is said before anybody does. */
  readonly wanted: (id: string, account: string) => Promise<unknown>;
  /** Whether the config names any channel: where it does not, none is about to open. */
  readonly expected: () => boolean;
  readonly changed: () => void;
  /** Starts the programs that channels run. */
  readonly helpers: HelperPrograms;
}): Channels {
  const running = new Map<string, Running>();
  /** How many `apply` have begun and have not opened everything; the first one counts from the beginning. */
  let opening = 1;
  let isFirst = true;
  let secrets: readonly string[] = [];
  const keyOf = (id: string, account: string) => `${id}\n${account}`;

  async function accountsOf(config: OpenClawConfig): Promise<Account[]> {
    const sections: Readonly<Record<string, unknown>> = config.channels ?? {};
    const configured = platformIds.filter((id) => sections[id] !== undefined);
    const audiences = Object.values(config.accessGroups ?? {}).filter(
      (group) => group.type === "discord.channelAudience",
    );
    const lists = await Promise.all(configured.map((id) => accountsOn(id, sections[id], audiences)));
    return lists.flat();
  }

  async function accountsOn(
    id: string,
    section: unknown,
    audiences: NonNullable<SettingsSources["audiences"]>,
  ): Promise<Account[]> {
    const platform = await loadPlatform(id);
    if (!platform) return [];
    const { accounts, problems } = platform.read(section, { env: ports.env, readSecretFile, audiences });
    for (const problem of problems) {
      ports.log("error", `channels.${id}: this account is not started`, {
        at: problem.path.join("."),
        problem: `must ${problem.message}`,
      });
    }
    return accounts.map((item) => ({
      id,
      label: platform.label,
      account: item.account,
      fingerprint: [item.fingerprint, ...item.secrets].join("\n"),
      platform: item,
    }));
  }

  /** From now on its webhook is known. */
  async function open(account: Account): Promise<Running> {
    const stateFolder = join(ports.folder, account.id, account.account);
    const channel = await account.platform.open({
      ...ports.deps,
      programs: ports.helpers,
      extensions: ports.extensions,
      stateFolder,
    });
    const item: Running = { account, channel, status: { state: "starting" }, connectedSince: undefined };
    running.set(keyOf(account.id, account.account), item);
    return item;
  }

  async function begin(item: Running): Promise<void> {
    const { account, channel } = item;
    await channel.start({
      accept: ports.accept,
      newestNumbers: () => ports.newestNumbers(account.id, account.account),
      report(status) {
        const before = item.status.state;
        // What was wrong before is not wrong now, and a code to link a device is good only while it is shown.
        const { detail: _detail, linkCode: _linkCode, ...known } = item.status;
        item.status = { ...known, ...status };
        if (status.state !== "connected") item.connectedSince = undefined;
        else item.connectedSince ??= ports.deps.clock.now();
        if (before !== status.state) {
          const level = status.state === "failed" || status.state === "reconnecting" ? "warn" : "info";
          ports.log(level, `${account.id} (${account.account}): ${status.state}`, { detail: status.detail });
          ports.changed();
        }
      },
    });
  }

  const start = async (account: Account) => begin(await open(account));

  /** Opens what the config asks for and was not there, and ends what it no longer does. */
  async function openAll(config: OpenClawConfig): Promise<Running[]> {
    const wanted = await accountsOf(config);
    for (const { id, account } of wanted) await ports.wanted(id, account);
    secrets = wanted.flatMap((account) => account.platform.secrets);
    const wantedKeys = new Map(wanted.map((account) => [keyOf(account.id, account.account), account]));
    for (const [key, item] of running) {
      if (wantedKeys.get(key)?.fingerprint === item.account.fingerprint) continue;
      running.delete(key);
      await item.channel.stop();
    }
    const missing = wanted.filter((account) => !running.has(keyOf(account.id, account.account)));
    const opened = await Promise.all(missing.map((account) => open(account).catch(failed(account))));
    return opened.filter((item) => item !== undefined);
  }

  const failed = (account: Account) => (error: Error) =>
    void ports.log("error", `${account.id} could not be started`, { error: error.message });

  return {
    async apply(config) {
      if (!isFirst) opening += 1;
      isFirst = false;
      const opened = await openAll(config).finally(() => {
        opening -= 1;
      });
      await Promise.all(opened.map((item) => begin(item).catch(failed(item.account))));
      ports.changed();
    },
    get isSettled() {
      return opening === 0 || !ports.expected();
    },
    get: (id, account) => running.get(keyOf(id, account))?.channel,
    connectedSince: (id, account) => running.get(keyOf(id, account))?.connectedSince,
    rows: () =>
      [...running.values()].map(({ account, status: { linkCode, ...status } }) => ({
        id: account.id,
        account: account.account,
        label: account.label,
        status,
        ...(linkCode === undefined ? {} : { linkCode }),
      })),
    secrets: () => secrets,
    webhook(path) {
      for (const item of running.values())
        if (item.channel.webhook?.path === path) return item.channel.webhook;
      return undefined;
    },
    async startAccount(config, id, account) {
      const key = keyOf(id, account);
      const wanted = (await accountsOf(config)).find((item) => keyOf(item.id, item.account) === key);
      if (!wanted) return false;
      const current = running.get(key);
      if (current && current.status.state !== "stopped" && current.status.state !== "failed") return true;
      await current?.channel.stop();
      await start(wanted);
      ports.changed();
      return true;
    },
    async whileStopped(id, account, action) {
      const item = running.get(keyOf(id, account));
      // One that was stopped by hand stays so.
      const goesOn = item !== undefined && item.status.state !== "stopped";
      await item?.channel.stop();
      try {
        await action();
      } finally {
        if (goesOn) await begin(await open(item.account)).catch(failed(item.account));
      }
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

const notOpenYet = { status: 503, headers: { "retry-after": "1" } };

/** Platform webhooks come in on our own port, under paths that the config names. */
export function webhookRoute(channels: Pick<Channels, "webhook" | "isSettled">): Route {
  return {
    method: "POST",
    path: "/*",
    // Some platforms post once: to them "not found" would be the last word on a message.
    has: (path) => channels.webhook(path) !== undefined || !channels.isSettled,
    auth: "webhook",
    maxBodyBytes: 1_048_576,
    before: ({ path }) => (channels.webhook(path) === undefined ? notOpenYet : undefined),
    async handle(request) {
      const webhook = channels.webhook(request.path);
      if (!webhook) return notOpenYet;
      if (request.body.length > webhook.maxBodyBytes) return { status: 413 };
      const proved = webhook.verify(request.headers, request.body);
      if (!proved.ok) return { status: 401 };
      const answer = await webhook.receive(request.body);
      if (answer === 503) return notOpenYet;
      if (typeof answer === "number") return { status: answer };
      return { ...answer, headers: { "content-type": "text/plain; charset=utf-8" } };
    },
  };
}
