import type { Clock, Secret } from "../../kernel/mod.ts";
import { type HttpAnswer, type HttpCalls, HttpFault } from "../http-calls.ts";

/** Why a call failed, in words that are safe to log and show. */
export type ApiFailure =
  /** Slack answered no; `error` is its own word for why. */
  | { readonly kind: "answer"; readonly error: string }
  /** An answer that is not Slack's: a proxy's, or a server's that has trouble. */
  | { readonly kind: "http"; readonly status: number }
  /** Too many calls: surely not done. */
  | { readonly kind: "limited"; readonly retryAfterMs: number }
  /** No answer came; `reached` is false only when the request surely never left. */
  | { readonly kind: "network"; readonly code: string; readonly reached: boolean };

export class ApiFault extends Error {
  readonly method: string;
  readonly failure: ApiFailure;

  constructor(method: string, failure: ApiFailure) {
    super(`slack ${method}: ${failureText(failure)}`);
    this.name = "ApiFault";
    this.method = method;
    this.failure = failure;
  }
}

export function failureText(failure: ApiFailure): string {
  switch (failure.kind) {
    case "answer":
      return failure.error;
    case "http":
      return `HTTP ${failure.status}`;
    case "limited":
      return `429: a pause of ${Math.ceil(failure.retryAfterMs / 1000)} s`;
    case "network":
      return failure.reached ? `no answer (${failure.code})` : `not reached (${failure.code})`;
  }
}

export interface ApiCall {
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface WebApi {
  /** Slack's answer to a method of its Web API. Rejects with an {@link ApiFault} and nothing else. */
  call(
    method: string,
    args: Readonly<Record<string, unknown>>,
    call?: ApiCall,
  ): Promise<Readonly<Record<string, unknown>>>;
}

export interface WebApiOptions {
  /** Without a trailing slash. */
  readonly apiRoot: string;
  readonly token: Secret;
  readonly http: HttpCalls;
  readonly clock: Clock;
}

const callDeadlineMs = 15_000;
const limitedMs = 30_000;

/** The methods of the Web API, each held back on its own for as long as Slack asks for. */
export function openWebApi({ apiRoot, token, http, clock }: WebApiOptions): WebApi {
  /** When a method may be called again; monotonic ms. Only for methods that send nothing: see `call`. */
  const restUntil = new Map<string, number>();

  return {
    async call(method, args, { deadlineMs = callDeadlineMs, signal } = {}) {
      const waitMs = (restUntil.get(method) ?? 0) - clock.monotonic();
      if (waitMs > 0) throw new ApiFault(method, { kind: "limited", retryAfterMs: waitMs });
      let answer: HttpAnswer;
      try {
        answer = await http(`${apiRoot}/${method}`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${token.reveal()}`,
            // Methods that read take no JSON; those that write take both.
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
          },
          body: formOf(args),
          deadlineMs,
          ...(signal ? { signal } : {}),
        });
      } catch (error) {
        throw new ApiFault(method, networkFailure(error));
      }
      if (answer.status === 429) {
        const seconds = Number(answer.headers["retry-after"]);
        const retryAfterMs = seconds > 0 ? Math.ceil(seconds * 1000) : limitedMs;
        // A message has limits of its own per conversation, which the outbox keeps; other methods have one each.
        if (!method.startsWith("chat.")) restUntil.set(method, clock.monotonic() + retryAfterMs);
        throw new ApiFault(method, { kind: "limited", retryAfterMs });
      }
      return read(method, answer);
    },
  };
}

function read(method: string, { status, body }: HttpAnswer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {}
  const isAnswer = typeof value === "object" && value !== null && "ok" in value;
  if (!isAnswer) {
    // A 200 that is not Slack's JSON says nothing about what was done.
    if (status < 300) throw new ApiFault(method, { kind: "network", code: "ANSWER_NOT_JSON", reached: true });
    throw new ApiFault(method, { kind: "http", status });
  }
  const { ok, error } = value as { readonly ok: unknown; readonly error?: unknown };
  if (ok === true) return value as Readonly<Record<string, unknown>>;
  const word = typeof error === "string" && /^[\w-]{1,60}$/.test(error) ? error : "unknown_error";
  throw new ApiFault(method, { kind: "answer", error: word });
}

function formOf(args: Readonly<Record<string, unknown>>): string {
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(args)) {
    if (value !== undefined) form.set(key, typeof value === "string" ? value : JSON.stringify(value));
  }
  return form.toString();
}

function networkFailure(error: unknown): ApiFailure {
  if (error instanceof HttpFault) return { kind: "network", code: error.code, reached: error.reached };
  return { kind: "network", code: "UNEXPECTED", reached: true };
}
