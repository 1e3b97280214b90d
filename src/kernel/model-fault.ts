/**
 * Why a model call failed, in the words that decide what happens next.
 * `auth`, `billing`, `badRequest`, `contextOverflow` are final; the rest may be tried again.
 */
export type ModelFaultKind =
  | "auth"
  | "billing"
  | "badRequest"
  | "contextOverflow"
  | "rateLimit"
  | "overloaded"
  | "server"
  | "timeout"
  | "network"
  | "protocol"
  | "aborted";

const final: readonly ModelFaultKind[] = ["auth", "billing", "badRequest", "contextOverflow", "aborted"];

/** Thrown by a provider. The message names the provider, what it answered and what to do; it never holds a key. */
export class ModelFault extends Error {
  readonly kind: ModelFaultKind;
  /** HTTP status, where there was one. */
  readonly status: number | undefined;
  /** The provider's own Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: ModelFaultKind, message: string, more: { status?: number; retryAfterMs?: number } = {}) {
    super(message);
    this.name = "ModelFault";
    this.kind = kind;
    this.status = more.status;
    this.retryAfterMs = more.retryAfterMs;
  }

  get retryable(): boolean {
    return !final.includes(this.kind);
  }
}
