import { type Clock, type Random, uuid } from "../kernel/mod.ts";

export interface WorkItem {
  readonly id: string;
  readonly type: "status.request" | "location.request";
  readonly priority: "normal" | "high";
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** What nodes are to do when they next look: bounded, in memory, gone when it expires. */
export interface PendingWork {
  /** The same kind of request waits once: asking again renews it. Undefined: too many nodes have work waiting. */
  enqueue(
    nodeId: string,
    item: Pick<WorkItem, "type"> & {
      readonly priority?: WorkItem["priority"];
      readonly expiresInMs?: number;
    },
  ): { readonly revision: number; readonly queued: WorkItem } | undefined;
  /** Hands out and forgets, urgent first. */
  drain(
    nodeId: string,
    maxItems: number,
  ): { readonly revision: number; readonly items: readonly WorkItem[]; readonly hasMore: boolean };
  acknowledge(
    nodeId: string,
    ids: readonly string[],
  ): { readonly ackedIds: readonly string[]; readonly remainingCount: number };
  forget(nodeId: string): void;
}

const maxNodes = 1000;
const defaultLifetimeMs = 10 * 60 * 1000;

export function createPendingWork(ports: { readonly clock: Clock; readonly random: Random }): PendingWork {
  const queues = new Map<string, { revision: number; items: WorkItem[] }>();

  function current(nodeId: string) {
    const queue = queues.get(nodeId) ?? { revision: 0, items: [] };
    queue.items = queue.items.filter((item) => item.expiresAtMs > ports.clock.now());
    return queue;
  }

  return {
    enqueue(nodeId, asked) {
      if (!queues.has(nodeId) && queues.size >= maxNodes) return undefined;
      const queue = current(nodeId);
      const createdAtMs = ports.clock.now();
      const queued: WorkItem = {
        id: uuid(ports.random),
        type: asked.type,
        priority: asked.priority ?? "normal",
        createdAtMs,
        expiresAtMs: createdAtMs + (asked.expiresInMs ?? defaultLifetimeMs),
      };
      queue.items = [...queue.items.filter((item) => item.type !== asked.type), queued];
      queue.revision += 1;
      queues.set(nodeId, queue);
      return { revision: queue.revision, queued };
    },
    drain(nodeId, maxItems) {
      const queue = current(nodeId);
      const urgentFirst = queue.items.toSorted(
        (a, b) => Number(b.priority === "high") - Number(a.priority === "high"),
      );
      const items = urgentFirst.slice(0, maxItems);
      queue.items = urgentFirst.slice(maxItems);
      if (items.length > 0) queue.revision += 1;
      return { revision: queue.revision, items, hasMore: queue.items.length > 0 };
    },
    acknowledge(nodeId, ids) {
      const queue = current(nodeId);
      const ackedIds = queue.items.filter((item) => ids.includes(item.id)).map((item) => item.id);
      queue.items = queue.items.filter((item) => !ackedIds.includes(item.id));
      if (ackedIds.length > 0) queue.revision += 1;
      return { ackedIds, remainingCount: queue.items.length };
    },
    forget: (nodeId) => void queues.delete(nodeId),
  };
}
