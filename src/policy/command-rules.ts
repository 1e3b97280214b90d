import { parseCommand } from "./command-line.ts";
import type { Effect } from "./effect.ts";
import type { ExecSettings } from "./settings.ts";

/** What the operator allowed for good, and how a program's name becomes a file. */
export interface CommandRules {
  /** Exact commands: the whole argv, in one working folder, for one agent. */
  isAllowed(agentId: string, argv: readonly string[], workdir: string): boolean;
  /** Absolute path of the program in the trusted folders, or undefined. */
  resolve(program: string): string | undefined;
  /** Why these variables may not be set for a command; undefined when they may. */
  environmentProblem(env: Readonly<Record<string, string>>): string | undefined;
}

export interface CommandJudgement {
  readonly listed: boolean;
  /** Why it asks, in one sentence for the person who is asked. */
  readonly why: string;
  /** True when a standing rule could cover exactly this command. */
  readonly canRemember: boolean;
  readonly program?: string;
}

/**
 * Programs that run what they are given: a rule that names them would allow anything, so none is ever kept.
 */
const interpreters =
  /^(?:(?:ba|da|z|fi|k|c|tc|a)?sh|python[\d.]*|node|nodejs|deno|bun|ruby|perl|php|lua|osascript|awk|gawk|mawk|sed|find|xargs|env|nice|nohup|timeout|stdbuf|flock|busybox|toybox|npx|npm|pnpm|yarn|make|ssh|sudo|su|doas|git|vi|vim|ed|tee|dd|eval|exec|source)$/;

/**
 * What a safe program may be called with and still be safe. Flags only where none of them writes, runs or leaves
 * the folder (`date -s` sets the clock, `ls /root` looks elsewhere); a program without a row takes no arguments.
 */
const safeArguments: Readonly<Record<string, RegExp>> = {
  date: /^(?:-u|--utc|-R|--rfc-email|-I\w*|--iso-8601(?:=\w+)?|\+[^/]*)$/,
  echo: /^[^/~]*$/,
  ls: /^-[1aACdFghiklmnopqrRsStuUvxX]+$/,
  pwd: /^-[LP]$/,
  uname: /^-[asnrvmpio]+$/,
  whoami: /^$/,
};

function isSafeCall(name: string, args: readonly string[], settings: ExecSettings): boolean {
  if (!settings.safeBins.includes(name)) return false;
  const allowed = Object.hasOwn(safeArguments, name) ? safeArguments[name] : undefined;
  return args.every((word) => allowed?.test(word) === true);
}

function baseName(program: string): string {
  return program.slice(program.lastIndexOf("/") + 1);
}

/** True for a program that no standing rule may name: it runs what its arguments, or its input, tell it. */
export function isInterpreter(program: string): boolean {
  return interpreters.test(baseName(program));
}

export function classifyCommand(
  effect: Extract<Effect, { kind: "command" }>,
  agentId: string,
  settings: ExecSettings,
  rules: CommandRules,
): CommandJudgement {
  const parsed = parseCommand(effect.command);
  if (!parsed.simple) {
    return {
      listed: false,
      canRemember: false,
      why: `It is not a plain command (${parsed.why}), so a shell would interpret it.`,
    };
  }
  const [name] = parsed.argv;
  const program = rules.resolve(name);
  const found = program === undefined ? {} : { program };
  if (Object.keys(effect.env).length > 0) {
    return { listed: false, canRemember: false, why: "It sets environment variables.", ...found };
  }
  if (!effect.background && program !== undefined && isSafeCall(name, parsed.argv.slice(1), settings)) {
    return { listed: true, canRemember: false, why: `${name} is a safe program.`, program };
  }
  if (rules.isAllowed(agentId, parsed.argv, effect.workdir)) {
    return { listed: true, canRemember: true, why: "You allowed exactly this command before.", ...found };
  }
  const base = baseName(name);
  return {
    listed: false,
    canRemember: program !== undefined && !isInterpreter(name),
    why:
      program === undefined
        ? `The program ${JSON.stringify(name)} was not found in the trusted folders.`
        : `${base} is not on this agent's allowlist.`,
    ...found,
  };
}
