import { define, group } from "./define.ts";
import {
  allNodes,
  allPending,
  filtered,
  type Node,
  needed,
  nodeHelp,
  nodeOf,
  nodeOption,
  nodeTable,
  pendingTable,
} from "./node-rows.ts";
import { invoke, run } from "./nodes-invoke-command.ts";
import { ago, facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

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
