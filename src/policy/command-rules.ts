import { isSafeCall } from "./command-options.ts";
import { placesOf } from "./command-places.ts";
import { baseName, isInterpreter, runsFiles, runsWhatItIsTold, unwrap } from "./command-programs.ts";
import {
  type CommandLine,
  type FileIdentity,
  type HostRun,
  literalArgv,
  literalWords,
  type ReadCommandLine,
  type SimpleCommand,
} from "./command-tree.ts";
import type { Effect } from "./effect.ts";
import type { ExecSettings } from "./settings.ts";

/** What the operator allowed for good, and what the host knows of programs and files. */
export interface CommandRules {
  readonly read: ReadCommandLine;
  /** Exact commands: the whole argv, in one working folder, for one agent. */
  isAllowed(agentId: string, argv: readonly string[], workdir: string): boolean;
  /** Did the operator allow this program, by its real path, whatever its arguments are? */
  allowsProgram(agentId: string, program: string): boolean;
  /** Absolute path (links followed) of a program in the trusted folders, or undefined. */
  resolve(program: string): string | undefined;
  /** Is this what the system itself has by that name? Only that runs without a question. */
  isSystem(name: string, program: string): boolean;
  /** What stands at this absolute path now; undefined when nothing does. Reads whole files: only for what asks. */
  identify(path: string): FileIdentity | undefined;
  /** Why these variables may not be set for a command; undefined when they may. */
  environmentProblem(env: Readonly<Record<string, string>>): string | undefined;
}

export interface CommandJudgement {
  readonly listed: boolean;
  /** Why it asks, in one sentence for the person who is asked. */
  readonly why: string;
  /** What a standing rule would cover: exactly this command, in this folder. Absent: no rule may. */
  readonly remember?: { readonly words: readonly string[]; readonly workdir: string };
  /**
   * Its text says all that it starts, so that a second model may be asked first. Never so for what a shell or an
   * interpreter would run: nobody sees that from here.
   */
  readonly canReview: boolean;
  readonly program?: string;
  readonly run: HostRun;
  /** For each step of a tree, the folder that it runs in, relative to the workspace, when that can be told. */
  readonly folders: readonly (string | undefined)[];
  /** What the line itself does to files, by its redirections. */
  readonly files: readonly Effect[];
  /** Set when nobody's answer could allow it. */
  readonly refused?: string;
}

interface Scene {
  readonly agentId: string;
  readonly settings: ExecSettings;
  readonly rules: CommandRules;
  readonly workspaceRoot: string;
  /** Whether tool policy lets this agent read and write files of its workspace. */
  readonly mayOpen: (access: "read" | "write") => boolean;
}

/** Judges a command line. What it names in `run` is what may run, and nothing else. */
export function classifyCommand(
  effect: Extract<Effect, { kind: "command" }>,
  scene: Scene,
): CommandJudgement {
  const read = scene.rules.read(effect.command);
  if (!read.understood) return needsShell(read.why);
  const places = placesOf(read.line, effect.workdir, scene.workspaceRoot);
  if ("why" in places) return needsShell(places.why);

  const files = places.files.map(
    ({ path, access }): Effect => ({ kind: access === "read" ? "file.read" : "file.write", path }),
  );
  const commands = read.line.flatMap(({ commands }, index) =>
    commands.map((command, part) =>
      judgeSimple({ command, isFed: part > 0 }, places.folders[index], effect, scene),
    ),
  );
  const refused = commands.find((command) => command.refused !== undefined)?.refused;
  const asking =
    commands.find((command) => !command.listed) ??
    (places.files.every(({ access }) => scene.mayOpen(access))
      ? undefined
      : { why: "It opens a file by redirection, which the file tools of this agent may not do." });
  const program = commands.find((command) => command.program !== undefined)?.program;
  const words = literalArgv(read.line);
  const [workdir] = places.folders;
  const canRemember = words !== undefined && commands.every((command) => command.canRemember);
  return {
    listed: asking === undefined && refused === undefined,
    why: asking?.why ?? "Each of its commands is allowed.",
    ...(canRemember && workdir !== undefined ? { remember: { words, workdir } } : {}),
    canReview: commands.every((command) => command.listed || command.canReview === true),
    ...(program === undefined ? {} : { program }),
    run: { kind: "tree", line: read.line, files: [] },
    folders: places.folders,
    files,
    ...(refused === undefined ? {} : { refused }),
  };
}

/**
 * The same run, bound to what stands on the disk at this moment: the programs, the scripts that interpreters would
 * read, the folder. The sandbox compares again right before it starts each of them.
 */
export function bindRun(
  { run, folders }: Pick<CommandJudgement, "run" | "folders">,
  workdir: string,
  { rules, workspaceRoot }: Pick<Scene, "rules" | "workspaceRoot">,
): HostRun {
  const folder = rules.identify(under(workspaceRoot, workdir));
  const place = folder === undefined ? {} : { folder };
  if (run.kind === "shell") return { ...run, ...place };
  const paths = new Set(filesOf(run.line, folders, workspaceRoot, rules));
  const files = [...paths].flatMap((path) => rules.identify(path) ?? []);
  return { ...run, files, ...place };
}

/** Paths that decide what a line does: programs, behind wrappers too, and the files that interpreters are given. */
function filesOf(
  line: CommandLine,
  folders: CommandJudgement["folders"],
  root: string,
  rules: CommandRules,
): string[] {
  return line.flatMap(({ commands }, index) => {
    const folder = folders[index];
    const at = (path: string) => (folder === undefined ? [] : [under(under(root, folder), path)]);
    return commands.flatMap((command) => {
      const argv = literalWords(command) ?? [];
      const [name = "", ...args] = unwrap(argv).argv;
      const programs = [argv[0] ?? "", name].flatMap((program) =>
        program.includes("/") ? at(program) : (rules.resolve(program) ?? []),
      );
      const scripts = isInterpreter(name)
        ? args.filter((arg) => arg !== "" && !arg.startsWith("-")).flatMap(at)
        : [];
      return [...programs, ...scripts.slice(0, maxScripts)];
    });
  });
}

const maxScripts = 8;

function under(folder: string, path: string): string {
  return path.startsWith("/") ? path : path === "." ? folder : `${folder}/${path}`;
}

function needsShell(why: string): CommandJudgement {
  return {
    listed: false,
    canReview: false,
    why: `It has ${why}, so a shell has to interpret it.`,
    run: { kind: "shell" },
    folders: [],
    files: [],
  };
}

interface SimpleJudgement {
  readonly listed: boolean;
  readonly why: string;
  readonly canRemember: boolean;
  readonly canReview?: boolean;
  readonly program?: string;
  readonly refused?: string;
}

function judgeSimple(
  { command, isFed }: { readonly command: SimpleCommand; readonly isFed: boolean },
  folder: string | undefined,
  effect: Extract<Effect, { kind: "command" }>,
  { agentId, settings, rules }: Scene,
): SimpleJudgement {
  const asks = (why: string, more: Partial<SimpleJudgement> = {}): SimpleJudgement => ({
    listed: false,
    canRemember: false,
    why,
    ...more,
  });
  const name = command.words[0]?.text ?? "";
  const exported = name === "export" ? command.words.slice(1).map((word) => word.text) : [];
  const inline = Object.fromEntries([
    ...command.assignments.map(({ name, value }) => [name, value]),
    ...exported.map((word) => [word.split("=", 1)[0], word.slice(word.indexOf("=") + 1)]),
  ]);
  const problem = rules.environmentProblem(inline);
  if (problem !== undefined) return asks(problem, { refused: problem });
  const setsVariables = Object.keys(inline).length > 0 || Object.keys(effect.env).length > 0;
  if (command.words.length === 0 || name === "export")
    return setsVariables ? asks("It sets environment variables.") : listedBecause("It runs nothing.");
  if (name === "cd" || name === ":" || name === "exit") return listedBecause(`${name} starts no program.`);

  const argv = literalWords(command);
  if (!argv) return asks(`${name} is given a file pattern; what that stands for is known only when it runs.`);
  const inner = unwrap(argv);
  const innerProblem = rules.environmentProblem(inner.env);
  if (innerProblem !== undefined) return asks(innerProblem, { refused: innerProblem });
  const outer = rules.resolve(name);
  const found = outer === undefined ? {} : { program: outer };
  if (setsVariables || inner.clearsEnv || Object.keys(inner.env).length > 0)
    return asks("It sets environment variables.", found);
  if (inner.why !== undefined) return asks(inner.why, found);
  const told = runsWhatItIsTold(inner.argv);
  if (told !== undefined) return asks(told, found);

  const [innerName = "", ...args] = inner.argv;
  const program = innerName === name ? outer : rules.resolve(innerName);
  // A file of another name behind the name: what it is told by that name is its own affair (busybox, alternatives).
  const toldAsFound = program === undefined ? undefined : runsWhatItIsTold([program, ...args]);
  if (toldAsFound !== undefined) return asks(toldAsFound, found);
  if (outer !== undefined && program !== undefined && !effect.background) {
    const isListed =
      settings.safeBins.includes(innerName) &&
      baseName(program) === innerName &&
      rules.isSystem(innerName, program);
    if (isListed && !isInterpreter(innerName) && isSafeCall(innerName, args))
      return { ...listedBecause(`${innerName} is a safe program.`), ...found };
  }
  // What is fed to a program is as good as an argument, and the rule was made without.
  const takesInput = isFed || command.redirections.some(({ descriptor }) => descriptor === 0);
  const rulesHold = (words: readonly string[]) =>
    !takesInput && folder !== undefined && rules.isAllowed(agentId, words, folder);
  if (rulesHold(argv) || rulesHold(inner.argv))
    return { listed: true, canRemember: true, why: "You allowed exactly this command before.", ...found };
  if (outer === undefined || program === undefined) {
    const missing = outer === undefined ? name : innerName;
    return asks(`The program ${JSON.stringify(missing)} was not found in the trusted folders.`, found);
  }
  const canRemember = inner.wrappers.length === 0 && !isInterpreter(innerName) && !isInterpreter(program);
  // Never an interpreter: what it is given is a program of its own, which nobody has allowed.
  if (canRemember && !effect.background && rules.allowsProgram(agentId, program))
    return { ...listedBecause("You allowed this program, whatever its arguments are."), ...found };
  const canReview = !runsFiles(innerName) && !runsFiles(program);
  return asks(`${baseName(innerName)} is not on this agent's allowlist.`, {
    ...found,
    canRemember,
    canReview,
  });
}

function listedBecause(why: string): SimpleJudgement {
  return { listed: true, canRemember: false, why };
}

export { isInterpreter } from "./command-programs.ts";
