import type { Platform } from "../channels/mod.ts";
import type { ConfigEdit } from "../config/mod.ts";
import { asked, given, installed, judged, missingLibrary, type Values } from "./channels-setup.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

export const channelsAdd = define({
  help: {
    usage: "channels add <channel> [options]",
    about: `Sets a channel up: says what to do on the platform, asks for what it needs, asks the platform whether it knows the
credentials, and writes openclaw.json. Without --set it asks; a secret that is typed is not shown. Who may write is
decided by pairing until the config says more.`,
    options: [
      ["--account <id>", "a further account of the channel, beside the one that there is"],
      [
        "--set <key>=<value>",
        'one setting, as often as needed, also "imap.host=..."; "-" reads the value from standard input',
      ],
      ["--token <text>", `the channel's first secret: - reads it, '\${NAME}' is a variable of the gateway`],
      ["--secrets-in-arguments", "take a secret that stands on the command line itself"],
      ["--no-probe", "do not ask the platform whether it knows the credentials"],
      ["--install", "install the library that the channel needs (WhatsApp), without asking"],
      ["--force", "replace settings that are there"],
      ["--json", "print JSON, for scripts"],
    ],
    example: "openclaw channels add telegram --token - < token.txt",
  },
  options: {
    channel: "text",
    account: "text",
    set: "texts",
    token: "text",
    "secrets-in-arguments": "flag",
    "no-probe": "flag",
    install: "flag",
    force: "flag",
  },
  words: [0, 1],
  offline: true,
  run: async (context) => {
    const { cli, options, words } = context;
    const platform = await platformOf(options.channel ?? words[0]);
    const { id, label, setup } = platform;
    const account = accountName(options.account);
    const place = ["channels", id, ...(account === undefined ? [] : ["accounts", account])];
    const current = await sectionOf(cli, id);
    const isThere =
      account === undefined ? Object.keys(current).length > 0 : own(own(current, "accounts"), account);
    const isScripted = options.set !== undefined || options.token !== undefined;
    // Only the library is wanted, of a channel that is set up already.
    const isInstallOnly = options.install === true && !isScripted && Boolean(isThere);
    const missing = await missingLibrary(cli, setup);
    const { values, mayInstall } = isInstallOnly
      ? { values: {}, mayInstall: true }
      : isScripted || !setup
        ? { values: await given(cli, setup, options.set ?? [], secretRules(options)), mayInstall: false }
        : await asked(cli, platform, setup, options.install ? undefined : missing);
    const present = account === undefined ? current : own(own(current, "accounts"), account);
    const taken = Object.keys(values).filter((key) => at(present, key) !== undefined);
    if (taken.length > 0 && !options.force)
      throw new CommandFailure(
        1,
        `${place.join(".")} has ${taken.join(", ")} already; --force replaces it, --account <id> adds another account. Nothing was changed`,
      );
    const section = merged(current, account, values);
    const tested = await check(cli, platform, section, {
      place,
      account: account ?? "default",
      isProbing: options["no-probe"] !== true && !isInstallOnly,
    });
    const edits = Object.entries(values).map(([key, value]) => ({
      path: [...place, ...key.split(".")],
      value,
    }));
    if (edits.length > 0) await write(cli, edits);
    const library =
      setup?.library && (await installed(cli, id, setup.library, mayInstall || options.install === true));
    const keys = Object.keys(values);
    context.print(
      { ok: true, channel: id, account: account ?? "default", keys, tested: tested ?? null },
      () =>
        [
          facts([
            ["set", keys.map((key) => [...place, key].join(".")).join(", ")],
            ["in", cli.paths.configFile],
            ...(tested === undefined ? [] : [["tested", tested] as const]),
            ...(library === undefined ? [] : [["library", library] as const]),
            ["look", `openclaw channels status --channel ${id}`],
          ]),
          ...(setup?.after ?? []).map((line) => `${line}\n`),
          `More: docs/channels/${id}.md, for ${label}.\n`,
        ].join(""),
    );
    return 0;
  },
});

function secretRules(options: {
  readonly token?: string | undefined;
  readonly "secrets-in-arguments"?: boolean | undefined;
}) {
  return { token: options.token, mayShowSecrets: options["secrets-in-arguments"] === true };
}

async function platformOf(id: string | undefined): Promise<Platform> {
  const { loadPlatform, platformIds } = await import("../channels/mod.ts");
  if (id === undefined) throw new UsageError(`which channel? There are: ${platformIds.join(", ")}`);
  const platform = await loadPlatform(id);
  if (platform) return platform;
  const name = visibleLine(JSON.stringify(id));
  throw new UsageError(`there is no channel ${name}; there are: ${platformIds.join(", ")}`);
}

function accountName(text: string | undefined): string | undefined {
  if (text === undefined || text === "default") return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text)) return text;
  throw new UsageError("--account is letters, digits, _ and -");
}

/** `channels.<id>` of the config, as it is written there. */
async function sectionOf(cli: Cli, id: string): Promise<Values> {
  const { configProblemText, loadConfig } = await import("../config/mod.ts");
  const loaded = await loadConfig({ file: cli.paths.configFile, env: cli.env, allowUnresolved: true });
  if (!loaded.ok) {
    const [first] = loaded.problems;
    throw new CommandFailure(
      1,
      `the config is not valid, so nothing was changed: ${first ? configProblemText(first) : cli.paths.configFile}`,
    );
  }
  // A file with nothing but a channel would be a gateway without the baseline of a first run.
  if (!loaded.exists)
    throw new CommandFailure(1, `there is no ${cli.paths.configFile} yet; begin with: openclaw onboard`);
  return (own(own(loaded.unsubstituted, "channels"), id) ?? {}) as Values;
}

function merged(current: Values, account: string | undefined, values: Values): Values {
  const accounts = (own(current, "accounts") ?? {}) as Values;
  const before = account === undefined ? current : ((own(accounts, account) ?? {}) as Values);
  let section = before;
  for (const [key, value] of Object.entries(values)) section = put(section, key.split("."), value);
  return account === undefined ? section : { ...current, accounts: { ...accounts, [account]: section } };
}

function put(section: Values, [key = "", ...rest]: readonly string[], value: unknown): Values {
  if (rest.length === 0) return { ...section, [key]: value };
  return { ...section, [key]: put((own(section, key) ?? {}) as Values, rest, value) };
}

/**
 * The judgement of our own settings, and then of the platform, before anything is written. What only the gateway's
 * environment knows, it judges later. Gives what the platform said; undefined where it was not asked.
 */
async function check(
  cli: Cli,
  platform: Platform,
  section: Values,
  about: { readonly place: readonly string[]; readonly account: string; readonly isProbing: boolean },
): Promise<string | undefined> {
  if (/\$\{\w+\}/.test(JSON.stringify(section))) return undefined;
  const { readSecretFile } = await import("../channels/mod.ts");
  const { accessSettings } = await import("../access/mod.ts");
  const read = platform.read(section, { env: cli.env, readSecretFile });
  const access = accessSettings(
    { channels: { [platform.id]: section } },
    platform.id,
    about.account,
    platform.ids,
  );
  const faults = [...read.problems, ...access.problems].filter(({ path }) =>
    about.place.every((key, index) => path[index] === key),
  );
  if (faults.length > 0) {
    const lines = faults.map(({ path, message }) => `  ${path.join(".")} must ${message}`);
    throw new CommandFailure(1, `nothing was changed:\n${lines.join("\n")}`);
  }
  const opened = read.accounts.find(({ account }) => account === about.account);
  if (!about.isProbing || !opened?.probe) return undefined;
  return judged(await opened.probe(cli.clock), platform.label);
}

async function write(cli: Cli, edits: readonly ConfigEdit[]): Promise<void> {
  const { writeConfig } = await import("../config/mod.ts");
  const { clock, random, env } = cli;
  const written = await writeConfig({ file: cli.paths.configFile, env, edits, clock, random });
  if (!written.ok) throw new CommandFailure(1, `nothing was changed: ${written.message}`);
}

function at(value: unknown, key: string): unknown {
  return key.split(".").reduce(own, value);
}

function own(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Values)[key]
    : undefined;
}
