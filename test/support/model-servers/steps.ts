import type { EndReason } from "../../../src/agent/model.ts";

/** What a scripted model does next. An answer without a last word (`end`, `close`, `cut`, `stall`, …) ends by itself. */
export type Step =
  | { readonly text: string }
  | { readonly thinking: string }
  | { readonly refusal: string }
  /** Sent in `fragments` pieces (default 3). `id` defaults to call_1, call_2 … */
  | {
      readonly call: {
        readonly name: string;
        readonly arguments: string;
        readonly id?: string;
        readonly fragments?: number;
      };
    }
  | {
      readonly usage: {
        readonly input: number;
        readonly output: number;
        readonly cacheRead?: number;
        readonly cacheWrite?: number;
      };
    }
  /** With `open`, the body goes on after the last word. */
  | { readonly end: EndReason; readonly open?: true }
  /** Instead of a stream: an answer with this status. */
  | {
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The wire's own error event, in the middle of the stream. */
  | { readonly error: { readonly code: string; readonly message: string } }
  /** These bytes, as they are, into the stream. */
  | { readonly raw: string }
  /** Ends the body properly, without the wire's last event. */
  | { readonly close: true }
  /** Closes the socket in the middle of the body. */
  | { readonly cut: true }
  /** Closes the socket before any byte of an answer. */
  | { readonly drop: true }
  /** Sends nothing more, and keeps the socket. */
  | { readonly stall: true }
  /** Goes on when this resolves. */
  | { readonly wait: Promise<unknown> };

/** The steps that leave nothing to say. */
export function isLast(step: Step): boolean {
  return ["end", "status", "error", "close", "cut", "drop", "stall"].some((name) => name in step);
}
