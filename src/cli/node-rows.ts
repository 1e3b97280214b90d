/** Nodes as the gateway tells of them, and as `openclaw nodes` shows them. */
import type { CommandContext } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { ago, duration, table } from "./table.ts";

export interface Node {
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

export const allNodes = async (context: Asking) =>
  (await context.ask<{ nodes: readonly Node[] }>("operator.read", "node.list", {})).nodes;
export const allPending = async (context: Asking) =>
  (await context.ask<{ pending: readonly Pending[] }>("operator.pairing", "node.pair.list", {})).pending;

export const nodeOption = { node: "text" } as const;
export const nodeHelp = [
  ["--node <node>", "its id, the first 6 or more characters of it, or its name"],
] as const;

/** The one node that is meant: by its id, the beginning of it, or its whole name. */
export async function nodeOf(context: Asking, given: string | undefined): Promise<Node> {
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

export function filtered(
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

export function nodeTable(
  nodes: readonly Node[],
  context: Pick<Context, "columns" | "style" | "now">,
): string {
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

export function pendingTable(
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

export function needed(value: string | undefined, what: string): string {
  if (!value) throw new UsageError(`${what} is missing`);
  return value;
}
