import type { Clock, Secret } from "../../kernel/mod.ts";
import { sleep } from "../../kernel/mod.ts";
import { type HttpAnswer, type HttpCalls, HttpFault } from "../http-calls.ts";

/** Why a call failed, in words that are safe to log and show. */
export type RestFailure =
  /** Discord answered no. `code` is its own number for why. */
  | { readonly kind: "answer"; readonly status: number; readonly code: number; readonly text: string }
  /** Too many calls: surely not done. */
  | { readonly kind: "limited"; readonly retryAfterMs: number; readonly text: string }
  /** No answer came; `reached` is false only when the request surely never left. */
  | { readonly kind: "network"; readonly code: string; readonly reached: boolean };

export class RestFault extends Error {
  readonly failure: RestFailure;

  constructor(what: string, failure: RestFailure) {
    super(`discord ${what}: ${failureText(failure)}`);
    this.name = "RestFault";
    this.failure = failure;
  }
}

export function failureText(failure: RestFailure): string {
  if (failure.kind === "answer") return `${failure.status} ${failure.text}`;
  if (failure.kind === "limited") return `429 ${failure.text}`;
  return failure.reached ? `no answer (${failure.code})` : `not reached (${failure.code})`;
}

export interface RestCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Behind the API's root: "/channels/1/messages". */
  readonly path: string;
  readonly json?: unknown;
  /** In place of `json`. */
  readonly form?: { readonly type: string; readonly body: Buffer };
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export interface Rest {
  /** The answer's JSON; undefined for an answer without a body. Rejects with a {@link RestFault} and nothing else. */
  call(call: RestCall): Promise<unknown>;
}

export interface RestOptions {
  /** Without a trailing slash. */
  readonly apiRoot: string;
  readonly token: Secret;
  readonly http: HttpCalls;
  readonly clock: Clock;
}

const callDeadlineMs = 15_000;
/** A call waits this long for its turn; a longer wait is the caller's business. */
const patienceMs = 10_000;
const limitedMs = 5_000;
const maxRoutes = 1_000;
const userAgent = "DiscordBot (https://openclaw.ai, 1)";

/**
 * Discord's REST API. Its limits are kept before it has to enforce them: a route whose share is used up rests until
 * Discord fills it again, and a limit on everything rests everything. A 429 counts as an invalid request, and ten
 * thousand of those in ten minutes lock the address out.
 */
export function openRest({ apiRoot, token, http, clock }: RestOptions): Rest {
  /** When each route that is used up may be called again, and all of them; monotonic ms. */
  const routes = new Map<string, number>();
  let allAt = 0;

  function note(route: string, { headers }: HttpAnswer): void {
    const now = clock.monotonic();
    routes.delete(route);
    if (headers["x-ratelimit-remaining"] === "0") {
      const seconds = Number(headers["x-ratelimit-reset-after"]);
      if (seconds > 0) routes.set(route, now + seconds * 1000);
    }
    for (const [old, at] of routes) {
      if (at > now && routes.size <= maxRoutes) break;
      routes.delete(old);
    }
  }

  return {
    async call({ method, path, json, form, deadlineMs = callDeadlineMs, signal }) {
      const route = routeOf(method, path);
      const waitMs = Math.max(allAt, routes.get(route) ?? 0) - clock.monotonic();
      if (waitMs > patienceMs) {
        throw new RestFault(route, { kind: "limited", retryAfterMs: waitMs, text: "the limit is used up" });
      }
      if (waitMs > 0) await sleep(clock, waitMs, signal);
      let answer: HttpAnswer;
      try {
        answer = await http(`${apiRoot}${path}`, {
          method,
          headers: {
            authorization: `Bot ${token.reveal()}`,
            "user-agent": userAgent,
            ...(json === undefined ? {} : { "content-type": "application/json" }),
            ...(form === undefined ? {} : { "content-type": form.type }),
          },
          ...(json === undefined ? {} : { body: JSON.stringify(json) }),
          ...(form === undefined ? {} : { body: form.body }),
          deadlineMs,
          ...(signal ? { signal } : {}),
        });
      } catch (error) {
        throw new RestFault(route, networkFailure(error));
      }
      note(route, answer);
      const value = parse(answer.body);
      if (answer.status >= 200 && answer.status < 300) {
        if (answer.body.length > 0 && value === undefined) {
          // A 200 that is not Discord's JSON says nothing about what was done.
          throw new RestFault(route, { kind: "network", code: "ANSWER_NOT_JSON", reached: true });
        }
        return value;
      }
      const failure = failureOf(answer, value, token.reveal());
      if (failure.kind === "limited" && isGlobal(answer, value)) {
        allAt = clock.monotonic() + failure.retryAfterMs;
      }
      throw new RestFault(route, failure);
    },
  };
}

function networkFailure(error: unknown): RestFailure {
  if (error instanceof HttpFault) return { kind: "network", code: error.code, reached: error.reached };
  return { kind: "network", code: "UNEXPECTED", reached: true };
}

/** Limits are per method, path and first id in it; the other ids share. */
function routeOf(method: string, path: string): string {
  let isFirst = true;
  const route = path.replace(/\?.*$/, "").replace(/\/\d+|\/reactions\/[^/]+|\/interactions\/.*$/g, (part) => {
    if (part.startsWith("/reactions/")) return "/reactions/:emoji";
    if (part.startsWith("/interactions/")) return "/interactions/:token";
    if (!isFirst) return "/:id";
    isFirst = false;
    return part;
  });
  return `${method} ${route}`;
}

function failureOf(answer: HttpAnswer, value: unknown, token: string): RestFailure {
  const { code, message, retry_after } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const text = cleanText(typeof message === "string" ? message : `HTTP ${answer.status}`, token);
  if (answer.status === 429) {
    const seconds = typeof retry_after === "number" ? retry_after : Number(answer.headers["retry-after"]);
    return { kind: "limited", retryAfterMs: seconds > 0 ? Math.ceil(seconds * 1000) : limitedMs, text };
  }
  return { kind: "answer", status: answer.status, code: typeof code === "number" ? code : 0, text };
}

function isGlobal(answer: HttpAnswer, value: unknown): boolean {
  // Cloudflare's own 429 has neither JSON nor a bucket, and holds for the whole address.
  if (value === undefined) return true;
  return (
    answer.headers["x-ratelimit-global"] !== undefined || (value as { global?: unknown }).global === true
  );
}

/** A proxy may repeat the request in its answer. */
function cleanText(text: string, token: string): string {
  return text
    .replaceAll(token, "[token]")
    .replace(/\p{Cc}/gu, " ")
    .slice(0, 200);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}
