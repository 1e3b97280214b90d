import { type Reason, reasonText } from "../../kernel/mod.ts";
import type { HttpAnswer } from "../../network/mod.ts";
import { json } from "./answers.ts";

export const problemType = { "content-type": "application/json; charset=utf-8" } as const;

export function problem(status: number, error: string): HttpAnswer {
  return json(status, { ok: false, error });
}

export function later(error: string): HttpAnswer {
  return json(503, { ok: false, error }, { "retry-after": "1" });
}

export function problemOf(answer: HttpAnswer): HttpAnswer {
  const { error } = JSON.parse(String(answer.body)) as { error: string | { message: string } };
  const headers = answer.headers ?? {};
  return json(
    answer.status,
    { ok: false, error: typeof error === "string" ? error : error.message },
    headers,
  );
}

export function refusal(reason: Reason): HttpAnswer {
  if (reason === "delivery.conflict")
    return problem(409, "this idempotency key was used for another message");
  if (reason === "session.message_too_large") return problem(413, reasonText(reason));
  return later(reasonText(reason));
}

/** There is no heartbeat yet that an event could wait for: every wake is at once, and says so. */
export function woken(): HttpAnswer {
  return json(200, { ok: true, mode: "now", eventOutcome: "queued" });
}
