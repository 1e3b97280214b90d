import type { ApprovalInfo } from "../control/protocol.ts";
import type { ApprovalRequest } from "../policy/mod.ts";
import {
  allowDocument,
  type CommandAllowed,
  commandText,
  rulesOf,
  ruleText,
  withRules,
} from "./allowlist.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Style } from "./style.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const decisions = ["allow-once", "allow-always", "deny"];

const pending = define({
  help: {
    usage: "approvals [pending] [options]",
    about: "What agents ask to run right now: the exact command, its folder, and why it asks.",
    example: "openclaw approvals pending",
  },
  run: async (context) => {
    const waiting = await context.ask<readonly ApprovalInfo[]>("operator.approvals", "exec.approval.list");
    context.print(waiting, () =>
      waiting.length === 0
        ? "Nothing waits for an answer.\n"
        : `${waiting.map((item) => approvalText(item, context.now, context.style)).join("\n")}\nAnswer one: openclaw approvals resolve <id> ${decisions.join("|")}\n`,
    );
    return 0;
  },
});

/** Everything that decides whether a yes is right, and nothing that could be mistaken for something else. */
export function approvalText(approval: ApprovalInfo, now: number, style: Style): string {
  // Our own gateway's answer: control/methods/operations.ts builds it from an ApprovalRequest.
  const request = approval.request as unknown as ApprovalRequest;
  const env = Object.entries(request.env ?? {});
  const rows: (readonly [string, string])[] = [
    ["runs", style.bold(visibleLine(request.command))],
    ...(request.resolvedPath ? [["program", visibleLine(request.resolvedPath)] as const] : []),
    ["in", visibleLine(request.cwd)],
    ...env.map(([name, value]) => ["with", visibleLine(`${name}=${value}`)] as const),
    ["because", visibleLine(request.warningText)],
    ["agent", visibleLine(`${request.agentId}, ${request.sessionKey}`)],
    ["expires", ago(approval.expiresAtMs, now)],
  ];
  return `${style.yellow(visibleLine(approval.id))}\n${rows.map(([label, value]) => `  ${label.padEnd(10)}  ${value}\n`).join("")}`;
}

const resolve = define({
  help: {
    usage: `approvals resolve <id> <${decisions.join("|")}> [options]`,
    about: "Answers one. The first answer counts, wherever it is given.",
    example: "openclaw approvals resolve 3f9a0c4be1d27a55 allow-once",
  },
  words: [2, 2],
  run: async (context) => {
    const [id = "", decision = ""] = context.words;
    if (!decisions.includes(decision))
      throw new UsageError(`${JSON.stringify(decision)} is no decision; there are: ${decisions.join(", ")}`);
    const answer = await context.ask("operator.approvals", "exec.approval.resolve", { id, decision });
    context.print(answer, () => `${visibleLine(id)}: ${decision}\n`);
    return 0;
  },
});

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
    const { document } = await open(context.cli.paths.approvalsFile);
    const rules = rulesOf(document, agent);
    context.print({ agent, rules }, () =>
      rules.length === 0
        ? `Agent ${visibleLine(agent)} has no standing rules: each command that is not safe by itself asks.\n`
        : table(
            ["NO", "COMMAND", "IN", "ADDED"],
            rules.map((rule, index) => [
              String(index + 1),
              ruleText(rule),
              "pattern" in rule ? "anywhere" : rule.workdir === "." ? "the workspace" : rule.workdir,
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
    const [{ isInterpreter, literalArgv }, { readCommandLine }] = await Promise.all([
      import("../policy/mod.ts"),
      import("../shell/mod.ts"),
    ]);
    const read = readCommandLine(context.words[0] ?? "");
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
    const folder = workdirOf(workdir);
    const { document, save } = await open(context.cli.paths.approvalsFile);
    const rules = rulesOf(document, agent);
    const same = rules.some(
      (rule) =>
        "command" in rule && rule.workdir === folder && JSON.stringify(rule.command) === JSON.stringify(argv),
    );
    const rule: CommandAllowed = {
      command: argv,
      workdir: folder,
      addedAt: new Date(context.now).toISOString(),
    };
    if (!same) await save(withRules(document, agent, [...rules, rule]));
    context.print({ agent, added: !same, rule }, () =>
      same
        ? "It is on the list already.\n"
        : `Agent ${visibleLine(agent)} may now run ${visibleLine(commandText(argv))} in ${folder === "." ? "its workspace" : visibleLine(folder)} without asking.\n`,
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
    const { document, save } = await open(context.cli.paths.approvalsFile);
    const rules = rulesOf(document, agent);
    const index = Number(context.words[0]) - 1;
    const rule = Number.isInteger(index) ? rules[index] : undefined;
    if (!rule)
      throw new CommandFailure(
        1,
        `agent ${visibleLine(agent)} has no rule ${JSON.stringify(context.words[0])}; see: openclaw approvals allowlist list`,
      );
    await save(
      withRules(
        document,
        agent,
        rules.filter((_, other) => other !== index),
      ),
    );
    context.print({ agent, removed: rule }, () => `${visibleLine(ruleText(rule))} asks again.\n`);
    return 0;
  },
});

/** As policy compares it: relative, without "." and "..", which could name a folder outside. */
function workdirOf(text: string): string {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (text.startsWith("/") || parts.includes(".."))
    throw new UsageError(`--workdir ${JSON.stringify(text)}: it must be a path inside the agent's workspace`);
  return parts.length === 0 ? "." : parts.join("/");
}

async function open(file: string) {
  const { ensureFolder, readJsonFile, writeJsonFile } = await import("../store/mod.ts");
  const { dirname } = await import("node:path");
  return {
    document: allowDocument(await readJsonFile(file), file),
    async save(document: ReturnType<typeof allowDocument>) {
      await ensureFolder(dirname(file));
      await writeJsonFile(file, document);
    },
  };
}

const allowlistHelp = {
  usage: "approvals allowlist list|add|remove",
  about: `The exact commands that an agent may run without asking, kept in exec-approvals.json of the state folder.
A running gateway takes a change at once.

  list               the rules, numbered
  add "<command>"    let an agent run exactly this
  remove <number>    let it ask again`,
  example: 'openclaw approvals allowlist add "uname -a" --agent main',
};

export const approvalsCommand = group(
  {
    usage: "approvals pending|resolve|allowlist",
    about: `Commands that wait for your yes, and those that you allowed for good.

  pending                   what agents ask to run right now
  resolve <id> <decision>   ${decisions.join(", ")}
  allowlist                 list, add, remove`,
    example: "openclaw approvals pending",
  },
  { pending, list: pending, resolve, allowlist: group(allowlistHelp, { list, add, remove }, "list") },
  "pending",
);
