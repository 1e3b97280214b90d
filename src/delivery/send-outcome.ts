import type { Clock, Commit, Log, Write } from "../kernel/mod.ts";
import type { Channel, SendResult } from "./channel.ts";
import type { OutboxRow, OutboxState, OutboxStore } from "./queue.ts";

export interface SenderPorts {
  readonly store: OutboxStore;
  readonly commit: Commit;
  readonly clock: Clock;
  readonly log: Log;
  readonly channel: (id: string, account: string) => Channel | undefined;
  /** What the record says about a step of this row; committed together with the step. */
  readonly record: (row: OutboxRow, step: "start" | OutboxState, detail: string | undefined) => Write;
  /** Told once a final state is on disk. */
  readonly settled: (row: OutboxRow, state: OutboxState) => void;
}

export const maxAttempts = 12;
export const maxWaitMs = 300_000;

/** What became of a row: on disk in one commit with its record, and told once it is there. */
export function createSendOutcomes(ports: SenderPorts) {
  const firstOf = ({ message }: OutboxRow) =>
    message.edits === undefined ? undefined : ports.store.byId(message.edits);

  /** What would replace a mere sign of work that never came, or nobody knows where, is a message of its own. */
  function isEdit(row: OutboxRow): boolean {
    const first = firstOf(row);
    return row.message.edits !== undefined && !(first?.message.isStatus && first.platformId === undefined);
  }

  /** By what the channel said. Returns the row to try again, or undefined when it reached a final state. */
  async function settle(row: OutboxRow, result: SendResult): Promise<OutboxRow | undefined> {
    const at = ports.clock.now();
    if (result.outcome === "sent") {
      await move(row, "sent", at, undefined, result.platformId);
      return undefined;
    }
    // The connection went between the look at it and the send: an outage, and no failed attempt.
    const isOutage = ports.channel(row.channel, row.account)?.isConnected === false;
    if (result.outcome === "retry" && (isOutage || row.attempts < maxAttempts)) {
      const attempts = row.attempts - (isOutage ? 1 : 0);
      const notBefore = isOutage ? at : at + Math.max(result.retryAfterMs, backoffMs(attempts));
      const { detail } = result;
      await ports.commit([ports.store.move(row.id, { state: "pending", attempts, notBefore, detail, at })]);
      return { ...row, state: "pending", attempts, notBefore };
    }
    const state = result.outcome === "unknown" ? "unknown" : "rejected";
    // Somebody took the message away that this was to complete, or it is too old: the reply is wanted all the same.
    if (result.outcome === "rejected" && isEdit(row) && firstOf(row)?.platformId !== undefined)
      return sendInstead(row, result.detail, at);
    ports.log("warn", `a reply was not delivered (${state})`, {
      id: row.id,
      channel: row.channel,
      detail: result.detail,
    });
    await move(row, state, at, result.detail);
    return undefined;
  }

  /** A row of its own, in the commit that ends the edit: a crash leaves one or the other. */
  async function sendInstead(row: OutboxRow, detail: string, at: number): Promise<OutboxRow> {
    const id = `${row.id}n`;
    const { edits: _, ...message } = row.message;
    const own: OutboxRow = {
      ...row,
      id,
      message: { ...message, id },
      state: "pending",
      attempts: 0,
      notBefore: 0,
      createdAt: at,
      updatedAt: at,
    };
    await ports.commit([
      ports.store.move(row.id, { state: "dismissed", attempts: row.attempts, notBefore: 0, detail, at }),
      ports.record(row, "dismissed", detail),
      ports.store.insert(own),
    ]);
    ports.settled(row, "dismissed");
    return own;
  }

  async function move(
    row: OutboxRow,
    state: OutboxState,
    at: number,
    detail?: string,
    platformId?: string,
    givenUpAfterMessageId?: string,
  ): Promise<void> {
    await ports.commit([
      ports.store.move(row.id, {
        state,
        attempts: row.attempts,
        notBefore: 0,
        at,
        ...(detail === undefined ? {} : { detail }),
        ...(platformId === undefined ? {} : { platformId }),
        ...(givenUpAfterMessageId === undefined ? {} : { givenUpAfterMessageId }),
        ...countedAs(row, platformId),
      }),
      ports.record(row, state, detail),
    ]);
    ports.settled(row, state);
  }

  /** The next start must know how far the numbers have come. */
  function countedAs(row: OutboxRow, platformId: string | undefined) {
    const counter = ports.channel(row.channel, row.account)?.counterOf?.(row.message.conversation);
    const number = Number(platformId);
    return counter === undefined || !Number.isSafeInteger(number)
      ? {}
      : { counted: { of: row, counter, number } };
  }

  return { settle, move, isEdit, firstOf };
}

/** 1 s, 2 s, 4 s ... at most 5 minutes. */
export function backoffMs(attempts: number): number {
  return Math.min(maxWaitMs, 1000 * 2 ** Math.max(0, attempts - 1));
}
