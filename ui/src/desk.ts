import { AnswerLost, GatewayRefusal } from "./link.ts";
import type { Memory } from "./memory.ts";
import type { PageClock } from "./page-clock.ts";
import type { State } from "./state.ts";
import type { Store } from "./store.ts";
import type { Fields } from "./untrusted.ts";

/** What the parts of the page work with. */
export interface Desk {
  readonly store: Store<State>;
  readonly clock: PageClock;
  readonly memory: Memory;
  /** A fresh random id. */
  newId(): string;
  /** Rejects with GatewayRefusal or AnswerLost. */
  call(method: string, params?: Fields): Promise<unknown>;
  notify(tone: "info" | "problem", text: string): void;
}

/** What went wrong and what to do next, in a sentence or two. */
export function problemText(what: string, error: unknown): string {
  if (error instanceof GatewayRefusal) return `${what}: ${error.message}`;
  if (error instanceof AnswerLost) return `${what}: ${error.message} It is safe to try again.`;
  return `${what}. Reload the page and try again.`;
}

export function gatewayNowMs(desk: Pick<Desk, "store" | "clock">): number {
  return desk.clock.nowMs() + desk.store.state.gateway.clockOffsetMs;
}
