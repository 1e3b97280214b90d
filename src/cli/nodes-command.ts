import { uuid } from "../kernel/mod.ts";
import type { CommandContext } from "./define.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { ago, duration, facts, table } from "./table.ts";
import { jsonText, visibleLine } from "./visible.ts";

interface Node {
  readonly nodeId: string;
  readonly displayName?: string;
  readonly platform?: string;
  readonly version?: string;
  readonly caps: readonly string[];
  readonly commands: readonly string[];
  readonly approvalState: string;
  readonly pendingRequestId?: string;
  readonly pendingDeclaredCommands?: readonly string[];
  readonly lastSeenAtMs?: number;
  readonly lastConnectedAtMs?: number;
  readonly connectedAtMs?: number;
  readonly connected: boolean;
}

interface Pending {
  readonly requestId: string;
  readonly nodeId: string;
  readonly displayName?: string;
  readonly platform?: string;
  readonly commands: readonly string[];
  readonly requiredApproveScopes: readonly string[];
  readonly ts: number;
}

type Context = CommandContext<OptionSpec>;
type Asking = Pick<Context, "ask">;

const allNodes = async (context: Asking) =>
  (await context.ask<{ nodes: readonly Node[] }>("operator.read", "node.list", {})).nodes;
const allPending = async (context: Asking) =>
  (await context.ask<{ pending: readonly Pending[] }>("operator.pairing", "node.pair.list", {})).pending;

const filters = { connected: "flag", "last-connected": "text" } as const;
const filterHelp = [
  ["--connected", "only those that are connected"],
  ["--last-connected <time>", "only those that were connected in the last 30m, 24h, 7d"],
] as const;

const status = define({
  help: {
    usage: "nodes status [options]",
    about: "The paired nodes: who is connected, what is approved, what waits.",
    options: filterHelp,
    example: "openclaw nodes status --connected",
  },
  options: filters,
  run: async (context) => {
    const nodes = filtered(await allNodes(context), context.options, context.now);
    context.print({ nodes }, () => nodeTable(nodes, context) || "No node is paired.\n");
    return 0;
  },
});

const list = define({
  help: {
    usage: "nodes [list] [options]",
    about:
      "Nodes that wait for your yes, and those that are paired. The name is what the node claims; the id is proved.",
    options: filterHelp,
    example: "openclaw nodes list --last-connected 24h",
  },
  options: filters,
  run: async (context) => {
    const [waiting, known] = [await allPending(context), await allNodes(context)];
    const nodes = filtered(known, context.options, context.now);
    const tables = [pendingTable(waiting, context), nodeTable(nodes, context)].filter((text) => text !== "");
    context.print({ pending: waiting, paired: nodes }, () =>
      tables.length === 0 ? "No node is paired, and none waits.\n" : tables.join("\n"),
    );
    return 0;
  },
});

const pending = define({
  help: {
    usage: "nodes pending [options]",
    about: "What nodes can do and wait for your yes to do.",
    example: "openclaw nodes pending",
  },
  run: async (context) => {
    const waiting = await allPending(context);
    context.print({ pending: waiting }, () => pendingTable(waiting, context) || "No node waits.\n");
    return 0;
  },
});

const approve = define({
  help: {
    usage: "nodes approve <request> [options]",
    about: `Lets the gateway ask a node for the commands of this request, and no others. Commands that run programs need
operator.admin.`,
    example: "openclaw nodes approve 8604bdd8-3b39-4ef9-a1c5-1dcceb512e22",
  },
  words: [1, 1],
  run: async (context) => {
    const [requestId = ""] = context.words;
    const answer = await context.ask<{ node: Node }>("operator.admin", "node.pair.approve", { requestId });
    const { displayName, nodeId, commands } = answer.node;
    context.print(
      answer,
      () =>
        `${visibleLine(displayName ?? nodeId)} may be asked for: ${visibleLine(commands.join(", ") || "nothing")}\n`,
    );
    return 0;
  },
});

const reject = define({
  help: {
    usage: "nodes reject <request> [options]",
    about: "Takes the request off the list. What was approved before stays.",
    example: "openclaw nodes reject 8604bdd8-3b39-4ef9-a1c5-1dcceb512e22",
  },
  words: [1, 1],
  run: async (context) => {
    const [requestId = ""] = context.words;
    const answer = await context.ask("operator.pairing", "node.pair.reject", { requestId });
    context.print(answer, () => "The request was rejected.\n");
    return 0;
  },
});

const nodeOption = { node: "text" } as const;
const nodeHelp = [["--node <node>", "its id, the first 6 or more characters of it, or its name"]] as const;

const remove = define({
  help: {
    usage: "nodes remove --node <node> [options]",
    about: "Takes the node's role away: its connections end, and nothing of it is approved any more.",
    options: nodeHelp,
    example: "openclaw nodes remove --node f43e83",
  },
  options: nodeOption,
  run: async (context) => {
    const { nodeId } = await nodeOf(context, context.options.node);
    const answer = await context.ask("operator.pairing", "node.pair.remove", { nodeId });
    context.print(answer, () => `${nodeId} was removed.\n`);
    return 0;
  },
});

const rename = define({
  help: {
    usage: "nodes rename --node <node> --name <name> [options]",
    about: "Gives a node a name of yours, shown instead of what it claims.",
    options: [...nodeHelp, ["--name <name>", "up to 64 characters"]],
    example: "openclaw nodes rename --node f43e83 --name workshop",
  },
  options: { ...nodeOption, name: "text" },
  run: async (context) => {
    const displayName = needed(context.options.name, "--name");
    const { nodeId } = await nodeOf(context, context.options.node);
    const answer = await context.ask("operator.pairing", "node.rename", { nodeId, displayName });
    context.print(answer, () => `${nodeId} is called ${visibleLine(displayName)}.\n`);
    return 0;
  },
});

const describe = define({
  help: {
    usage: "nodes describe --node <node> [options]",
    about: "All about one node.",
    options: nodeHelp,
    example: "openclaw nodes describe --node workshop",
  },
  options: nodeOption,
  run: async (context) => {
    const { nodeId } = await nodeOf(context, context.options.node);
    const node = await context.ask<Node>("operator.read", "node.describe", { nodeId });
    context.print(node, () =>
      facts([
        ["node", node.nodeId],
        ["name", node.displayName ?? ""],
        ["platform", node.platform ?? ""],
        ["version", node.version ?? ""],
        ["state", node.connected ? "connected" : "not connected"],
        ["seen", node.lastSeenAtMs === undefined ? "never" : ago(node.lastSeenAtMs, context.now)],
        ["approval", node.approvalState],
        ["capabilities", node.caps.join(", ")],
        ["commands", node.commands.join(", ")],
        ...(node.pendingRequestId === undefined
          ? []
          : ([
              ["waits for", (node.pendingDeclaredCommands ?? []).join(", ")],
              ["request", node.pendingRequestId],
            ] as const)),
      ]),
    );
    return 0;
  },
});

const invokeOptions = {
  ...nodeOption,
  command: "text",
  params: "text",
  "invoke-timeout": "integer",
  "idempotency-key": "text",
} as const;

const invoke = define({
  help: {
    usage: "nodes invoke --node <node> --command <command> [options]",
    about:
      "Asks a node for one of its approved commands, and prints the answer. Commands of its shell: nodes run.",
    options: [
      ...nodeHelp,
      ["--command <command>", "for example system.which"],
      ["--params <json>", "its parameters ({})"],
      ["--invoke-timeout <ms>", "how long the node may take (15000)"],
      ["--idempotency-key <key>", "the same key never runs it twice"],
    ],
    example: `openclaw nodes invoke --node workshop --command system.which --params '{"bins":["git"]}'`,
  },
  options: invokeOptions,
  run: async (context) => {
    const { options } = context;
    const command = needed(options.command, "--command");
    if (/^system\.run(?:\.|$)/.test(command))
      throw new UsageError("nodes invoke runs no commands of the shell; use: openclaw nodes run");
    const { nodeId } = await nodeOf(context, options.node);
    const admin = /^(?:browser\.proxy|fs\.listDir|terminal\.upload)/.test(command);
    const answer = await invoked(context, admin ? "operator.admin" : "operator.write", {
      nodeId,
      command,
      params: paramsOf(options.params),
      timeoutMs: options["invoke-timeout"] ?? 15_000,
      idempotencyKey: options["idempotency-key"] ?? uuid(context.cli.random),
    });
    context.print(answer, () => `${jsonText(answer.payload)}\n`);
    return 0;
  },
});

interface RunResult {
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const run = define({
  help: {
    usage: "nodes run --node <node> [options] -- <program> [words]",
    about: `Runs one program on a node, after an operator's approval where the gateway or the node wants one: answer it
with openclaw approvals, or on the page. Ends with the program's exit code.`,
    options: [
      ...nodeHelp,
      ["--cwd <folder>", "where, on the node (its home)"],
      ["--invoke-timeout <ms>", "how long it may take, the approval included (30 minutes)"],
    ],
    example: "openclaw nodes run --node workshop -- uname -a",
  },
  options: { ...nodeOption, cwd: "text", "invoke-timeout": "integer" },
  words: [1, 4096],
  run: async (context) => {
    const { cwd, node, "invoke-timeout": timeoutMs = 30 * 60_000 } = context.options;
    const { nodeId } = await nodeOf(context, node);
    const answer = await invoked(context, "operator.admin", {
      nodeId,
      command: "system.run",
      params: { command: context.words, ...(cwd === undefined ? {} : { cwd }) },
      timeoutMs,
      idempotencyKey: uuid(context.cli.random),
    });
    const result = answer.payload as RunResult;
    context.print(answer, () => result.stdout);
    if (result.stderr !== "") context.cli.stderr(result.stderr);
    if (result.timedOut) throw new CommandFailure(1, "the command took too long, and was ended");
    return result.exitCode ?? 1;
  },
});

async function invoked(
  context: Pick<Context, "connect">,
  scope: string,
  params: { readonly timeoutMs: number } & Readonly<Record<string, unknown>>,
) {
  const client = await context.connect([scope]);
  const answer = await client.request("node.invoke", params, { timeoutMs: params.timeoutMs + 5000 });
  return answer as { readonly payload: unknown };
}

function paramsOf(text: string | undefined): unknown {
  if (text === undefined) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError("--params is not JSON");
  }
}

/** The one node that is meant: by its id, the beginning of it, or its whole name. */
async function nodeOf(context: Asking, given: string | undefined): Promise<Node> {
  const wanted = needed(given, "--node");
  const nodes = await allNodes(context);
  const exact = nodes.find((node) => node.nodeId === wanted);
  if (exact) return exact;
  const isPrefix = /^[0-9a-f]{6,}$/.test(wanted);
  const found = nodes.filter(
    (node) => (isPrefix && node.nodeId.startsWith(wanted)) || node.displayName === wanted,
  );
  const [only] = found;
  if (only && found.length === 1) return only;
  throw new CommandFailure(
    1,
    only
      ? `${found.length} nodes are called ${JSON.stringify(wanted)}; use more of the id`
      : `no node is called ${JSON.stringify(wanted)}; see: openclaw nodes status`,
  );
}

function filtered(
  nodes: readonly Node[],
  options: { readonly connected?: true; readonly "last-connected"?: string },
  nowMs: number,
): readonly Node[] {
  const within = options["last-connected"] === undefined ? undefined : spanMs(options["last-connected"]);
  return nodes.filter(
    (node) =>
      (!options.connected || node.connected) &&
      (within === undefined || nowMs - (node.connectedAtMs ?? node.lastSeenAtMs ?? 0) <= within),
  );
}

function spanMs(text: string): number {
  const [, count, unit = ""] = /^(\d+)(m|h|d)$/.exec(text) ?? [];
  const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 }[unit];
  if (count === undefined || unitMs === undefined)
    throw new UsageError(`--last-connected is ${JSON.stringify(text)}; it looks like 30m, 24h or 7d`);
  return Number(count) * unitMs;
}

function nodeTable(nodes: readonly Node[], context: Pick<Context, "columns" | "style" | "now">): string {
  return table(
    ["NODE", "NAME", "PLATFORM", "STATE", "APPROVAL", "COMMANDS"],
    nodes.map((node) => [
      node.nodeId,
      node.displayName ?? "",
      node.platform ?? "",
      stateOf(node, context.now),
      node.pendingRequestId === undefined || node.approvalState !== "approved"
        ? node.approvalState
        : `${node.approvalState}, more waits`,
      node.commands.join(","),
    ]),
    context.columns,
    context.style.dim,
  );
}

function stateOf(node: Node, nowMs: number): string {
  if (node.connected)
    return node.connectedAtMs === undefined
      ? "connected"
      : `connected ${duration(nowMs - node.connectedAtMs)}`;
  return node.lastSeenAtMs === undefined ? "never seen" : `seen ${ago(node.lastSeenAtMs, nowMs)}`;
}

function pendingTable(
  waiting: readonly Pending[],
  context: Pick<Context, "columns" | "style" | "now">,
): string {
  return table(
    ["REQUEST", "CLAIMED NAME", "NODE", "ASKED", "NEEDS", "COMMANDS"],
    waiting.map((item) => [
      item.requestId,
      item.displayName ?? "",
      item.nodeId.slice(0, 12),
      ago(item.ts, context.now),
      item.requiredApproveScopes.map((scope) => scope.replace(/^operator\./, "")).join(","),
      item.commands.join(","),
    ]),
    context.columns,
    context.style.dim,
  );
}

function needed(value: string | undefined, what: string): string {
  if (!value) throw new UsageError(`${what} is missing`);
  return value;
}

export const nodesCommand = group(
  {
    usage: "nodes status|list|pending|approve|reject|remove|rename|describe|invoke|run",
    about: `Other machines that the gateway may ask for something. All go through the running gateway.

  status, list        who is paired and connected
  pending             what waits for your yes
  approve <request>   let the gateway ask for what a node offers
  reject <request>    do not
  remove, rename      forget a node; give it a name of yours
  describe            all about one
  invoke              ask for one of its commands
  run                 run a program on it`,
    example: "openclaw nodes pending",
  },
  { status, list, pending, approve, reject, remove, rename, describe, invoke, run },
  "list",
);
