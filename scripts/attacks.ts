/**
 * Prints docs/attacks.md: each published attack, what stops it, and the tests that show it; on which channels each was
 * tried; and what must go on working beside. A test shows an attack when its title or its body names the attack's id;
 * test/attacks/coverage.ts names the tests that do it without. With --check it fails when an attack of an enforced kind,
 * a channel that it can come over or a control has no test, a named test does not exist, or the page is old.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Carrier, carriers, carriersOf, type Reach, reaches } from "../test/attacks/carriers.ts";
import { type Control, controls } from "../test/attacks/controls.ts";
import { type Coverage, coverage } from "../test/attacks/coverage.ts";
import { type Attack, attacks, enforced, type Kind, kinds } from "../test/attacks/entries.ts";

const root = join(import.meta.dirname, "..");

/** One test as its source names it. */
export interface NamedTest {
  readonly file: string;
  readonly title: string;
  /** The ids that stand in it, or between the test before it and it. */
  readonly ids: readonly string[];
}

/** The tests of one file, with the ids of attacks that they name. */
export function testsIn(file: string, source: string): readonly NamedTest[] {
  const tests: NamedTest[] = [];
  const begins = /^( *)(?:await )?(?:test|it|scene)\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/gm;
  // What stands before a test (a table of cases, a comment) belongs to it: a test ends where a line closes it.
  let from = 0;
  for (const match of source.matchAll(begins)) {
    const rest = source.slice(match.index);
    // On one line, or up to the line that closes it.
    const end = /^.*\);\n/.exec(rest) ?? new RegExp(`^${match[1]}\\}?\\);$`, "m").exec(rest);
    const until = match.index + (end === null ? 0 : end.index + end[0].length);
    const ids = source.slice(from, until).match(/\b(?:A-\d{3}|B-\d{2})\b/g) ?? [];
    tests.push({ file, title: (match[2] ?? match[3] ?? "").replaceAll('\\"', '"'), ids: [...new Set(ids)] });
    from = Math.max(from, until);
  }
  return tests;
}

/** What there is to show. */
export interface Tables {
  readonly attacks: readonly Attack[];
  readonly controls: readonly Control[];
  readonly reaches: readonly Reach[];
}

/** Which tests show which attack or control, and what is wrong with the tables. */
export function survey(
  { attacks: entries, controls, reaches }: Tables,
  tests: readonly NamedTest[],
  named: readonly Coverage[],
): { readonly shown: ReadonlyMap<string, readonly NamedTest[]>; readonly problems: string[] } {
  const shown = new Map<string, NamedTest[]>([...entries, ...controls].map(({ id }) => [id, []]));
  const problems: string[] = [];
  for (const test of tests)
    for (const id of test.ids) {
      const list = shown.get(id);
      if (list) list.push(test);
      else
        problems.push(
          `${test.file}: "${test.title}" names ${id}, which is not in the tables of test/attacks`,
        );
    }
  for (const { id, file, title } of named) {
    const test = tests.find((one) => one.file === file && one.title === title);
    const list = shown.get(id);
    if (test && list) list.push(test);
    else
      problems.push(
        `test/attacks/coverage.ts: ${id}: there is no ${list ? `test "${title}" in ${file}` : "such attack"}`,
      );
  }
  for (const { id, kind, what, stops } of entries) {
    const count = shown.get(id)?.length ?? 0;
    if (enforced.includes(kind) && count === 0) problems.push(`${id} (${what}) has no test`);
    if (count > 0 && stops === "") problems.push(`${id} (${what}): entries.ts does not say what stops it`);
  }
  for (const { id, what } of controls)
    if (shown.get(id)?.length === 0) problems.push(`${id} (${what}) has no test`);
  for (const { id, on } of reaches) {
    const done = triedOn(shown.get(id) ?? []);
    const missing = on.filter((carrier) => !done.has(carrier));
    if (missing.length > 0) problems.push(`${id} has no test on ${missing.join(", ")}`);
  }
  return { shown, problems };
}

function triedOn(tests: readonly NamedTest[]): ReadonlySet<Carrier> {
  return new Set(tests.flatMap(({ file }) => carriersOf(file)));
}

function page(shown: ReadonlyMap<string, readonly NamedTest[]>): string {
  const parts = (Object.keys(kinds) as Kind[]).map((kind) => {
    const own = attacks.filter((attack) => attack.kind === kind);
    const done = own.filter(({ id }) => shown.get(id)?.length);
    const rows = own.map((attack) => row(attack, shown.get(attack.id) ?? []));
    return `## ${kinds[kind]} (${kind}): ${done.length} of ${own.length}

| id | attack | what stops it | tests |
|---|---|---|---|
${rows.join("\n")}
`;
  });
  return `# Published attacks

What is known to have been done to gateways of this kind, what stops it here, and the tests that do it again. Every attack
of the kinds ${enforced.join(", ")} has a test; "none yet" says which others do not. Printed by \`node scripts/attacks.ts\`
from \`test/attacks/entries.ts\` and the ids that tests name.

${parts.join("\n")}
## On which channels

Those that a sender or a platform tries. \`test/contracts/channel-attacks.ts\` tries what a name, a text and a list can do
on every channel; each platform's own forms are tried beside its adapter.

| id | attack | ${carriers.join(" | ")} | elsewhere |
|---|---|${carriers.map(() => "---|").join("")}---|
${reaches.map(reachRow).join("\n")}

## What must go on working

| id | what | tests |
|---|---|---|
${controls.map(({ id, what }) => tableRow([id, what, links(shown.get(id) ?? [])])).join("\n")}
`;
}

function reachRow({ id, on, why }: Reach): string {
  const what = attacks.find((attack) => attack.id === id)?.what ?? "";
  return tableRow([id, what, ...carriers.map((carrier) => (on.includes(carrier) ? "tried" : "")), why]);
}

function row({ id, what, stops }: Attack, tests: readonly NamedTest[]): string {
  return tableRow([id, what, tests.length === 0 ? "" : stops, links(tests)]);
}

function links(tests: readonly NamedTest[]): string {
  const files = [...Map.groupBy(tests, ({ file }) => file)].map(
    ([file, own]) => `[${file}](../${file}): ${own.map(({ title }) => title).join("; ")}`,
  );
  return files.join("<br>") || "none yet";
}

function tableRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

if (process.argv[1] === import.meta.filename) {
  const files = globSync(
    ["src/**/*.test.ts", "test/**/*.test.ts", "test/contracts/*.ts", "ui/test/*.test.ts"],
    {
      cwd: root,
    },
  );
  const tests = [...new Set(files)]
    .sort()
    .flatMap((file) => testsIn(file, readFileSync(join(root, file), "utf8")))
    .filter(({ file }) => file !== "test/attacks/table.test.ts");
  const { shown, problems } = survey({ attacks, controls, reaches }, tests, coverage);
  const target = join(root, "docs/attacks.md");
  const text = page(shown);
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else {
    if (readFileSync(target, "utf8") !== text)
      problems.push("docs/attacks.md is not up to date; run: node scripts/attacks.ts");
  }
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
