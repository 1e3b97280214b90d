import type { SimpleCommand } from "../policy/command-tree.ts";
import { NotUnderstood } from "./word.ts";

/** Words that are not programs: only a shell knows what they mean. */
const shellOnly: ReadonlySet<string> = new Set(
  (
    "if then else elif fi case esac for select while until do done in function time coproc { } ! [[ " +
    ". alias bg bind break builtin caller command compgen complete compopt continue declare dirs disown enable eval " +
    "exec fc fg getopts hash help history jobs let local logout mapfile newgrp popd pushd read readarray readonly " +
    "return set shift shopt source suspend times trap type typeset ulimit umask unalias unset wait"
  ).split(" "),
);

/** What the line itself does, because a program of its own could not do it for the line. */
const ofTheLine: ReadonlySet<string> = new Set(["cd", "exit", "export", ":"]);

/** Words of the shell for which a program of the same name stands in; where the two differ, the line asks. */
const standIns: Readonly<Record<string, (args: readonly string[]) => boolean>> = {
  echo: () => true,
  true: () => true,
  false: () => true,
  pwd: (args) => args.every((arg) => arg === "-P" || arg === "-L"),
  kill: (args) => args.every((arg) => !/^%|^-l|^-L/.test(arg)),
  printf: isPortablePrintf,
  test: isPortableTest,
  "[": (args) => args.at(-1) === "]" && isPortableTest(args.slice(0, -1)),
};

/** Strings as they are; numbers only where they are plain. */
function isPortablePrintf(args: readonly string[]): boolean {
  const [format = "", ...values] = args[0] === "--" ? args.slice(1) : args;
  const conversions = format.replaceAll("%%", "").match(/%[-+ #0'\d*.]*./gs) ?? [];
  if (format === "" || format.startsWith("-") || /\\(?![abfnrtv\\"])/.test(format)) return false;
  if (conversions.every((conversion) => conversion === "%s")) return true;
  return (
    conversions.every((conversion) => /^%-?0?\d*[sd]$/.test(conversion)) &&
    values.every((value) => /^(?:0|[1-9]\d{0,8})$/.test(value))
  );
}

function isPortableTest(args: readonly string[]): boolean {
  return !args.some((arg) => /^(?:-[aovR]|[<>]|=~)$/.test(arg));
}

/** Throws NotUnderstood when the command's program is a word of the shell that nothing here does as bash does it. */
export function refuseShellWord(
  { words, assignments }: SimpleCommand,
  place: { readonly piped: boolean },
): void {
  const [program, ...rest] = words;
  if (program === undefined) {
    if (place.piped) throw new NotUnderstood("a part of a pipeline that runs nothing");
    return;
  }
  const name = program.text;
  if (shellOnly.has(name))
    throw new NotUnderstood(`${JSON.stringify(name)} (a word of the shell, not a program)`);
  if (ofTheLine.has(name)) refuseOddUse(name, rest, place.piped || assignments.length > 0);
  const standIn = Object.hasOwn(standIns, name) ? standIns[name] : undefined;
  if (!standIn) return;
  const args = rest.map((word) => word.text);
  // Alone, these make the program explain itself, where the shell's own word takes them as they stand.
  const explains = args.length === 1 && /^--(?:help|version)$/.test(args[0] ?? "");
  // What a pattern stands for is known only when it runs; among words that are printed as they are, it may be anything.
  const fixed = name === "echo" ? [] : name === "printf" ? rest.slice(0, 1) : rest;
  const hasPattern = fixed.some((word) => word.pattern !== undefined);
  if (explains || hasPattern || !standIn(args))
    throw new NotUnderstood(`a use of ${JSON.stringify(name)} that only a shell knows`);
}

function refuseOddUse(
  name: string,
  rest: readonly { readonly text: string; readonly pattern?: string }[],
  isOdd: boolean,
): void {
  const args = rest.map((word) => word.text);
  const isPlain =
    !isOdd &&
    rest.every((word) => word.pattern === undefined) &&
    (name === ":" ||
      (name === "cd" && args.length <= 1 && !/^-|^$/.test(args[0] ?? ".")) ||
      (name === "exit" && args.length <= 1 && /^\d{1,3}$/.test(args[0] ?? "0")) ||
      (name === "export" && args.length > 0 && args.every((arg) => /^[A-Za-z_]\w*(?:=|$)/.test(arg))));
  if (!isPlain) throw new NotUnderstood(`a use of ${JSON.stringify(name)} that only a shell knows`);
}
