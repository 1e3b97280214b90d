import { sleep } from "../kernel/mod.ts";
import type { OutboxRow } from "./queue.ts";
import { createSendAttempts, storeRetryMs } from "./send-attempt.ts";
import type { SenderPorts } from "./send-outcome.ts";

/** Carries outbox rows to their platforms, one conversation at a time, in order. */
export interface Sender {
  /** Rows that were just committed as pending. Until {@link resume} they wait behind what a stopped gateway left. */
  offer(rows: readonly OutboxRow[]): void;
  /**
   * Begins. First what a stopped gateway left when this sender was made: `sending` rows are asked about or become
   * `unknown`, the rest is sent; then what was offered meanwhile.
   */
  resume(): void;
  /** Resolves when nothing is being sent; what waits stays pending on disk. */
  stop(): Promise<void>;
}

export function createOutboxSender(ports: SenderPorts): Sender {
  // One queue per conversation; a conversation that waits for a retry holds only itself up.
  const queues = new Map<string, OutboxRow[]>();
  const active = new Set<Promise<void>>();
  const stopSignal = new AbortController();
  const attempt = createSendAttempts(ports, stopSignal.signal);
  // Read before anything new can be offered: a row that is in both would be sent twice, or, being on its way, be
  // taken for one that a crash interrupted.
  const left = ports.store.open();
  let held: OutboxRow[] | undefined = [];

  function conversationOf(row: OutboxRow): string {
    const { conversation } = row.message;
    return [row.channel, row.account, conversation.id, conversation.threadId ?? ""].join("\n");
  }

  function offer(rows: readonly OutboxRow[]): void {
    if (held) held.push(...rows);
    else begin(rows);
  }

  function begin(rows: readonly OutboxRow[]): void {
    for (const row of rows) {
      const key = conversationOf(row);
      const queue = queues.get(key);
      if (queue) queue.push(row);
      else {
        queues.set(key, [row]);
        const work = drain(key).finally(() => active.delete(work));
        active.add(work);
      }
    }
  }

  async function drain(key: string): Promise<void> {
    const queue = queues.get(key) ?? [];
    while (queue.length > 0 && !stopSignal.signal.aborted) {
      const row = queue[0] as OutboxRow;
      try {
        const next = await attempt(row);
        if (next === undefined) queue.shift();
        else queue[0] = next;
      } catch (error) {
        // The store refused (disk full): the row stays pending on disk, and is tried again later.
        ports.log("error", "outbox: the store refused a step", {
          id: row.id,
          error: (error as Error).message,
        });
        await sleep(ports.clock, storeRetryMs, stopSignal.signal);
      }
    }
    queues.delete(key);
  }

  return {
    offer,
    resume() {
      const waiting = held ?? [];
      held = undefined;
      begin([...left.splice(0), ...waiting]);
    },
    async stop() {
      stopSignal.abort();
      await Promise.all([...active]);
    },
  };
}
