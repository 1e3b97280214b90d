import { posix } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { CommandLine } from "../../src/policy/command-tree.ts";
import { makeLine, seeded } from "./lines.ts";
import { judged, type Result, Shells } from "./shells.ts";

export interface Figures {
  lines: number;
  /** Not understood: they ask, and nothing of them was run. */
  asked: number;
  ran: number;
  /**
   * A file that the same line reads and writes (a program that copies it onto itself never ends, in any shell), or
   * writes and runs.
   */
  leftOut: number;
  ranInDashToo: number;
  calls: number;
  /** Lines whose outcome differed from bash's, three times in a row. */
  readonly differences: string[];
  /** Calls that no decision had named. */
  readonly unnamed: string[];
}

/** What dash reads in another way than bash does, or does not know. */
const bashOnly =
  /&>|\|&|<<<|>&\s*[^\s012]|echo|\[|printf|test|command|-e|\^|>>?&|é|exit|cd|V\d=.*(?:;|\n|:)|>&[^12]/s;

/** Runs `count` lines from `seed` on, stops early at `until` (a clock's reading), and tells what it found. */
export async function compare(
  seed: number,
  count: number,
  options: { readonly mayGoOn?: () => boolean; readonly progress?: (figures: Figures) => void } = {},
): Promise<Figures> {
  const shells = await Shells.open();
  const random = seeded(seed);
  const figures: Figures = {
    lines: 0,
    asked: 0,
    ran: 0,
    leftOut: 0,
    ranInDashToo: 0,
    calls: 0,
    differences: [],
    unnamed: [],
  };
  try {
    while (figures.lines < count && (options.mayGoOn?.() ?? true)) {
      await oneLine(makeLine(random), shells, figures);
      if (figures.lines % 1000 === 0) options.progress?.(figures);
    }
  } finally {
    await shells.close();
  }
  return figures;
}

async function oneLine(text: string, shells: Shells, figures: Figures): Promise<void> {
  figures.lines += 1;
  const line = judged(text);
  if (typeof line === "string") {
    figures.asked += 1;
    return;
  }
  if (feedsItself(line)) {
    figures.leftOut += 1;
    return;
  }
  figures.ran += 1;
  const difference = await lastingDifference(text, line, shells, figures);
  if (difference !== undefined) figures.differences.push(`${JSON.stringify(text)}\n${difference}`);
}

/** Parts of a pipeline race with each other, in every shell: a difference counts when it stays. */
async function lastingDifference(
  text: string,
  line: CommandLine,
  shells: Shells,
  figures: Figures,
): Promise<string | undefined> {
  let difference: string | undefined;
  const shared = sharedFiles(line);
  for (let round = 0; round < 3; round += 1) {
    const ours = await shells.runOurs(line);
    if (round === 0) {
      figures.calls += ours.calls.length;
      for (const call of ours.calls)
        if (!isNamed(call, line)) figures.unnamed.push(`${JSON.stringify(text)}: ${JSON.stringify(call)}`);
    }
    difference = differenceOf("bash", ours, await shells.runTheirs("bash", text), shared);
    if (difference === undefined && round === 0 && !bashOnly.test(text)) {
      figures.ranInDashToo += 1;
      difference = differenceOf("dash", ours, await shells.runTheirs("dash", text), shared);
    }
    if (difference === undefined) return undefined;
  }
  return difference;
}

function differenceOf(
  shell: string,
  ours: Result,
  theirs: Result,
  shared: readonly string[],
): string | undefined {
  const ownFiles = ({ files }: Result) =>
    files.map((file) => shared.find((name) => file.startsWith(`${name}: `)) ?? file);
  const pairs = [
    ["calls", ours.calls, theirs.calls],
    ["code", ours.code, theirs.code],
    ["stdout", ours.stdout, theirs.stdout],
    ["files", ownFiles(ours), ownFiles(theirs)],
  ] as const;
  const found = pairs.find(([, a, b]) => !isDeepStrictEqual(a, b));
  if (!found) return undefined;
  const [what, a, b] = found;
  return `  ${what}, ours: ${JSON.stringify(a)}\n  ${what}, ${shell}: ${JSON.stringify(b)}`;
}

function feedsItself(line: CommandLine): boolean {
  const paths = (wanted: boolean) =>
    line.flatMap(({ commands }) =>
      commands.flatMap(({ redirections }) =>
        redirections.flatMap((item) =>
          item.kind === "file" && (item.access === "read") === wanted ? [posix.normalize(item.path)] : [],
        ),
      ),
    );
  const written = paths(false);
  // bash runs the emptied file as a script; we start nothing that is no longer what was judged.
  const programs = line.flatMap(({ commands }) =>
    commands.flatMap(({ words: [program] }) => (program?.text.includes("/") ? [program.text] : [])),
  );
  if (programs.some((path) => written.includes(posix.normalize(path)))) return true;
  return paths(true).some((path) => path !== "/dev/null" && written.includes(path));
}

/** Files that a line opens twice: who writes over whom, and each shell's own complaints in them, are left to chance. */
function sharedFiles(line: CommandLine): string[] {
  const opened = line.flatMap(({ commands }) =>
    commands.flatMap(({ redirections }) =>
      redirections.flatMap((item) => (item.kind === "file" ? [posix.normalize(item.path)] : [])),
    ),
  );
  return opened.filter((path, index) => opened.indexOf(path) !== index);
}

/** True when the tree has a command of exactly these words; a pattern stands for any number of them. */
export function isNamed(call: string, line: CommandLine): boolean {
  const argv = (call.split("\x1e")[0] ?? "").split("\x1f");
  return line.some(({ commands }) =>
    commands.some(({ words }) => {
      const name = (words[0]?.text ?? "").replace(/^.*\//, "");
      if (name !== argv[0]) return false;
      const literal = words.slice(1);
      if (literal.every((word) => word.pattern === undefined))
        return isDeepStrictEqual(
          argv.slice(1),
          literal.map((word) => word.text),
        );
      let at = 1;
      for (const word of literal) {
        if (word.pattern !== undefined) continue;
        const found = argv.indexOf(word.text, at);
        if (found < 0) return false;
        at = found + 1;
      }
      return argv.length - 1 >= literal.length;
    }),
  );
}
