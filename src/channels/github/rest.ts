import type { Clock } from "../../kernel/mod.ts";
import { type HttpAnswer, type HttpCall, type HttpCalls, HttpFault } from "../http-calls.ts";

/** Why a call failed, in words that are safe to log and show. */
export type ApiFailure =
  /** GitHub answered no; `word` is GraphQL's own for why. */
  | { readonly kind: "answer"; readonly status: number; readonly word?: string }
  /** Too many calls: surely not done. */
  | { readonly kind: "limited"; readonly retryAfterMs: number }
  /** No answer came; `reached` is false only when the request surely never left. */
  | { readonly kind: "network"; readonly code: string; readonly reached: boolean };

export class ApiFault extends Error {
  readonly failure: ApiFailure;

  constructor(failure: ApiFailure) {
    super(`github: ${failureText(failure)}`);
    this.name = "ApiFault";
    this.failure = failure;
  }
}

export function failureText(failure: ApiFailure): string {
  switch (failure.kind) {
    case "answer":
      return `HTTP ${failure.status}${failure.word === undefined ? "" : ` ${failure.word}`}`;
    case "limited":
      return `rate limit: a pause of ${Math.ceil(failure.retryAfterMs / 1000)} s`;
    case "network":
      return failure.reached ? `no answer (${failure.code})` : `not reached (${failure.code})`;
  }
}

export interface RestCall {
  readonly method: HttpCall["method"];
  /** Below the API's root, with its query. */
  readonly path: string;
  /** A token in clear. */
  readonly token: string;
  readonly json?: object;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface RestAnswer {
  readonly value: unknown;
  /** The path and query of the next page, where there is one below the API's root. */
  readonly next: string | undefined;
}

/** Rejects with an {@link ApiFault} and nothing else. */
export interface Rest {
  call(call: RestCall): Promise<RestAnswer>;
  /** The `data` of a GraphQL answer. */
  query(
    query: string,
    variables: Readonly<Record<string, unknown>>,
    call: Pick<RestCall, "token" | "deadlineMs" | "signal">,
  ): Promise<Readonly<Record<string, unknown>>>;
}

export const callDeadlineMs = 15_000;
/** https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: where GitHub names no time. */
const limitedMs = 60_000;

/** `apiRoot` is without a trailing slash: https://api.github.com, or https://<server>/api/v3. */
export function openRest(ports: {
  readonly apiRoot: string;
  readonly http: HttpCalls;
  readonly clock: Clock;
}): Rest {
  const { apiRoot, clock } = ports;

  async function answerTo(url: string, { method, token, json, deadlineMs, signal }: RestCall) {
    let answer: HttpAnswer;
    try {
      answer = await ports.http(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/vnd.github+json",
          "x-github-api-version": "2022-11-28",
          "user-agent": "openclaw",
          ...(json === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        deadlineMs: deadlineMs ?? callDeadlineMs,
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      throw new ApiFault(networkFailure(error));
    }
    const { status } = answer;
    if (status >= 200 && status < 300) return { answer, value: parse(answer) };
    const retryAfterMs = limitOf(answer, clock);
    if (retryAfterMs !== undefined) throw new ApiFault({ kind: "limited", retryAfterMs });
    throw new ApiFault({ kind: "answer", status });
  }

  return {
    async call(call) {
      const { answer, value } = await answerTo(`${apiRoot}${call.path}`, call);
      return { value, next: nextOf(answer, apiRoot) };
    },
    async query(query, variables, call) {
      const url = `${apiRoot.replace(/\/v3$/, "")}/graphql`;
      const json = { query, variables };
      const { value } = await answerTo(url, { method: "POST", path: "", json, ...call });
      const { data, errors } = (value ?? {}) as { readonly data?: unknown; readonly errors?: unknown };
      if (Array.isArray(errors) && errors.length > 0) throw new ApiFault(graphFailure(errors));
      if (typeof data !== "object" || data === null) throw new ApiFault(notJson);
      return data as Readonly<Record<string, unknown>>;
    },
  };
}

/** A 200 that is not GitHub's says nothing about what was done. */
const notJson: ApiFailure = { kind: "network", code: "ANSWER_NOT_JSON", reached: true };

function parse({ status, body }: HttpAnswer): unknown {
  if (status === 204 || (status === 202 && body.length === 0)) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new ApiFault(notJson);
  }
}

function graphFailure(errors: readonly unknown[]): ApiFailure {
  const { type } = (errors[0] ?? {}) as { readonly type?: unknown };
  if (type === "RATE_LIMITED") return { kind: "limited", retryAfterMs: limitedMs };
  const word = typeof type === "string" && /^[A-Z_]{1,60}$/.test(type) ? type : "UNKNOWN";
  return { kind: "answer", status: 200, word };
}

/** Undefined for a no that is no limit. The secondary limit is told with a 403 too, at times only in words. */
function limitOf({ status, headers, body }: HttpAnswer, clock: Clock): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const seconds = Number(headers["retry-after"]);
  if (seconds > 0) return Math.ceil(seconds * 1000);
  if (headers["x-ratelimit-remaining"] === "0") {
    const waitMs = Number(headers["x-ratelimit-reset"]) * 1000 - clock.now();
    return waitMs > 0 ? waitMs : limitedMs;
  }
  const isLimit = status === 429 || /secondary rate limit|abuse detection/i.test(body.toString("utf8"));
  return isLimit ? limitedMs : undefined;
}

/** Only below the API's root: what an answer names must not lead the token elsewhere. */
function nextOf({ headers }: HttpAnswer, apiRoot: string): string | undefined {
  const { link } = headers;
  const next = typeof link === "string" ? /<([^<>]+)>;\s*rel="next"/.exec(link)?.[1] : undefined;
  return next?.startsWith(`${apiRoot}/`) ? next.slice(apiRoot.length) : undefined;
}

function networkFailure(error: unknown): ApiFailure {
  if (error instanceof HttpFault) return { kind: "network", code: error.code, reached: error.reached };
  return { kind: "network", code: "UNEXPECTED", reached: true };
}
