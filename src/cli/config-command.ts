import {
  type ConfigEdit,
  type ConfigPath,
  configProblemText,
  configSchema,
  formatPath,
  type LoadDeps,
  type LoadResult,
  loadConfig,
  parseJson5,
  parsePath,
  redactConfig,
  valueAt,
  type WriteResult,
  writeConfig,
} from "../config/mod.ts";
import { type Clock, InputError, systemClock, systemRandom } from "../kernel/mod.ts";

/** What the command may touch, so that tests need no process. */
export interface ConfigCommandIo {
  readonly env: { readonly [name: string]: string | undefined };
  /** Absolute path of openclaw.json. */
  readonly configFile: string;
  stdout(text: string): void;
  stderr(text: string): void;
  readonly isTTY: boolean;
  /** All of standard input. */
  stdin(): Promise<string>;
}

const help = `Usage: openclaw config <command>

  get [path]            print a value (secrets are hidden)
  set <path> <value>    change a value; comments in the file stay. "-" reads the value from standard input
  unset <path>          remove a value
  validate              check the file
  schema                print the JSON Schema of the file
  file                  print where the file is

Options:
  --json                print JSON, for scripts (with set: the value must be JSON5)
  --strict-json         with set: the value must be JSON5, never plain text
  --force               with set and unset: write even if most of the file would go

Paths: gateway.auth.mode, agents.list[0].name, agents.entries["my.agent"].model
The file is changed directly, with or without a running gateway; a running one applies the change.

Example:
  openclaw config set channels.telegram.allowFrom '["123456789"]'
`;

const ok = 0;
const failed = 1;
const usage = 2;

/** `openclaw config ...`. Resolves to the exit code: 0 done, 1 not found or not valid, 2 not understood. */
export async function runConfigCommand(args: readonly string[], io: ConfigCommandIo): Promise<number> {
  const words = args.filter((arg) => !isOption(arg));
  const options = args.filter(isOption);
  if (words.length === 0 || options.includes("--help") || options.includes("-h")) {
    const asked = options.includes("--help") || options.includes("-h") || words[0] === "help";
    (asked ? io.stdout : io.stderr)(help);
    return asked ? ok : usage;
  }
  const [command = "", ...operands] = words;
  const run = Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (!run) return misuse(io, `there is no command "config ${command}"`);
  const bad = options.find((option) => !run.options.includes(option));
  if (bad !== undefined) return misuse(io, `"config ${command}" has no option ${bad}`);
  if (operands.length < run.least || operands.length > run.most) {
    return misuse(io, `"config ${command}" takes ${run.takes}`);
  }
  try {
    return await run.action(operands, options, io);
  } catch (error) {
    if (error instanceof InputError) return misuse(io, error.message);
    throw error;
  }
}

interface Command {
  readonly least: number;
  readonly most: number;
  readonly takes: string;
  readonly options: readonly string[];
  action(operands: readonly string[], options: readonly string[], io: ConfigCommandIo): Promise<number>;
}

const commands: { readonly [name: string]: Command } = {
  get: { least: 0, most: 1, takes: "one path, or none", options: ["--json"], action: get },
  set: {
    least: 2,
    most: 2,
    takes: "a path and a value (quote a value that holds spaces)",
    options: ["--json", "--strict-json", "--force"],
    action: set,
  },
  unset: { least: 1, most: 1, takes: "one path", options: ["--json", "--force"], action: unset },
  validate: { least: 0, most: 0, takes: "nothing", options: ["--json"], action: validate },
  schema: { least: 0, most: 0, takes: "nothing", options: ["--json"], action: schema },
  file: { least: 0, most: 0, takes: "nothing", options: ["--json"], action: file },
};

/** "-" and negative numbers are values. */
function isOption(arg: string): boolean {
  return /^-{1,2}[A-Za-z]/.test(arg);
}

function misuse(io: ConfigCommandIo, message: string): number {
  io.stderr(`${message}\nTry: openclaw config --help\n`);
  return usage;
}

async function get(
  operands: readonly string[],
  options: readonly string[],
  io: ConfigCommandIo,
): Promise<number> {
  const path = pathOf(operands[0] ?? "");
  const loaded = await loadConfig(depsOf(io));
  if (!loaded.ok) return reportProblems(loaded, options, io);
  // As written, not as substituted: ${NAME} says more than a hidden value, and needs no hiding.
  const value = valueAt(loaded.unsubstituted, path);
  if (value === undefined) {
    const text = `${formatPath(path)} is not set`;
    if (options.includes("--json")) io.stdout(`${JSON.stringify({ error: text })}\n`);
    else io.stderr(`${text}\n`);
    return failed;
  }
  const shown = redactConfig(value, [], normalPath(path, loaded.unsubstituted));
  const plain = typeof shown === "string" && !options.includes("--json");
  io.stdout(`${plain ? shown : JSON.stringify(shown, null, 2)}\n`);
  return ok;
}

async function set(
  operands: readonly string[],
  options: readonly string[],
  io: ConfigCommandIo,
): Promise<number> {
  const path = pathOf(operands[0] ?? "", true);
  const text = operands[1] === "-" ? (await io.stdin()).trim() : (operands[1] ?? "");
  const strict = options.includes("--strict-json") || options.includes("--json");
  const parsed = await parseJson5(text);
  if (strict && !parsed) return misuse(io, "the value is not JSON5; write text in quotes: '\"text\"'");
  const value = parsed ? parsed.value : text;
  // A token or id that is all digits reads as a number, and a long one would lose its last digits as such.
  const maybeText = !strict && parsed !== undefined && (typeof value !== "object" || value === null);
  if (maybeText && typeof value === "number" && !Number.isSafeInteger(value) && Number.isInteger(value)) {
    return write(io, options, [{ path, value: text }]);
  }
  return write(
    io,
    options,
    maybeText
      ? [
          { path, value },
          { path, value: text },
        ]
      : [{ path, value }],
  );
}

async function unset(
  operands: readonly string[],
  options: readonly string[],
  io: ConfigCommandIo,
): Promise<number> {
  const path = pathOf(operands[0] ?? "", true);
  const loaded = await loadConfig(depsOf(io));
  if (loaded.ok && valueAt(loaded.unsubstituted, path) === undefined) {
    io.stderr(`${formatPath(path)} is not set\n`);
    return failed;
  }
  return write(io, options, [{ path, value: undefined }]);
}

/** Makes the first of the edits that leaves the config valid. */
async function write(
  io: ConfigCommandIo,
  options: readonly string[],
  choices: readonly [ConfigEdit, ...ConfigEdit[]],
): Promise<number> {
  const force = options.includes("--force");
  const before = await loadConfig(depsOf(io));
  const path = before.ok ? normalPath(choices[0].path, before.unsubstituted) : choices[0].path;
  const attempt = (choice: ConfigEdit): Promise<WriteResult> => {
    const edits = [{ path, value: choice.value }];
    return writeConfig({ ...depsOf(io), edits, force, clock: waitingClock, random: systemRandom });
  };
  let edit = choices[0];
  let result = await attempt(edit);
  for (const other of choices.slice(1)) {
    if (result.ok || result.reason !== "invalid") break;
    const again = await attempt(other);
    if (again.ok) [edit, result] = [other, again];
  }
  const json = options.includes("--json");
  const name = formatPath(path);
  if (!result.ok) {
    if (json) io.stdout(`${JSON.stringify({ ok: false, reason: result.reason, message: result.message })}\n`);
    else io.stderr(`${result.message.replaceAll("Use force", "Use --force")}\n`);
    return failed;
  }
  if (json)
    io.stdout(
      `${JSON.stringify({ ok: true, hash: result.loaded.hash, changedPaths: result.changedPaths })}\n`,
    );
  else if (result.changedPaths.length === 0) io.stdout(`${name} is already so; nothing was changed\n`);
  else if (edit.value === undefined) io.stdout(`${name} removed\n`);
  else io.stdout(`${name} = ${shortly(redactConfig(edit.value, [], path))}\n`);
  for (const warning of result.loaded.warnings) {
    if (!json && touches(warning, name)) io.stderr(`warning: ${warning}\n`);
  }
  return ok;
}

async function validate(
  _: readonly string[],
  options: readonly string[],
  io: ConfigCommandIo,
): Promise<number> {
  const loaded = await loadConfig(depsOf(io));
  if (!loaded.ok) return reportProblems(loaded, options, io);
  if (options.includes("--json")) {
    const { files, hash, warnings } = loaded;
    io.stdout(`${JSON.stringify({ valid: true, files, hash, warnings })}\n`);
    return ok;
  }
  for (const warning of loaded.warnings) io.stdout(`warning: ${warning}\n`);
  io.stdout(
    loaded.exists ? `${io.configFile} is valid\n` : `${io.configFile} does not exist; defaults apply\n`,
  );
  return ok;
}

async function schema(_: readonly string[], __: readonly string[], io: ConfigCommandIo): Promise<number> {
  const dialect = "https://json-schema.org/draft/2020-12/schema";
  io.stdout(`${JSON.stringify({ $schema: dialect, ...configSchema }, null, 2)}\n`);
  return ok;
}

async function file(_: readonly string[], options: readonly string[], io: ConfigCommandIo): Promise<number> {
  io.stdout(`${options.includes("--json") ? JSON.stringify({ file: io.configFile }) : io.configFile}\n`);
  return ok;
}

function reportProblems(
  loaded: Extract<LoadResult, { ok: false }>,
  options: readonly string[],
  io: ConfigCommandIo,
): number {
  if (options.includes("--json")) {
    io.stdout(`${JSON.stringify({ valid: false, problems: loaded.problems })}\n`);
    return failed;
  }
  for (const problem of loaded.problems) io.stderr(`${configProblemText(problem)}\n`);
  const count = loaded.problems.length;
  io.stderr(`${io.configFile} is not valid: ${count === 1 ? "1 problem" : `${count} problems`}\n`);
  return failed;
}

/** The shell rarely has the gateway's variables: `${NAME}` stays a reference here. */
function depsOf(io: ConfigCommandIo): LoadDeps {
  return { file: io.configFile, env: io.env, allowUnresolved: true };
}

function pathOf(text: string, needed = false): ConfigPath {
  const path = parsePath(text);
  if (needed && path.length === 0) throw new InputError("the path is empty");
  return path;
}

/** `list.0` means an entry where a list stands, and a key elsewhere. */
function normalPath(path: ConfigPath, root: unknown): ConfigPath {
  return path.map((key, index) => {
    if (typeof key === "number" || !/^\d{1,9}$/.test(key)) return key;
    return Array.isArray(valueAt(root, path.slice(0, index))) ? Number(key) : key;
  });
}

function shortly(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 200 ? text : `${text.slice(0, 200)} ...`;
}

function touches(warning: string, name: string): boolean {
  const path = warning.slice(0, warning.indexOf(": "));
  return path === name || name.startsWith(`${path}.`) || path.startsWith(`${name}.`);
}

/** The kernel's clock lets the process end while it waits; a command that waits for a lock must not end. */
const waitingClock: Clock = {
  ...systemClock,
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};
