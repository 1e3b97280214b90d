import type { Platform, PlatformSetup, SetupQuestion } from "../channels/mod.ts";
import type { ConfigEdit } from "../config/mod.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { openAnswers } from "./onboard-answers.ts";
import { facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

type Values = Readonly<Record<string, unknown>>;

export const channelsAdd = define({
  help: {
    usage: "channels add <channel> [options]",
    about: `Sets a channel up: says what to do on the platform, asks for what it needs, and writes openclaw.json. Without
--set it asks; a secret that is typed is not shown. Who may write is decided by pairing until the config says more.`,
    options: [
      ["--account <id>", "a further account of the channel, beside the one that there is"],
      ["--set <key>=<value>", 'one setting, as often as needed; "-" reads the value from standard input'],
      ["--token <text>", "the channel's first secret; - reads it"],
      ["--force", "replace settings that are there"],
      ["--json", "print JSON, for scripts"],
    ],
    example: "openclaw channels add telegram --token - < token.txt",
  },
  options: { channel: "text", account: "text", set: "texts", token: "text", force: "flag" },
  words: [0, 1],
  offline: true,
  run: async (context) => {
    const { cli, options, words } = context;
    const { loadPlatform, platformIds } = await import("../channels/mod.ts");
    const id = options.channel ?? words[0];
    if (id === undefined) throw new UsageError(`which channel? There are: ${platformIds.join(", ")}`);
    const platform = await loadPlatform(id);
    if (!platform)
      throw new UsageError(
        `there is no channel ${visibleLine(JSON.stringify(id))}; there are: ${platformIds.join(", ")}`,
      );
    const { setup } = platform;
    const account = accountName(options.account);
    const place = ["channels", id, ...(account === undefined ? [] : ["accounts", account])];
    const isAsking = options.set === undefined && options.token === undefined;
    if (isAsking && setup === undefined)
      throw new UsageError(
        `${platform.label} is set up with --set <key>=<value>; docs/channels/${id}.md says which`,
      );
    const values = isAsking
      ? await asked(cli, platform, setup as PlatformSetup)
      : await given(cli, setup, options.set ?? [], options.token);
    const current = await sectionOf(cli, id);
    const present = (account === undefined ? current : own(own(current, "accounts"), account)) as Values;
    const taken = Object.keys(values).filter((key) => own(present, key) !== undefined);
    if (taken.length > 0 && !options.force)
      throw new CommandFailure(
        1,
        `${place.join(".")} has ${taken.join(", ")} already; --force replaces it, --account <id> adds another account. Nothing was changed`,
      );
    await check(cli, platform, merged(current, account, values), place);
    await write(
      cli,
      Object.entries(values).map(([key, value]) => ({ path: [...place, key], value })),
    );
    const keys = Object.keys(values);
    context.print({ ok: true, channel: id, account: account ?? "default", keys }, () =>
      [
        facts([
          ["set", keys.map((key) => [...place, key].join(".")).join(", ")],
          ["in", cli.paths.configFile],
          ["look", `openclaw channels status --channel ${id}`],
        ]),
        ...(setup?.after ?? []).map((line) => `${line}\n`),
      ].join(""),
    );
    return 0;
  },
});

function accountName(text: string | undefined): string | undefined {
  if (text === undefined || text === "default") return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text)) return text;
  throw new UsageError("--account is letters, digits, _ and -");
}

/** The answers of a person, or of lines in a pipe. */
async function asked(cli: Cli, platform: Platform, setup: PlatformSetup): Promise<Values> {
  const answers = openAnswers(cli);
  try {
    answers.say(`${platform.label}:`);
    for (const [at, line] of setup.before.entries()) answers.say(`  ${at + 1}. ${line}`);
    const values: Record<string, unknown> = {};
    for (const question of setup.questions) {
      const typed = await answerTo(question, answers);
      if (typed !== "") values[question.key] = typed;
      else if (!question.isOptional)
        throw new CommandFailure(1, `${question.key} is needed; nothing was changed`);
    }
    return values;
  } finally {
    answers.close();
  }
}

function answerTo(
  { question, isSecret, isOptional }: SetupQuestion,
  answers: ReturnType<typeof openAnswers>,
): Promise<string> {
  const text = isOptional ? `${question} (empty: leave it)` : question;
  return isSecret ? answers.hidden(`${text} (hidden)`) : answers.text(text, "");
}

/** What the command line says; "-" is read once. */
async function given(
  cli: Cli,
  setup: PlatformSetup | undefined,
  pairs: readonly string[],
  token: string | undefined,
): Promise<Values> {
  const wanted: (readonly [key: string, text: string])[] = pairs.map((pair) => {
    const at = pair.indexOf("=");
    // The value is not shown: it may be a secret.
    if (at < 1) throw new UsageError("--set is <key>=<value>");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  const secret = setup?.questions.find((question) => question.isSecret);
  if (token !== undefined) {
    if (!secret) throw new UsageError("this channel has no token; use --set <key>=<value>");
    wanted.push([secret.key, token]);
  }
  if (wanted.filter(([, text]) => text === "-").length > 1)
    throw new UsageError("only one value can be read from standard input");
  const values: Record<string, unknown> = {};
  for (const [key, text] of wanted) {
    if (["__proto__", "constructor", "prototype", "accounts"].includes(key) || key in values)
      throw new UsageError(`--set ${visibleLine(JSON.stringify(key))} cannot be set here`);
    const value = text === "-" ? (await cli.stdin()).trim() : text;
    if (value === "") throw new UsageError(`the value of ${visibleLine(key)} is empty`);
    const isAsked = setup?.questions.some((question) => question.key === key) === true;
    values[key] = isAsked ? value : parsedValue(value);
  }
  const missing = (setup?.questions ?? []).filter(({ key, isOptional }) => !isOptional && !(key in values));
  // A token may come from a file or the environment instead: then the platform's own settings say what is missing.
  const isElsewhere = Object.keys(values).some((key) => key.endsWith("File"));
  if (missing.length > 0 && !isElsewhere)
    throw new UsageError(`${missing.map(({ key }) => key).join(", ")} is needed too: --set <key>=<value>`);
  return values;
}

/** A number, a list, true or false as JSON writes them; all else is text. */
function parsedValue(text: string): unknown {
  if (!/^(?:true|false|-?\d+|\[.*\]|\{.*\})$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
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
  if (account === undefined) return { ...current, ...values };
  const accounts = (own(current, "accounts") ?? {}) as Values;
  return {
    ...current,
    accounts: { ...accounts, [account]: { ...(own(accounts, account) as Values), ...values } },
  };
}

/** The platform's own judgement, before anything is written. What only the gateway's environment knows, it judges later. */
async function check(cli: Cli, platform: Platform, section: Values, place: readonly string[]): Promise<void> {
  if (/\$\{\w+\}/.test(JSON.stringify(section))) return;
  const { readSecretFile } = await import("../channels/mod.ts");
  const { problems } = platform.read(section, { env: cli.env, readSecretFile });
  const faults = problems.filter(({ path }) => place.every((key, at) => path[at] === key));
  if (faults.length === 0) return;
  const lines = faults.map(({ path, message }) => `  ${path.join(".")} must ${message}`);
  throw new CommandFailure(1, `nothing was changed:\n${lines.join("\n")}`);
}

async function write(cli: Cli, edits: readonly ConfigEdit[]): Promise<void> {
  const { writeConfig } = await import("../config/mod.ts");
  const { clock, random, env } = cli;
  const written = await writeConfig({ file: cli.paths.configFile, env, edits, clock, random });
  if (!written.ok) throw new CommandFailure(1, `nothing was changed: ${written.message}`);
}

function own(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Values)[key]
    : undefined;
}
