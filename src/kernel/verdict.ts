import type { Reason } from "./reasons.ts";

/** A "no", with the stable reason that is recorded, shown and documented. */
export interface Refusal {
  readonly ok: false;
  readonly reason: Reason;
  /** What exactly was wrong, for the person who reads the record. Never holds a secret. */
  readonly detail: string;
}

/** A "yes" that carries what the next stage needs. */
export interface Admission<T> {
  readonly ok: true;
  readonly value: T;
}

/**
 * The outcome of a decision. Its zero is refuse: anything that is not literally an Admission
 * (undefined, {}, a forgotten branch) counts as a refusal in {@link admitted}.
 */
export type Verdict<T> = Admission<T> | Refusal;

export function admit<T>(value: T): Admission<T> {
  return { ok: true, value };
}

export function refuse(reason: Reason, detail = ""): Refusal {
  return { ok: false, reason, detail };
}

/** True only for a real Admission; the single test that callers may use before acting. */
export function admitted<T>(verdict: Verdict<T> | undefined | null): verdict is Admission<T> {
  return verdict?.ok === true;
}
