import type { ApprovalInfo } from "../control/protocol.ts";
import type { ApprovalRequest } from "../policy/mod.ts";
import { type CommandContext, define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Style } from "./style.ts";
import { ago } from "./table.ts";
import { jsonText, visibleLine } from "./visible.ts";

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
    ...(request.standing ? [["always", visibleLine(request.standing.text)] as const] : []),
    ...(request.proposal ? [["--these", visibleLine(request.proposal.text)] as const] : []),
    ["agent", visibleLine(`${request.agentId}, ${request.sessionKey}`)],
    ["expires", ago(approval.expiresAtMs, now)],
  ];
  return `${style.yellow(visibleLine(approval.id))}\n${rows.map(([label, value]) => `  ${label.padEnd(10)}  ${value}\n`).join("")}`;
}

const resolve = define({
  help: {
    usage: `approvals resolve <id> <${decisions.join("|")}> [options]`,
    about: `Answers one. The first answer counts, wherever it is given. allow-always keeps exactly the rule that
"approvals pending" shows beside "always".`,
    options: [["--these", 'with allow-always: keep the rule that is shown beside "--these" instead']],
    example: "openclaw approvals resolve 3f9a0c4be1d27a55 allow-once",
  },
  options: { these: "flag" },
  words: [2, 2],
  run: async (context) => {
    const [id = "", decision = ""] = context.words;
    if (!decisions.includes(decision))
      throw new UsageError(`${JSON.stringify(decision)} is no decision; there are: ${decisions.join(", ")}`);
    const keep = context.options.these ? { keep: "proposal" } : {};
    const answer = await context.ask("operator.approvals", "exec.approval.resolve", {
      id,
      decision,
      ...keep,
    });
    context.print(answer, () => `${visibleLine(id)}: ${decision}\n`);
    return 0;
  },
});

/** exec.approvals.get and set, or those of a node. */
const where = { gateway: "flag", node: "text" } as const;
const whereHelp = [
  ["--gateway", "the gateway's document (the default)"],
  ["--node <id>", "that of a node"],
] as const;

interface Document {
  readonly file: Readonly<Record<string, unknown>>;
  readonly hash?: string;
}

function documentOf(context: Pick<CommandContext<typeof where>, "options" | "ask">): Promise<Document> {
  const { node: nodeId } = context.options;
  return nodeId === undefined
    ? context.ask("operator.admin", "exec.approvals.get")
    : context.ask("operator.admin", "exec.approvals.node.get", { nodeId });
}

const get = define({
  help: {
    usage: "approvals get [options]",
    about: "The host's document of standing rules, as JSON.",
    options: whereHelp,
    example: "openclaw approvals get --json",
  },
  options: where,
  run: async (context) => {
    const document = await documentOf(context);
    context.print(document, () => `${jsonText(document.file)}\n`);
    return 0;
  },
});

const set = define({
  help: {
    usage: "approvals set --file <path>|--stdin [options]",
    about: `Replaces the whole document by what a file or the standard input says (JSON5). Refused when it changed in
the meantime, and when it says what this gateway would not follow.`,
    options: [
      ["--file <path>", "read it from here"],
      ["--stdin", "read it from the standard input"],
      ...whereHelp,
    ],
    example: "openclaw approvals set --file approvals.json5",
  },
  options: { ...where, file: "text", stdin: "flag" },
  run: async (context) => {
    const { file, stdin, node: nodeId } = context.options;
    if ((file === undefined) === (stdin !== true))
      throw new UsageError("one of --file and --stdin is needed");
    const text = file === undefined ? await context.cli.stdin() : await readText(file);
    const { parseJson5 } = await import("../config/mod.ts");
    const parsed = await parseJson5(text);
    if (!parsed) throw new CommandFailure(1, "it is not JSON5; nothing was changed");
    const { hash } = await documentOf(context);
    const params = { file: parsed.value, ...(hash === undefined ? {} : { baseHash: hash }) };
    const answer = await (nodeId === undefined
      ? context.ask<Document>("operator.admin", "exec.approvals.set", params)
      : context.ask<Document>("operator.admin", "exec.approvals.node.set", { nodeId, ...params }));
    context.print(answer, () => "Replaced.\n");
    return 0;
  },
});

async function readText(file: string): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  return readFile(file, "utf8").catch((error: Error) => {
    throw new CommandFailure(1, `${visibleLine(file)}: ${visibleLine(error.message)}`);
  });
}

export const approvalsCommand = group(
  {
    usage: "approvals pending|resolve|grants|allowlist|get|set",
    about: `Commands that wait for your yes, and those that you allowed for good.

  pending                   what agents ask to run right now
  resolve <id> <decision>   ${decisions.join(", ")}
  grants                    everything that is allowed without asking; revoke
  allowlist                 one agent's commands: list, add, remove
  get, set                  the whole document, of the gateway or a node`,
    example: "openclaw approvals pending",
  },
  {
    pending,
    list: pending,
    resolve,
    // Loaded when they are called: what only asks a gateway needs no file of the state folder.
    grants: async (cli, args) => (await import("./grants.ts")).grantsCommand(cli, args),
    allowlist: async (cli, args) => (await import("./allowlist.ts")).allowlistCommand(cli, args),
    get,
    set,
  },
  "pending",
);
