import {
  type AndOr,
  type Command,
  type Assignment as ParsedAssignment,
  type Redirection as ParsedRedirection,
  type Word as ParsedWord,
  type PipelineNode,
  parse,
  type Statement,
} from "unbash";
import type {
  Assignment,
  CommandLine,
  ReadLine,
  Redirection,
  SimpleCommand,
  Step,
  Word,
} from "../policy/command-tree.ts";
import { refuseLostText } from "./coverage.ts";
import { refuseShellWord } from "./shell-words.ts";
import { agreed, NotUnderstood, readWord } from "./word.ts";

const maxChars = 32_768;
const maxCommands = 64;

/** Reads a command line as bash would. Pure; never throws. */
export function readCommandLine(text: string): ReadLine {
  try {
    return { understood: true, line: read(text) };
  } catch (error) {
    if (error instanceof NotUnderstood) return { understood: false, why: error.message };
    // A parser that fails on a text has not understood it.
    return { understood: false, why: "a form that the parser fails on" };
  }
}

function read(text: string): CommandLine {
  if (text.length > maxChars) throw new NotUnderstood(`more than ${maxChars} characters`);
  if (!text.isWellFormed()) throw new NotUnderstood("broken text (a lone surrogate)");
  refuseHiddenCharacters(text);
  const script = parse(text);
  const [problem] = script.errors ?? [];
  if (problem) throw new NotUnderstood(`a mistake in its syntax (${problem.message})`);
  if (script.shebang !== undefined) throw new NotUnderstood("the first line of a script (#!)");
  if (script.commands.length > maxCommands) throw new NotUnderstood(`more than ${maxCommands} commands`);
  const steps = script.commands.flatMap(statement);
  const count = steps.reduce((sum, step) => sum + step.commands.length, 0);
  if (count === 0) throw new NotUnderstood("no command");
  refuseLostText(text, script);
  if (count > maxCommands) throw new NotUnderstood(`more than ${maxCommands} commands`);
  return steps;
}

/**
 * Controls hide a part of the line; invisible and direction-changing characters and foreign blanks make a person read
 * something else than what runs.
 */
function refuseHiddenCharacters(text: string): void {
  if (/^[\n\t\x20-\x7e]*$/.test(text)) return;
  const found = /(?![\n\t ])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\u115f\u1160\u3164\uffa0\u2800]/u.exec(text);
  if (!found) return;
  const code = found[0].codePointAt(0) ?? 0;
  throw new NotUnderstood(
    `a hidden or control character (U+${code.toString(16).toUpperCase().padStart(4, "0")})`,
  );
}

function statement({ command, background }: Statement): Step[] {
  if (background) throw new NotUnderstood("a command in the background (&)");
  return command.type === "AndOr" ? chain(command) : [step(command, "always")];
}

function chain({ commands, operators }: AndOr): Step[] {
  return commands.map((command, index) => {
    const operator = operators[index - 1];
    return step(command, operator === undefined ? "always" : operator === "&&" ? "success" : "failure");
  });
}

function step(node: PipelineNode, when: Step["when"]): Step {
  if (node.type !== "Pipeline") return { when, negated: false, commands: [simple(node)] };
  if (node.prefixes.some((prefix) => prefix.type !== "Negation")) throw new NotUnderstood('"time"');
  const commands = node.commands.map(simple).map((command, index): SimpleCommand => {
    if (node.operators[index] !== "|&") return command;
    const both: Redirection = { kind: "copy", descriptor: 2, from: 1 };
    return { ...command, redirections: [...command.redirections, both] };
  });
  if (commands.length === 0) throw new NotUnderstood("an empty pipeline");
  if (commands.length > 1) for (const command of commands) refuseShellWord(command, { piped: true });
  return { when, negated: node.prefixes.length % 2 === 1, commands };
}

const nodeNames: Readonly<Record<string, string>> = {
  If: '"if"',
  For: 'a loop ("for")',
  ArithmeticFor: 'a loop ("for")',
  While: 'a loop ("while")',
  Select: '"select"',
  Case: '"case"',
  Function: "a function",
  Subshell: "a subshell ((...))",
  BraceGroup: "a group ({ ...; })",
  Coproc: '"coproc"',
  TestCommand: "a test of the shell ([[ ... ]])",
  ArithmeticCommand: "arithmetic ((( ... )))",
  Redirected: "a redirected block",
};

function simple(node: PipelineNode): SimpleCommand {
  if (node.type !== "Command")
    throw new NotUnderstood(nodeNames[node.type] ?? "a form that is not known here");
  const assignments: Assignment[] = [];
  const redirections: Redirection[] = [];
  const words: Word[] = [];
  for (const part of node.prefix)
    if (part.type === "Assignment") assignments.push(assignment(part));
    else redirections.push(...redirection(part));
  if (node.name) words.push(programName(node));
  for (const part of node.suffix) {
    if (part.type === "Word") words.push(word(part));
    else if (part.type === "Assignment") words.push(readWord(part.text));
    else redirections.push(...redirection(part));
  }
  const command = { assignments, words: withoutCommandWord(words), redirections };
  refuseShellWord(command, { piped: false });
  return command;
}

function programName(node: Command): Word {
  const name = word(node.name as ParsedWord);
  if (name.pattern !== undefined) throw new NotUnderstood("a program name that is a file pattern");
  if (!/^[\x21-\x7e]+$/.test(name.text))
    throw new NotUnderstood("a program name that is empty, has blanks or is not ASCII");
  if (name.text.startsWith("%")) throw new NotUnderstood("a job of the shell (%)");
  return name;
}

/** `command x` only says that x is no function, and there are none here. */
function withoutCommandWord(words: readonly Word[]): readonly Word[] {
  const [first, second] = words;
  return first?.text === "command" && second && !/^-/.test(second.text) && !second.pattern
    ? withoutCommandWord(words.slice(1))
    : words;
}

function word(parsed: ParsedWord): Word {
  return agreed(readWord(parsed.text), parsed.value);
}

function assignment(parsed: ParsedAssignment): Assignment {
  if (parsed.value.type !== "Word" || parsed.index) throw new NotUnderstood("an array");
  if (parsed.append) throw new NotUnderstood("an assignment that appends (+=)");
  return { name: parsed.name, value: word(parsed.value).text };
}

function redirection(parsed: ParsedRedirection): Redirection[] {
  const { descriptor: given } = parsed;
  if (given && given.type !== "FileDescriptor") throw new NotUnderstood("a descriptor in a variable");
  const isInput = parsed.operator.startsWith("<");
  const descriptor = given?.value ?? (isInput ? 0 : 1);
  if (descriptor > 2) throw new NotUnderstood("a redirection of a descriptor above 2");
  if (parsed.type === "HereDoc") return [{ kind: "text", descriptor, text: hereDocument(parsed) }];
  if (!parsed.target) throw new NotUnderstood("a redirection without a target");
  const target = word(parsed.target);
  if (parsed.type === "HereString") return [{ kind: "text", descriptor, text: `${target.text}\n` }];
  return fileOrCopy(parsed.operator, descriptor, target, given !== undefined);
}

function fileOrCopy(operator: string, descriptor: number, target: Word, isGiven: boolean): Redirection[] {
  const file = (access: "read" | "write" | "append"): Redirection => {
    if (target.pattern !== undefined) throw new NotUnderstood("a redirection to a file pattern");
    if (target.text === "") throw new NotUnderstood("a redirection to nothing");
    return { kind: "file", descriptor, access, path: target.text };
  };
  switch (operator) {
    case "<":
      return [file("read")];
    case ">":
    case ">|":
      return [file("write")];
    case ">>":
      return [file("append")];
    case "&>":
    case "&>>":
      return [file(operator === "&>" ? "write" : "append"), { kind: "copy", descriptor: 2, from: 1 }];
    case ">&":
    case "<&": {
      if (/^[012]$/.test(target.text) && target.pattern === undefined)
        return [{ kind: "copy", descriptor, from: Number(target.text) }];
      // bash expands this name a second time, without its quotes: `>&'$(id)'` runs id.
      if (/["'\\$`~]/.test(target.text))
        throw new NotUnderstood(`a redirection whose name a shell expands twice (${operator})`);
      if (operator === ">&" && !isGiven && !/^[\d-]/.test(target.text))
        return [file("write"), { kind: "copy", descriptor: 2, from: 1 }];
      throw new NotUnderstood(`a redirection that closes or moves a descriptor (${operator}${target.text})`);
    }
    default:
      throw new NotUnderstood(`a redirection that reads and writes (${operator})`);
  }
}

function hereDocument(parsed: Extract<ParsedRedirection, { type: "HereDoc" }>): string {
  if (!parsed.delimiter || !parsed.closing) throw new NotUnderstood("a here-document that is not closed");
  const { text } = parsed.body;
  if (!parsed.delimiter.quoted && /[$`\\]/.test(text))
    throw new NotUnderstood("a here-document in which something is expanded");
  return parsed.operator === "<<-" ? text.replace(/^\t+/gm, "") : text;
}
