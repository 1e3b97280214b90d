import { type Cancel, type Clock, InputError, type Log, type Random, uuid } from "../kernel/mod.ts";
import { isCovered, type Surface } from "./command-policy.ts";
import { type NodeRecord, type PendingSurface, parseSurfaces } from "./surface-records.ts";

/** nodes/surfaces.json. A read gives the parsed JSON, undefined when there is no file. */
export interface SurfaceFile {
  read(): Promise<unknown>;
  write(value: unknown): Promise<void>;
  /** Calls back soon after the file may have changed. */
  watch(changed: () => void): Cancel;
}

export type SurfaceDecision = "approved" | "rejected" | "removed";

export interface SurfaceEvents {
  requested(node: NodeRecord, pending: PendingSurface): void;
  /** `requestId` is "" when a node was removed that asked for nothing. */
  resolved(nodeId: string, requestId: string, decision: SurfaceDecision): void;
  /** What is approved for this node may have become less or more. */
  changed(nodeId: string): void;
}

/** A paired device with the node role. */
export interface PairedNode {
  readonly nodeId: string;
  readonly pairedAtMs: number;
}

/** What was approved for which node, and what waits: the file is the truth, memory mirrors it. */
export interface Surfaces {
  get(nodeId: string): NodeRecord | undefined;
  all(): readonly NodeRecord[];
  request(requestId: string): { readonly node: NodeRecord; readonly pending: PendingSurface } | undefined;
  /**
   * Notes what a connected node declares: what it holds already needs nothing; anything wider waits for a person,
   * unless `viaSetupCode` and nothing was approved before. The same ask keeps its request.
   */
  declare(node: PairedNode, declared: Surface, version: string, viaSetupCode: boolean): Promise<NodeRecord>;
  /** Undefined: no such request waits. */
  approve(requestId: string): Promise<NodeRecord | undefined>;
  reject(requestId: string): Promise<NodeRecord | undefined>;
  /** Forgets the nodes that are no longer paired, or were paired anew. */
  keepOnly(paired: readonly PairedNode[]): Promise<void>;
  close(): Promise<void>;
}

export async function openSurfaces(ports: {
  readonly file: SurfaceFile;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: SurfaceEvents;
}): Promise<Surfaces> {
  const { clock, events, file, log } = ports;
  let nodes = new Map<string, NodeRecord>();
  let unreadable: string | undefined;
  let working: Promise<unknown> = Promise.resolve();

  function serial<T>(action: () => Promise<T>): Promise<T> {
    const next = working.then(action, action);
    working = next.catch(() => {});
    return next;
  }

  async function takeOver(): Promise<void> {
    let found: Map<string, NodeRecord>;
    try {
      found = parseSurfaces(await file.read());
      unreadable = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== unreadable)
        log("error", "no node may be asked for anything: nodes/surfaces.json cannot be read", {
          error: message,
        });
      unreadable = message;
      found = new Map();
    }
    const before = nodes;
    nodes = found;
    for (const node of before.values())
      if (rightsOf(found.get(node.nodeId)) !== rightsOf(node)) events.changed(node.nodeId);
  }

  /** One change at a time, on what the file says now. `action` gives the new record; undefined drops the node. */
  function change(
    select: () => NodeRecord | undefined,
    action: (node: NodeRecord) => NodeRecord | undefined,
  ): Promise<NodeRecord | undefined> {
    return serial(async () => {
      await takeOver();
      if (unreadable !== undefined) throw new InputError(`nodes/surfaces.json: ${unreadable}`);
      const node = select();
      if (!node) return undefined;
      const next = action(node);
      if (next === nodes.get(node.nodeId)) return next;
      const written = new Map(nodes);
      if (next) written.set(node.nodeId, next);
      else written.delete(node.nodeId);
      await file.write({ version: 1, nodes: [...written.values()] });
      nodes = written;
      events.changed(node.nodeId);
      return next ?? node;
    });
  }

  const withRequest = (requestId: string) =>
    [...nodes.values()].find((node) => node.pending?.requestId === requestId);

  function declared(node: NodeRecord, surface: Surface, viaSetupCode: boolean): NodeRecord {
    const { pending, ...rest } = node;
    if (isCovered(surface, node.approved)) return pending ? rest : node;
    if (viaSetupCode && !node.approved)
      return {
        ...rest,
        approved: { ...surface, approvedAtMs: clock.now(), approvedVia: "setup-code" as const },
      };
    if (pending && isCovered(surface, pending) && isCovered(pending, surface)) return node;
    return { ...rest, pending: { ...surface, requestId: uuid(ports.random), ts: clock.now() } };
  }

  await takeOver();
  const unwatch = file.watch(() => void serial(takeOver));

  return {
    get: (nodeId) => nodes.get(nodeId),
    all: () => [...nodes.values()],
    request(requestId) {
      const node = withRequest(requestId);
      return node?.pending && { node, pending: node.pending };
    },
    async declare(paired, surface, version, viaSetupCode) {
      let before: NodeRecord | undefined;
      const fresh: NodeRecord = { ...paired, version };
      const after = await change(
        () => {
          const known = nodes.get(paired.nodeId);
          before = known?.pairedAtMs === paired.pairedAtMs ? known : undefined;
          return before ?? fresh;
        },
        (node) => {
          const next = declared(node, surface, viaSetupCode);
          return next.version === version ? next : { ...next, version };
        },
      );
      const node = after ?? fresh;
      const was = before?.pending?.requestId;
      if (was !== undefined && was !== node.pending?.requestId) events.resolved(node.nodeId, was, "rejected");
      if (node.pending && node.pending.requestId !== was) events.requested(node, node.pending);
      return node;
    },
    async approve(requestId) {
      const node = await change(
        () => withRequest(requestId),
        ({ pending, ...rest }) => {
          if (!pending) return rest;
          const { caps, commands, permissions } = pending;
          const approved = { caps, commands, permissions, approvedAtMs: clock.now() };
          return { ...rest, approved: { ...approved, approvedVia: "owner" as const } };
        },
      );
      if (node) events.resolved(node.nodeId, requestId, "approved");
      return node;
    },
    async reject(requestId) {
      const node = await change(
        () => withRequest(requestId),
        ({ pending: _pending, ...rest }) => rest,
      );
      if (node) events.resolved(node.nodeId, requestId, "rejected");
      return node;
    },
    async keepOnly(paired) {
      const since = new Map(paired.map((node) => [node.nodeId, node.pairedAtMs]));
      for (const { nodeId, pairedAtMs, pending } of nodes.values()) {
        if (since.get(nodeId) === pairedAtMs) continue;
        await change(
          () => {
            const now = nodes.get(nodeId);
            // It may have been paired anew while this waited for its turn.
            return now?.pairedAtMs === pairedAtMs ? now : undefined;
          },
          () => undefined,
        );
        events.resolved(nodeId, pending?.requestId ?? "", "removed");
      }
    },
    async close() {
      unwatch();
      await working;
    },
  };
}

/** What of a record gives rights, in one spelling. */
function rightsOf(node: NodeRecord | undefined): string {
  const { caps, commands, permissions } = node?.approved ?? { caps: [], commands: [], permissions: {} };
  return JSON.stringify([caps, commands, permissions]);
}
