import { type Cancel, type Clock, type Log, type Random, uuid } from "../kernel/mod.ts";

/** One live socket of a node. */
export interface NodeConnection {
  readonly id: string;
  readonly nodeId: string;
  /** Sends an event to this socket only. */
  send(event: "node.invoke.request" | "node.invoke.cancel" | "node.pair.resolved", payload: unknown): void;
}

export interface Invocation {
  readonly command: string;
  /** JSON text, bounded by the caller. */
  readonly paramsJSON: string | undefined;
  readonly timeoutMs: number;
  readonly idempotencyKey: string;
  /** Whose it is: what somebody began ends when he loses his rights. */
  readonly owner: string;
  /** What events of the node about it must name. */
  readonly run?: { readonly runId: string; readonly sessionKey: string };
  readonly signal?: AbortSignal;
  /** Text that the node sends before it is done, in order. */
  readonly progress?: (chunk: string) => void;
}

export type InvokeOutcome =
  | { readonly ok: true; readonly payload?: unknown; readonly payloadJSON?: string }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      /** False: the node never heard of it. */
      readonly dispatched: boolean;
    };

export interface InvokeResult {
  readonly id: string;
  readonly nodeId: string;
  readonly ok: boolean;
  readonly payload?: unknown;
  readonly payloadJSON?: string;
  readonly error?: { readonly code?: string; readonly message?: string };
}

/** What nodes were asked for and have not answered. */
export interface Invocations {
  start(connection: NodeConnection, invocation: Invocation): Promise<InvokeOutcome>;
  /** False: nothing waits for it here, so it was dropped. */
  result(connectionId: string, result: InvokeResult): boolean;
  progress(
    connectionId: string,
    chunk: {
      readonly invokeId: string;
      readonly nodeId: string;
      readonly seq: number;
      readonly chunk: string;
    },
  ): boolean;
  /** True when this connection was asked to run this and has not answered. */
  isRunning(connectionId: string, runId: string, sessionKey: string): boolean;
  connectionLost(connectionId: string): void;
  /** Cancels those for which `fits` is true. */
  cancel(fits: (nodeId: string, command: string, owner: string) => boolean): void;
}

interface Waiting {
  readonly connection: NodeConnection;
  readonly invocation: Invocation;
  readonly finish: (outcome: InvokeOutcome) => void;
  lastSeq: number;
}

const maxPerNode = 32;
/** One line of the log per node and second about answers that nobody waits for. */
const complainEveryMs = 1000;

export function createInvocations(ports: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): Invocations {
  const { clock, log } = ports;
  const waiting = new Map<string, Waiting>();
  const complainedAt = new Map<string, number>();

  function find(connectionId: string, id: string, nodeId: string): Waiting | undefined {
    const found = waiting.get(id);
    // From the very connection that was asked: neither another node nor an older socket of this one answers for it.
    if (found && found.connection.id === connectionId && found.connection.nodeId === nodeId) return found;
    const last = complainedAt.get(connectionId);
    if (last === undefined || clock.monotonic() - last >= complainEveryMs) {
      complainedAt.set(connectionId, clock.monotonic());
      log("warn", "a node answered what it was not asked, or too late; dropped", { id, nodeId });
    }
    return undefined;
  }

  const ofNode = (nodeId: string) =>
    [...waiting.values()].filter((item) => item.connection.nodeId === nodeId).length;

  function cancelOne(id: string, item: Waiting, code: string, message: string): void {
    item.connection.send("node.invoke.cancel", { invokeId: id, nodeId: item.connection.nodeId });
    item.finish({ ok: false, code, message, dispatched: true });
  }

  return {
    start(connection, invocation) {
      const { nodeId } = connection;
      if (invocation.signal?.aborted)
        return Promise.resolve(failed("CANCELLED", "the invocation was cancelled", false));
      if (ofNode(nodeId) >= maxPerNode)
        return Promise.resolve(failed("BUSY", "the node is busy: too many invocations run on it", false));
      const id = uuid(ports.random);
      return new Promise((resolve) => {
        const cleanUp: Cancel[] = [];
        const item: Waiting = {
          connection,
          invocation,
          lastSeq: -1,
          finish(outcome) {
            if (!waiting.delete(id)) return;
            for (const step of cleanUp) step();
            resolve(outcome);
          },
        };
        waiting.set(id, item);
        cleanUp.push(
          clock.after(invocation.timeoutMs, () => cancelOne(id, item, "TIMEOUT", "node invoke timed out")),
        );
        const { signal } = invocation;
        if (signal) {
          const onAbort = () => cancelOne(id, item, "CANCELLED", "the invocation was cancelled");
          signal.addEventListener("abort", onAbort, { once: true });
          cleanUp.push(() => signal.removeEventListener("abort", onAbort));
        }
        connection.send("node.invoke.request", {
          id,
          nodeId,
          command: invocation.command,
          ...(invocation.paramsJSON === undefined ? {} : { paramsJSON: invocation.paramsJSON }),
          timeoutMs: invocation.timeoutMs,
          idempotencyKey: invocation.idempotencyKey,
        });
      });
    },
    result(connectionId, result) {
      const item = find(connectionId, result.id, result.nodeId);
      if (!item) return false;
      item.finish(outcomeOf(result));
      return true;
    },
    progress(connectionId, { invokeId, nodeId, seq, chunk }) {
      const item = find(connectionId, invokeId, nodeId);
      if (!item || seq <= item.lastSeq) return false;
      item.lastSeq = seq;
      item.invocation.progress?.(chunk);
      return true;
    },
    isRunning: (connectionId, runId, sessionKey) =>
      [...waiting.values()].some(
        ({ connection, invocation }) =>
          connection.id === connectionId &&
          invocation.run?.runId === runId &&
          invocation.run.sessionKey === sessionKey,
      ),
    connectionLost(connectionId) {
      complainedAt.delete(connectionId);
      for (const { connection, invocation, finish } of [...waiting.values()])
        if (connection.id === connectionId)
          finish(failed("DISCONNECTED", `node disconnected (${invocation.command})`, true));
    },
    cancel(fits) {
      for (const [id, item] of [...waiting])
        if (fits(item.connection.nodeId, item.invocation.command, item.invocation.owner))
          cancelOne(id, item, "CANCELLED", "the invocation was cancelled");
    },
  };
}

function failed(code: string, message: string, dispatched: boolean): InvokeOutcome {
  return { ok: false, code, message, dispatched };
}

function outcomeOf(result: InvokeResult): InvokeOutcome {
  if (!result.ok) {
    const { code = "UNAVAILABLE", message = "the node gave no reason" } = result.error ?? {};
    return failed(code.slice(0, 100), message.slice(0, 10_000), true);
  }
  const { payloadJSON } = result;
  if (payloadJSON === undefined)
    return result.payload === undefined
      ? { ok: true }
      : { ok: true, payload: result.payload, payloadJSON: JSON.stringify(result.payload) };
  try {
    return { ok: true, payload: JSON.parse(payloadJSON), payloadJSON };
  } catch {
    return failed("INVALID_RESULT", "the node's result is not JSON", true);
  }
}
