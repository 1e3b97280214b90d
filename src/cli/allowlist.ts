import {
  type ApprovalsDocument,
  type ApprovalsFile,
  openApprovalsFile,
  ruleId,
  rulesOf,
  type StoredRule,
  withRules,
} from "../compose/approvals-file.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

export function approvalsFileOf({ paths, clock, random }: Cli): ApprovalsFile {
  return openApprovalsFile({ path: paths.approvalsFile, clock, random });
}

const list = define({
  help: {
    usage: "approvals allowlist [list] [options]",
    about: "The exact commands that an agent may run without asking.",
    options: [["--agent <id>", "whose list (main)"]],
    example: "openclaw approvals allowlist list --agent main",
  },
  options: { agent: "text" },
  offline: true,
  run: async (context) => {
    const { agent = "main" } = context.options;
    const { document } = await approvalsFileOf(context.cli).read();
    const rules = rulesOf(document, agent);
    context.print({ agent, rules }, () =>
      rules.length === 0
        ? `Agent ${visibleLine(agent)} has no standing rules: each command that is not safe by itself asks.\n`
        : table(
            ["NO", "COMMAND", "IN", "ADDED"],
            rules.map((rule, index) => [
              String(index + 1),
              ruleText(rule),
              placeText(rule),
              ago(Date.parse(rule.addedAt), context.now),
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const add = define({
  help: {
    usage: "approvals allowlist add <command> [options]",
    about: `Lets an agent run exactly this command, with exactly these arguments, without asking.
A pipeline, a variable or a pattern cannot be listed, and no interpreter (a shell, python, git, find, ...):
it would allow anything. Quote the command as one word.`,
    options: [
      ["--agent <id>", "whose list (main)"],
      ["--workdir <path>", "the folder, relative to the agent's workspace (the workspace itself)"],
    ],
    example: 'openclaw approvals allowlist add "uname -a"',
  },
  options: { agent: "text", workdir: "text" },
  offline: true,
  words: [1, 1],
  run: async (context) => {
    const { agent = "main", workdir = "." } = context.options;
    const command = await plainCommand(context.words[0] ?? "");
    const folder = workdirOf(workdir);
    const rule: StoredRule = { command, workdir: folder, addedAt: new Date(context.now).toISOString() };
    let isNew = true;
    await approvalsFileOf(context.cli).change(({ document }) => {
      const rules = rulesOf(document, agent);
      isNew = !rules.some((known) => ruleId(known) === ruleId(rule));
      return isNew ? withRules(document, agent, [...rules, rule]) : document;
    });
    context.print({ agent, added: isNew, rule }, () =>
      isNew
        ? `Agent ${visibleLine(agent)} may now run ${visibleLine(commandText(command))} in ${folder === "." ? "its workspace" : visibleLine(folder)} without asking.\n`
        : "It is on the list already.\n",
    );
    return 0;
  },
});

const remove = define({
  help: {
    usage: "approvals allowlist remove <number> [options]",
    about: "Takes one command off the list; the numbers are those of approvals allowlist list.",
    options: [["--agent <id>", "whose list (main)"]],
    example: "openclaw approvals allowlist remove 2",
  },
  options: { agent: "text" },
  offline: true,
  words: [1, 1],
  run: async (context) => {
    const { agent = "main" } = context.options;
    const index = Number(context.words[0]) - 1;
    const removed = await removeRule(approvalsFileOf(context.cli), (document) => {
      const rule = Number.isInteger(index) ? rulesOf(document, agent)[index] : undefined;
      if (rule) return { agent, rule };
      throw new CommandFailure(
        1,
        `agent ${visibleLine(agent)} has no rule ${JSON.stringify(context.words[0])}; see: openclaw approvals allowlist list`,
      );
    });
    context.print({ agent, removed }, () => `${visibleLine(ruleText(removed))} asks again.\n`);
    return 0;
  },
});

/** Takes one rule out, found in what the file says at that moment. */
export async function removeRule(
  file: ApprovalsFile,
  find: (document: ApprovalsDocument) => { readonly agent: string; readonly rule: StoredRule },
): Promise<StoredRule> {
  const removed: StoredRule[] = [];
  await file.change(({ document }) => {
    const { agent, rule } = find(document);
    removed.push(rule);
    return withRules(
      document,
      agent,
      rulesOf(document, agent).filter((other) => ruleId(other) !== ruleId(rule)),
    );
  });
  return removed[0] as StoredRule;
}

async function plainCommand(text: string): Promise<readonly string[]> {
  const [{ isInterpreter, literalArgv }, { readCommandLine }] = await Promise.all([
    import("../policy/mod.ts"),
    import("../shell/mod.ts"),
  ]);
  const read = readCommandLine(text);
  const argv = read.understood ? literalArgv(read.line) : undefined;
  if (!argv)
    throw new CommandFailure(
      1,
      `it is not a plain command (${read.understood ? "it is more than one program with literal arguments" : visibleLine(`it has ${read.why}`)}); only one program with literal arguments can be listed`,
    );
  const [program] = argv;
  if (isInterpreter(program))
    throw new CommandFailure(
      1,
      `${visibleLine(program)} runs whatever it is given, so a rule for it would allow anything. Answer its questions one by one`,
    );
  return argv;
}

/** As policy compares it: relative, without "." and "..", which could name a folder outside. */
function workdirOf(text: string): string {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (text.startsWith("/") || parts.includes(".."))
    throw new UsageError(`--workdir ${JSON.stringify(text)}: it must be a path inside the agent's workspace`);
  return parts.length === 0 ? "." : parts.join("/");
}

/** A rule for people. */
export function ruleText(rule: StoredRule): string {
  if ("pattern" in rule) return `${rule.pattern} with any arguments`;
  const [first, entry] = rule.command;
  if (isEntry(rule) && first === "sandbox") return `anything inside its sandbox (${entry})`;
  return commandText(rule.command);
}

export function placeText(rule: StoredRule): string {
  if ("pattern" in rule) return "anywhere";
  if (isEntry(rule)) return "the sandbox";
  return rule.workdir === "." ? "the workspace" : rule.workdir;
}

function isEntry(rule: Exclude<StoredRule, { readonly pattern: string }>): boolean {
  return rule.workdir.startsWith("/");
}

/** The words as a shell would be given them; plain words stay as they are. */
function commandText(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

export const allowlistCommand = group(
  {
    usage: "approvals allowlist list|add|remove",
    about: `The exact commands that an agent may run without asking, kept in exec-approvals.json of the state folder.
A running gateway takes a change at once.

  list               the rules, numbered
  add "<command>"    let an agent run exactly this
  remove <number>    let it ask again`,
    example: 'openclaw approvals allowlist add "uname -a" --agent main',
  },
  { list, add, remove },
  "list",
);
