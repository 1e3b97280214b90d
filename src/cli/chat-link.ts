import type { EventFrame } from "../control/protocol.ts";
import { type Clock, sleep } from "../kernel/mod.ts";
import { type GatewayClient, GatewayRefusal } from "./client.ts";
import { CommandFailure } from "./failure.ts";

/** A connection that comes back after the gateway was restarted, and sends again what was not answered. */
export interface ChatLink {
  request(method: string, params?: unknown): Promise<unknown>;
  /** Sends a message; it counts as unanswered until `settle(runId)`. */
  send(message: PendingMessage): Promise<void>;
  settle(runId: string): void;
  /** The run whose answer is still to come, latest first; undefined when there is none. */
  latest(): PendingMessage | undefined;
  close(): void;
}

export interface PendingMessage {
  /** The idempotency key: the same however often it is sent, so that the agent reads it once. */
  readonly runId: string;
  readonly sessionKey: string;
  readonly text: string;
}

export interface LinkPorts {
  readonly clock: Clock;
  readonly connect: () => Promise<GatewayClient>;
  readonly event: (event: EventFrame) => void;
  readonly lost: () => void;
  readonly back: (client: GatewayClient) => void;
  /** A message whose run ended while nobody listened. */
  readonly endedMeanwhile: (message: PendingMessage) => void;
  readonly refused: (message: PendingMessage, why: string) => void;
  /** The gateway refuses us for good: the link is of no more use. */
  readonly failed: (error: Error) => void;
}

const firstRetryMs = 200;
const lastRetryMs = 3000;

/** Rejects when the first connection cannot be made. */
export async function openLink(ports: LinkPorts): Promise<ChatLink> {
  const pending = new Map<string, PendingMessage>();
  const stop = new AbortController();
  let client = await ports.connect();
  watch();

  function watch(): void {
    client.onEvent(ports.event);
    client.onClose(() => {
      if (stop.signal.aborted) return;
      ports.lost();
      void comeBack();
    });
  }

  async function comeBack(): Promise<void> {
    for (let waitMs = firstRetryMs; !stop.signal.aborted; waitMs = Math.min(lastRetryMs, waitMs * 1.5)) {
      await sleep(ports.clock, waitMs, stop.signal);
      if (stop.signal.aborted) return;
      try {
        client = await ports.connect();
      } catch (error) {
        if (error instanceof CommandFailure && error.exitCode === 3) continue;
        return ports.failed(error as Error);
      }
      watch();
      ports.back(client);
      for (const message of pending.values()) await offer(message);
      return;
    }
  }

  async function offer(message: PendingMessage): Promise<void> {
    const { runId, sessionKey, text } = message;
    try {
      const answer = await client.request("chat.send", { sessionKey, message: text, idempotencyKey: runId });
      if ((answer as { status?: string }).status === "ok") ports.endedMeanwhile(message);
    } catch (error) {
      // Not refused, only not answered: it stays pending, and is offered again with the next connection.
      if (!(error instanceof GatewayRefusal) || isStopping(error)) return;
      pending.delete(runId);
      ports.refused(message, (error as Error).message);
    }
  }

  return {
    request: (method, params) => client.request(method, params),
    async send(message) {
      pending.set(message.runId, message);
      await offer(message);
    },
    settle: (runId) => void pending.delete(runId),
    latest: () => [...pending.values()].at(-1),
    close() {
      stop.abort();
      client.close();
    },
  };
}

/** A gateway that is being restarted takes no more messages, but its successor will. */
function isStopping(error: GatewayRefusal): boolean {
  return error.wire.details?.reason === "delivery.draining";
}
