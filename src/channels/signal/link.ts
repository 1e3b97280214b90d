import type { Json } from "../../kernel/mod.ts";
import { HttpFault } from "../http-calls.ts";
import { RpcFault } from "../line-rpc.ts";

/** A connection to signal-cli, by whichever of its doors. */
export interface SignalLink {
  /** One of signal-cli's commands. Rejects with an {@link RpcFault} and nothing else. */
  call(method: string, params: Readonly<Record<string, unknown>>, options: CallOptions): Promise<unknown>;
  /**
   * Listens until the signal aborts (resolves) or the connection is lost (rejects with an RpcFault). `ready` is called
   * when it stands. Where signal-cli numbers its events, they carry marks, and those after `events.mark` come first.
   */
  listen(events: LinkEvents, signal: AbortSignal): Promise<void>;
}

export interface CallOptions {
  readonly deadlineMs: number;
  readonly maxBytes?: number;
}

export interface LinkEvents {
  readonly mark: string | undefined;
  ready(): void;
  /** Nothing more is read before it resolves. */
  event(event: Json, mark?: string): Promise<void>;
}

export const callDeadlineMs = 30_000;
export const heartbeatMs = 60_000;
/** An envelope is small; what comes with it is fetched by itself. */
export const maxEventChars = 4 * 1024 * 1024;

/** An HTTP call's failure as a call's. */
export function faultOf(error: unknown): RpcFault {
  if (error instanceof RpcFault) return error;
  if (error instanceof HttpFault) return new RpcFault(error.message, error.reached);
  return new RpcFault("an unexpected error", true);
}
