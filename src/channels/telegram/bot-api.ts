import { Api, GrammyError, HttpError } from "grammy";
import type { Clock } from "../../kernel/mod.ts";
import type { TelegramAccount } from "./settings.ts";
import { openTransport, TransportFault } from "./transport.ts";

/** Why a Bot API call failed, in words that are safe to log and show. */
export type ApiFailure =
  /** The platform answered no. */
  | {
      readonly kind: "answer";
      readonly code: number;
      readonly description: string;
      readonly retryAfterMs?: number;
    }
  /** No answer came; `reached` is false only when the request surely never left. */
  | { readonly kind: "network"; readonly code: string; readonly reached: boolean };

export class ApiFault extends Error {
  readonly failure: ApiFailure;

  constructor(method: string, failure: ApiFailure) {
    super(`telegram ${method}: ${failureText(failure)}`);
    this.name = "ApiFault";
    this.failure = failure;
  }
}

export interface CallOptions {
  /** The call is cut after this long. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

export interface BotApi {
  /** Runs one call of grammY's Api. Rejects with an {@link ApiFault} and nothing else. */
  call<T>(
    method: string,
    options: CallOptions,
    run: (api: Api, signal: GrammySignal) => Promise<T>,
  ): Promise<T>;
  /** The content of a file that getFile named; at most `maxBytes`. Rejects as call does. */
  download(filePath: string, maxBytes: number, options: CallOptions): Promise<Buffer>;
}

/** grammY's own declaration of AbortSignal is a polyfill's; the platform's fits it at run time. */
export type GrammySignal = NonNullable<Parameters<Api["getMe"]>[0]>;

export function openBotApi(account: TelegramAccount, clock: Clock): BotApi {
  const transport = openTransport(account.apiRoot);
  const token = account.botToken.reveal();
  const api = new Api(token, {
    apiRoot: account.apiRoot,
    // grammY reads nothing of the answer but json().
    fetch: transport.fetch as unknown as NonNullable<
      NonNullable<ConstructorParameters<typeof Api>[1]>["fetch"]
    >,
  });
  async function within<T>(
    method: string,
    { deadlineMs, signal }: CallOptions,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    let late = false;
    const cancel = clock.after(deadlineMs, () => {
      late = true;
      abort();
    });
    try {
      return await run(controller.signal);
    } catch (error) {
      throw new ApiFault(method, failureOf(error, token, late));
    } finally {
      cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  return {
    call: (method, options, run) =>
      within(method, options, (signal) => run(api, signal as unknown as GrammySignal)),
    // The token is a part of this address too, so that no error may carry it.
    download: (filePath, maxBytes, options) =>
      within("file", options, async (signal) => {
        const { status, body } = await transport.read(
          `${account.apiRoot}/file/bot${token}/${filePath}`,
          maxBytes,
          signal,
        );
        if (status === 200) return body;
        throw new GrammyError(
          "",
          { ok: false, error_code: status, description: `HTTP ${status}` },
          "file",
          {},
        );
      }),
  };
}

/** Reduces any error to a code and a clean sentence; the error itself (its URL, its payload) goes no further. */
export function failureOf(error: unknown, token: string, late = false): ApiFailure {
  if (error instanceof GrammyError) {
    const seconds = error.parameters.retry_after;
    return {
      kind: "answer",
      code: error.error_code,
      description: withoutToken(error.description, token),
      ...(seconds === undefined ? {} : { retryAfterMs: seconds * 1000 }),
    };
  }
  const cause = error instanceof HttpError ? error.error : error;
  if (cause instanceof TransportFault) {
    return { kind: "network", code: late ? "TIMEOUT" : cause.code, reached: cause.reached };
  }
  return { kind: "network", code: late ? "TIMEOUT" : "UNEXPECTED", reached: true };
}

export function failureText(failure: ApiFailure): string {
  if (failure.kind === "answer") return `${failure.code} ${failure.description}`;
  return failure.reached ? `no answer (${failure.code})` : `not reached (${failure.code})`;
}

/** A self-hosted Bot API server or a proxy may repeat the request's path in its answer. */
function withoutToken(text: string, token: string): string {
  const clean = String(text)
    .replaceAll(token, "[token]")
    .replaceAll(encodeURIComponent(token), "[token]")
    .replace(/\d{5,}:[A-Za-z0-9_-]{20,}/g, "[token]")
    .replace(/\p{Cc}/gu, " ");
  return clean.slice(0, 200);
}
