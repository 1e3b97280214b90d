import type { Principal, Scope } from "../auth/mod.ts";
import type { Schema } from "../kernel/mod.ts";
import type { Subscriber } from "./hub.ts";

/** What a method knows of its caller. */
export interface Call {
  readonly principal: Principal;
  readonly connection: Subscriber;
  /** Sends one more answer to the same request; for methods that answer twice. */
  readonly answerAgain: (
    payload: unknown,
    error?: { readonly code: string; readonly message: string },
  ) => void;
}

/**
 * One row of the table that drives dispatch, hello-ok, the documentation and the tests: who may call it, with what,
 * and whether the record says so.
 */
export interface Method<P = unknown> {
  readonly name: string;
  /** Whose method it is; an operator's when it does not say. */
  readonly role?: "operator" | "node" | "both";
  /** Undefined: any authenticated caller. */
  readonly scope: Scope | undefined;
  /** A scope that depends on the parameters; checked after their shape, in addition. */
  scopeFor?(params: NoInfer<P>): Scope | undefined;
  readonly params: Schema<P>;
  /** How long a request of this method may be, as JSON; undefined: {@link defaultMaxBytes}. */
  readonly maxBytes?: number;
  /** Writes to the control plane: at most so many in 60 s, per device and address. */
  readonly perMinute?: number;
  /**
   * What a repeated `idempotencyKey` does: "own": the method keeps a book of its own;
   * "remembered": the same caller gets the same answer for ten minutes, and nothing runs twice.
   */
  readonly repeats?: "own" | "remembered";
  /** An administrative action: recorded, with what it changed. */
  admin?(params: NoInfer<P>): {
    readonly action: string;
    readonly facts?: Readonly<Record<string, string | number | boolean>>;
  };
  run(params: NoInfer<P>, call: Call): unknown;
}

export const defaultMaxBytes = 262_144;

/** Keeps a row's parameter type together while it is written. */
export function method<P>(row: Method<P>): Method {
  return row;
}
