import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "../kernel/mod.ts";

/** The largest answer that is read unless a call asks for more. */
const maxAnswerBytes = 16 * 1024 * 1024;

/**
 * An idle connection is given up after this long. On one that a firewall has dropped meanwhile, a send would end
 * without an answer, and so as unknown, although nothing was wrong with it.
 */
const idleMs = 10_000;

/** A call that got no answer. It carries only a short code, never an address, a header or a body. */
export class HttpFault extends Error {
  /** False only when no byte of the request can have reached the platform. */
  readonly reached: boolean;
  readonly code: string;

  constructor(code: string, reached: boolean) {
    super(`no answer (${code})`);
    this.name = "HttpFault";
    this.code = code;
    this.reached = reached;
  }
}

export interface HttpCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** The call is cut after this long. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** A longer answer is cut off with the code ANSWER_TOO_LARGE. */
  readonly maxBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Rejects with an {@link HttpFault} and nothing else. */
export type HttpCalls = (url: string, call: HttpCall) => Promise<HttpAnswer>;

/**
 * HTTP for a platform's API: connections are kept open, redirects are not followed (they would hand the token to
 * another host), answers are capped, and every failure says whether the request may have arrived.
 */
export function openHttp(clock: Clock): HttpCalls {
  const options = { keepAlive: true, timeout: idleMs };
  const plain = new HttpAgent(options);
  const secure = new HttpsAgent(options);

  return (url, call) =>
    new Promise((resolve, reject) => {
      const isSecure = url.startsWith("https:");
      const { signal } = call;
      let reached = false;
      if (signal?.aborted) return reject(new HttpFault("ABORTED", false));
      const request = (isSecure ? httpsRequest : httpRequest)(url, {
        method: call.method,
        agent: isSecure ? secure : plain,
        headers: {
          ...call.headers,
          ...(call.body === undefined ? {} : { "content-length": String(Buffer.byteLength(call.body)) }),
        },
      });
      const abort = () => request.destroy(new HttpFault("ABORTED", reached));
      const cancel = clock.after(call.deadlineMs, () => request.destroy(new HttpFault("TIMEOUT", reached)));
      const done = () => {
        cancel();
        signal?.removeEventListener("abort", abort);
      };
      const fail = (error: unknown) => {
        done();
        reject(new HttpFault(codeOf(error), reached));
      };
      signal?.addEventListener("abort", abort);
      request.on("socket", (socket) => {
        // A connection that is up takes the request at once; a new one only when it is.
        if (!socket.connecting) reached = true;
        else socket.once(isSecure ? "secureConnect" : "connect", () => (reached = true));
      });
      request.on("error", fail);
      request.on("response", (response) => {
        reached = true;
        readAll(response, call.maxBytes ?? maxAnswerBytes).then((body) => {
          done();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        }, fail);
      });
      request.end(call.body);
    });
}

async function readAll(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new HttpFault("ANSWER_TOO_LARGE", true);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function codeOf(error: unknown): string {
  if (error instanceof HttpFault) return error.code;
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" && /^[A-Z0-9_]{1,60}$/.test(code) ? code : "NETWORK";
}
