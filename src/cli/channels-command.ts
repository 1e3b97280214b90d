import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Command } from "./mod.ts";
import { ago, table } from "./table.ts";

interface ChannelStatus {
  readonly channelOrder: readonly string[];
  readonly channelLabels: Readonly<Record<string, string>>;
  readonly channelAccounts: Readonly<
    Record<
      string,
      readonly {
        readonly accountId: string;
        readonly state: string;
        readonly detail?: string;
        readonly identity?: string;
        readonly lastConfirmedAtMs?: number;
      }[]
    >
  >;
}

const status = define({
  help: {
    usage: "channels [status] [options]",
    about: "The chat platforms: connected or not, as whom, and what to do when not.",
    options: [
      ["--channel <id>", "only this one"],
      ["--probe", "ask the platforms again before"],
    ],
    example: "openclaw channels status --channel telegram",
  },
  options: { channel: "text", probe: "flag" },
  run: async (context) => {
    const { channel, probe } = context.options;
    const status = await context.ask<ChannelStatus>("operator.read", "channels.status", {
      ...(channel === undefined ? {} : { channel }),
      ...(probe ? { probe: true } : {}),
    });
    const rows = status.channelOrder.flatMap((id) =>
      (status.channelAccounts[id] ?? []).map((account) => [
        status.channelLabels[id] ?? id,
        account.accountId,
        account.state,
        account.identity ?? "",
        account.lastConfirmedAtMs === undefined ? "" : ago(account.lastConfirmedAtMs, context.now),
        account.detail ?? "",
      ]),
    );
    context.print(status, () =>
      rows.length === 0
        ? "No channel is configured. Add one: openclaw channels add telegram\n"
        : table(
            ["CHANNEL", "ACCOUNT", "STATE", "AS", "CONFIRMED", "DETAIL"],
            rows,
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

/** start, stop and logout of one account, at the running gateway. */
function action(verb: "start" | "stop" | "logout", about: string, done: string): Command {
  return define({
    help: {
      usage: `channels ${verb} <channel> [options]`,
      about,
      options: [["--account <id>", "the channel's account (default)"]],
      example: `openclaw channels ${verb} telegram`,
    },
    options: { channel: "text", account: "text" },
    words: [0, 1],
    run: async (context) => {
      const channel = context.options.channel ?? context.words[0];
      if (channel === undefined) throw new UsageError(`which channel? openclaw channels ${verb} <channel>`);
      const accountId = context.options.account ?? "default";
      const answer = await context.ask("operator.admin", `channels.${verb}`, { channel, accountId });
      context.print(answer, () => `${channel}:${accountId} ${done}\n`);
      return 0;
    },
  });
}

const remove = define({
  help: {
    usage: "channels remove <channel> [options]",
    about:
      "Takes a channel, or one of its accounts, out of the config; a running gateway ends it at once. The config before stays in openclaw.json.bak.",
    options: [
      ["--account <id>", "only this account, of several"],
      ["--all", "with all of its accounts"],
      ["--json", "print JSON, for scripts"],
    ],
    example: "openclaw channels remove telegram",
  },
  options: { channel: "text", account: "text", all: "flag" },
  words: [0, 1],
  offline: true,
  run: async (context) => {
    const { cli, options, words } = context;
    const channel = options.channel ?? words[0];
    if (channel === undefined) throw new UsageError("which channel? openclaw channels remove <channel>");
    const { loadConfig, writeConfig } = await import("../config/mod.ts");
    const { configFile: file } = cli.paths;
    const loaded = await loadConfig({ file, env: cli.env, allowUnresolved: true });
    if (!loaded.ok) throw new CommandFailure(1, `${file} is not valid: openclaw config validate`);
    const section = ownValue((loaded.unsubstituted as { readonly channels?: unknown }).channels, channel);
    if (section === undefined)
      throw new CommandFailure(1, `${channel} is not configured; nothing was changed`);
    const accounts = Object.keys((ownValue(section, "accounts") as object | undefined) ?? {});
    const isWhole =
      accounts.length === 0 ? (options.account ?? "default") === "default" : options.all === true;
    const { account } = options;
    if (!isWhole && (account === undefined || !accounts.includes(account)))
      throw new CommandFailure(
        1,
        accounts.length === 0
          ? `${channel} has no account ${JSON.stringify(account)}; nothing was changed`
          : `${channel} has the accounts ${accounts.join(", ")}: say --account <id>, or --all; nothing was changed`,
      );
    const path = ["channels", channel, ...(isWhole || account === undefined ? [] : ["accounts", account])];
    const { env, clock, random } = cli;
    const written = await writeConfig({
      file,
      env,
      edits: [{ path, value: undefined }],
      clock,
      random,
      force: true,
    });
    if (!written.ok) throw new CommandFailure(1, `nothing was changed: ${written.message}`);
    context.print({ ok: true, removed: path.join(".") }, () => `${path.join(".")} is out of ${file}.\n`);
    return 0;
  },
});

function ownValue(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

export const channelsCommand = group(
  {
    usage: "channels [status] [options]",
    about: `The chat platforms.

  status             connected or not, as whom, and what to do when not; also list
  add <channel>      set one up, step by step
  remove <channel>   take it out of the config
  login <channel>    link an account with the platform's app
  start, stop        one account of the running gateway, until it starts again
  logout             the same as stop: what a channel signs in with is in the config`,
    example: "openclaw channels add telegram",
  },
  {
    status,
    list: status,
    add: async (cli, args) => (await import("./channels-add-command.ts")).channelsAdd(cli, args),
    login: async (cli, args) => (await import("./channels-login-command.ts")).channelsLogin(cli, args),
    remove,
    start: action("start", "Starts an account that was stopped.", "starts."),
    stop: action("stop", "Stops an account until it is started again, or the gateway is.", "is stopped."),
    logout: action("logout", "Stops an account. What it signs in with stays in the config.", "is stopped."),
  },
  "status",
);
