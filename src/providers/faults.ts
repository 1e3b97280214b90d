import { type Clock, ModelFault, type ModelFaultKind } from "../kernel/mod.ts";
import { fields, list, text } from "./fields.ts";
import type { ProviderSettings } from "./settings.ts";

/** Longest piece of the provider's own words in a message. */
const maxQuotedChars = 300;
/** A header value shorter than this is not a credential, and cutting it out would garble every message. */
const minSecretChars = 8;
/** A private-use character: stands where a credential was until the whole word around it is dropped. */
const removedMark = "\uE000";

/** What a provider said went wrong: HTTP status (0: none, it came inside a stream), and its own codes and words. */
interface Complaint {
  readonly status: number;
  readonly codes: string;
  readonly message: string;
}

/** Turns everything that can go wrong with one provider into a ModelFault that holds no credential. */
export class Faults {
  readonly #settings: ProviderSettings;
  readonly #clock: Clock;
  readonly #origin: string;

  constructor(settings: ProviderSettings, clock: Clock, origin: string) {
    this.#settings = settings;
    this.#clock = clock;
    this.#origin = origin;
  }

  /** A fault of our own finding; `what` is scrubbed too, since it may quote the provider. */
  make(
    kind: ModelFaultKind,
    what: string,
    more: { status?: number; retryAfterMs?: number } = {},
  ): ModelFault {
    const { id } = this.#settings;
    return new ModelFault(kind, `${id}: ${this.#quote(what)}. ${this.#next(kind)}`, more);
  }

  /** An answer with a status other than 2xx. `body` is what came of it, `cut` whether there was more. */
  fromAnswer(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    body: string,
    cut: boolean,
  ): ModelFault {
    if (status >= 300 && status < 400) {
      // Following would carry the key to an address that nobody configured.
      return this.make("badRequest", `answered ${status}, a redirect, which is never followed`, { status });
    }
    const complaint = readComplaint(status, cut ? body.slice(0, -4096) : body);
    const retryAfterMs = readRetryAfter(headers, this.#clock.now());
    const said = this.#quote(complaint.message);
    const { id } = this.#settings;
    const kind = kindOf(complaint);
    const what = said === "" ? `${id}: answered ${status}.` : `${id}: answered ${status}: ${ended(said)}`;
    return new ModelFault(kind, `${what} ${this.#next(kind)}`, {
      status,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }

  /** An error that came inside a stream or in a body whose status said 200. */
  fromEvent(error: unknown): ModelFault {
    const complaint = readComplaint(0, "", error);
    const kind = kindOf(complaint);
    const said = this.#quote(complaint.message || complaint.codes);
    const what = `${this.#settings.id}: broke off its answer${said === "" ? "." : `: ${ended(said)}`}`;
    return new ModelFault(kind, `${what} ${this.#next(kind)}`);
  }

  /** An error of the socket, name lookup or TLS. */
  fromSocket(error: unknown): ModelFault {
    const code = text(fields(error).code);
    if (code === "ERR_INVALID_CHAR" || code === "ERR_HTTP_INVALID_HEADER_VALUE") {
      return this.make(
        "auth",
        "the key or a header holds a character that HTTP does not allow (a line break?)",
      );
    }
    const what: Record<string, string> = {
      ECONNREFUSED: "nothing listens there",
      ENOTFOUND: "the name is not known",
      EAI_AGAIN: "the name could not be looked up",
      ECONNRESET: "the connection was closed before the answer was complete",
      EPIPE: "the connection was closed before the request was sent",
      ETIMEDOUT: "the connection timed out",
    };
    return this.make("network", what[code] ?? `the connection failed (${code || "no code"})`);
  }

  /** Whatever was thrown, as a ModelFault: a defect of ours must not reach the agent as another class. */
  from(thrown: unknown): ModelFault {
    if (thrown instanceof ModelFault) return thrown;
    const name = thrown instanceof Error ? thrown.name : "unknown";
    return this.make("protocol", `the answer could not be read (${name})`);
  }

  /** The provider's words, short, on one line, with every word that holds a credential cut out before shortening. */
  #quote(words: string): string {
    const secrets = [
      this.#settings.apiKey?.reveal().trim() ?? "",
      ...Object.values(this.#settings.headers).flatMap((value) => [value, value.replace(/^\w+ /, "")]),
    ].filter((secret, at) => secret.length >= (at === 0 ? 1 : minSecretChars));
    let marked = words;
    for (const secret of secrets) {
      for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])) {
        marked = marked.split(form).join(removedMark);
      }
    }
    const said = marked
      .split(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/u)
      .map((word) => (word.includes(removedMark) ? "[removed]" : word))
      .join(" ")
      .trim();
    return said.length > maxQuotedChars ? `${said.slice(0, maxQuotedChars - 1)}…` : said;
  }

  #next(kind: ModelFaultKind): string {
    const { id } = this.#settings;
    const steps: Record<ModelFaultKind, string> = {
      auth: `Check models.providers.${id}.apiKey, or the environment variable that it comes from.`,
      billing: "Add credit at the provider, or choose another model.",
      badRequest: `Check the model's name and models.providers.${id}.baseUrl.`,
      contextOverflow: "Shorten the conversation with /compact, or start a new one with /new.",
      rateLimit: "Wait a little, or choose another model.",
      overloaded: "Wait a little, or choose another model.",
      server: "Try again; if it repeats, look at the provider's status page.",
      timeout: "Try again; if it repeats, look at the provider's status page or choose another model.",
      network: `Check that ${this.#origin} can be reached from here.`,
      protocol: `Try again; if it repeats, check models.providers.${id}.api and baseUrl.`,
      aborted: "Nothing to do: it was stopped on request.",
    };
    return steps[kind];
  }
}

function ended(sentence: string): string {
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** Finds the code and the words in the shapes that providers use: {error:{…}}, {error:"…"}, [{error}], {message}, {detail}, text. */
function readComplaint(status: number, body: string, parsed: unknown = tryParse(body)): Complaint {
  const outer = fields(Array.isArray(parsed) ? parsed[0] : parsed);
  const error = outer.error ?? outer;
  const inner = fields(error);
  const codes = [inner.code, inner.type, inner.status, outer.code, outer.type]
    .filter((code) => typeof code === "string" || typeof code === "number")
    .join(" ");
  const detail = list(outer.detail).map((item) => text(fields(item).msg));
  const message =
    text(error) ||
    text(inner.message) ||
    text(outer.message) ||
    text(outer.detail) ||
    detail.filter(Boolean).join("; ");
  const numeric = status === 0 ? statusIn(inner.code ?? inner.status) : status;
  // A page of HTML (a proxy, a wrong address) says nothing that its status does not say.
  const plain = /^\s*</.test(body) ? "" : body;
  return { status: numeric, codes, message: message || (parsed === undefined ? plain : "") };
}

/** Some providers give an HTTP status as the error code inside a stream. */
function statusIn(code: unknown): number {
  const number = Number(code);
  return Number.isInteger(number) && number >= 400 && number < 600 ? number : 0;
}

function kindOf({ status, codes, message }: Complaint): ModelFaultKind {
  const said = `${codes} ${message}`;
  const clientError = status === 0 || (status >= 400 && status < 500);
  if (clientError && status !== 401 && status !== 403) {
    if (
      /insufficient_quota|billing_(error|hard)|insufficient (balance|credit|funds)|credit balance/i.test(said)
    )
      return "billing";
    if (status !== 429 && saysTooLong(said)) return "contextOverflow";
  }
  return status === 0 ? kindOfCode(codes) : kindOfStatus(status);
}

function saysTooLong(said: string): boolean {
  return (
    /context_length_exceeded|context[ _-]?(length|window|size|limit)|maximum context|request_too_large/i.test(
      said,
    ) ||
    /(prompt|input|request|message)s? (is|are) too (long|large)|too many (input )?tokens|exceeds? .{0,40}\btokens?\b/i.test(
      said,
    )
  );
}

function kindOfStatus(status: number): ModelFaultKind {
  if (status === 401 || status === 403) return "auth";
  if (status === 402) return "billing";
  if (status === 408 || status === 504) return "timeout";
  if (status === 413) return "contextOverflow";
  if (status === 429) return "rateLimit";
  if (status === 503 || status === 529) return "overloaded";
  return status >= 500 ? "server" : "badRequest";
}

function kindOfCode(codes: string): ModelFaultKind {
  if (/auth|permission|invalid_api_key/i.test(codes)) return "auth";
  if (/rate_?limit|resource_exhausted|too_many_requests/i.test(codes)) return "rateLimit";
  if (/overload|unavailable|capacity/i.test(codes)) return "overloaded";
  if (/timeout|deadline/i.test(codes)) return "timeout";
  if (/invalid_request|bad_request|invalid_prompt|not_found|invalid_argument/i.test(codes))
    return "badRequest";
  return "server";
}

/** Milliseconds from `retry-after-ms` or `retry-after` (seconds or an HTTP date, RFC 9110 §10.2.3). */
export function readRetryAfter(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  nowMs: number,
): number | undefined {
  const millis = headers["retry-after-ms"];
  if (typeof millis === "string" && /^\d+(\.\d+)?$/.test(millis.trim())) return Math.ceil(Number(millis));
  const after = headers["retry-after"];
  if (typeof after !== "string") return undefined;
  if (/^\d+(\.\d+)?$/.test(after.trim())) return Math.ceil(Number(after) * 1000);
  const date = Date.parse(after);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

function tryParse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
