/** What `channels add` does for a person: questions, the platform's own word on the answers, a library that is missing. */
import { access, chmod, constants, mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import type { Platform, PlatformSetup, Probe, SetupLibrary, SetupQuestion } from "../channels/mod.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { openAnswers } from "./onboard-answers.ts";
import { visibleLine } from "./visible.ts";

/** By key; "imap.host" is a key within a key. */
export type Values = Readonly<Record<string, unknown>>;

const installMs = 300_000;
/** What npm needs of a person's environment to reach the registry as it always does; no other variable is passed on. */
const npmVariables =
  /^(?:HOME|npm_config_\w+|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|(?:https?|no|all)_proxy)$/i;

/** The answers of a person, or of lines in a pipe; `library`: one that is missing, and is asked about too. */
export async function asked(
  cli: Cli,
  { label }: Platform,
  setup: PlatformSetup,
  library: SetupLibrary | undefined,
): Promise<{ readonly values: Values; readonly mayInstall: boolean }> {
  const answers = openAnswers(cli);
  try {
    answers.say(`${label}:`);
    for (const [at, line] of setup.before.entries()) answers.say(`  ${at + 1}. ${line}`);
    const values: Record<string, unknown> = {};
    for (const question of setup.questions) {
      const typed = await answerTo(question, answers);
      if (typed !== "") values[question.key] = readValue(question, typed);
      else if (!question.isOptional)
        throw new CommandFailure(1, `${question.key} is needed; nothing was changed`);
    }
    if (!library) return { values, mayInstall: false };
    answers.say(`It needs ${library.name}, which is not ours to bring along: ${library.terms}`);
    return { values, mayInstall: await answers.yes("Install it into the gateway's own folder?", false) };
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
export async function given(
  cli: Cli,
  setup: PlatformSetup | undefined,
  pairs: readonly string[],
  options: { readonly token: string | undefined; readonly mayShowSecrets: boolean },
): Promise<Values> {
  const questions = setup?.questions ?? [];
  const wanted: (readonly [key: string, text: string])[] = pairs.map((pair) => {
    const at = pair.indexOf("=");
    // The value is not shown: it may be a secret.
    if (at < 1) throw new UsageError("--set is <key>=<value>");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  if (options.token !== undefined) {
    const secret = questions.find((question) => question.isSecret);
    if (!secret) throw new UsageError("this channel has no token; use --set <key>=<value>");
    wanted.push([secret.key, options.token]);
  }
  if (wanted.filter(([, text]) => text === "-").length > 1)
    throw new UsageError("only one value can be read from standard input");
  const values: Record<string, unknown> = {};
  for (const [key, text] of wanted) {
    if (!isSettable(key) || key in values)
      throw new UsageError(`--set ${visibleLine(JSON.stringify(key))} cannot be set here`);
    const question = questions.find((item) => item.key === key);
    if (isExposed(key, text, question) && !options.mayShowSecrets)
      throw new UsageError(
        `${visibleLine(key)} is a secret: on the command line it stays in the shell's history, and others on this machine see it. Use "-" to read it, '\${NAME}' for a variable of the gateway, or --secrets-in-arguments`,
      );
    const value = text === "-" ? (await cli.stdin()).trim() : text;
    if (value === "") throw new UsageError(`the value of ${visibleLine(key)} is empty`);
    values[key] = question ? readValue(question, value) : parsedValue(value);
  }
  const missing = questions.filter(({ key, isOptional }) => !isOptional && !(key in values));
  // A token may come from a file or the environment instead: then the platform's own settings say what is missing.
  const isElsewhere = Object.keys(values).some((key) => key.endsWith("File"));
  if (missing.length > 0 && !isElsewhere)
    throw new UsageError(`${missing.map(({ key }) => key).join(", ")} is needed too: --set <key>=<value>`);
  return values;
}

function isSettable(key: string): boolean {
  return key
    .split(".")
    .every((part) => !["", "__proto__", "constructor", "prototype", "accounts"].includes(part));
}

/** Whether a secret itself stands there, and not where it comes from. */
function isExposed(key: string, text: string, question: SetupQuestion | undefined): boolean {
  const isSecret = question?.isSecret ?? /(?:token|password|secret|privatekey)$/i.test(key);
  return isSecret && text !== "-" && text !== "" && !/^\$\{\w+\}$/.test(text);
}

function readValue({ isList }: SetupQuestion, text: string): unknown {
  if (!isList) return text;
  const parsed = parsedValue(text);
  if (Array.isArray(parsed)) return parsed;
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
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

/** What the platform says of credentials that are wrong ends the command; what could not be asked is only told. */
export function judged(probe: Probe, label: string): string {
  if (probe.outcome === "refused")
    throw new CommandFailure(
      1,
      `nothing was changed: ${visibleLine(probe.detail)} (--no-probe writes it all the same)`,
    );
  return probe.outcome === "known"
    ? `${label} knows it as ${visibleLine(probe.identity)}`
    : `could not be tested: ${visibleLine(probe.detail)}`;
}

/** Installs what is missing, where that was wanted. Gives a line for what is there now. */
export async function installed(
  cli: Cli,
  id: string,
  library: SetupLibrary,
  mayInstall: boolean,
): Promise<string> {
  const extensions = extensionsOf(cli);
  if (await library.isInstalled(extensions)) return `${library.name} is there`;
  if (!mayInstall) return `${library.name} is missing: openclaw channels add ${id} --install`;
  const folder = join(extensions, id);
  for (const place of [extensions, folder]) {
    await mkdir(place, { recursive: true, mode: 0o700 });
    await chmod(place, 0o700);
  }
  for (const [name, text] of Object.entries(await library.files()))
    await writeFile(join(folder, name), text, { mode: 0o600 });
  const args = [
    "ci",
    "--prefix",
    folder,
    "--ignore-scripts",
    "--legacy-peer-deps",
    "--no-audit",
    "--no-fund",
  ];
  const byHand = `umask 077; npm ${args.join(" ")}`;
  const npm = await programIn(cli, "npm");
  if (npm === undefined) throw new CommandFailure(1, `there is no npm in PATH; with one, run: ${byHand}`);
  cli.stderr(`Installing ${library.name} into ${folder} ...\n`);
  const { createHelperPrograms } = await import("../sandbox/mod.ts");
  const programs = createHelperPrograms({ path: cli.env.PATH ?? "", after: cli.clock.after });
  const answer = await programs.exchange({
    program: npm,
    args,
    env: npmEnvironment(cli.env),
    input: "",
    timeoutMs: installMs,
    idleTimeoutMs: installMs,
    maxOutputBytes: 1_000_000,
  });
  await narrow(folder, library, extensions);
  if ("failure" in answer || !(await library.isInstalled(extensions)))
    throw new CommandFailure(
      1,
      `${library.name} could not be installed (npm: ${"failure" in answer ? answer.failure : "not where it was wanted"}); the settings are written. Run by hand: ${byHand}`,
    );
  return `${library.name} is in ${folder}`;
}

/** Of what an operator added to the gateway. */
function extensionsOf(cli: Cli): string {
  return join(cli.paths.root, "extensions");
}

/** The library that a platform lacks. */
export async function missingLibrary(
  cli: Cli,
  setup: PlatformSetup | undefined,
): Promise<SetupLibrary | undefined> {
  const library = setup?.library;
  return library && !(await library.isInstalled(extensionsOf(cli))) ? library : undefined;
}

/** npm makes folders as the umask says; others of the group must not write where the gateway's code is. */
async function narrow(folder: string, library: SetupLibrary, extensions: string): Promise<void> {
  if (await library.isInstalled(extensions)) return;
  const { readdir } = await import("node:fs/promises");
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []))
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o700);
}

function npmEnvironment(env: Cli["env"]): Record<string, string> {
  const kept = Object.entries(env).filter(([name, value]) => npmVariables.test(name) && value !== undefined);
  return Object.fromEntries(kept as [string, string][]);
}

/** Beside this node, where npm usually is, or in the PATH's absolute folders. */
async function programIn(cli: Cli, name: string): Promise<string | undefined> {
  const folders = [dirname(cli.program[0] ?? "/"), ...(cli.env.PATH ?? "").split(delimiter)];
  for (const folder of folders.filter(isAbsolute)) {
    const file = join(folder, name);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return undefined;
}
