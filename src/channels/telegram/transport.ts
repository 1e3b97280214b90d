import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { Readable } from "node:stream";

/** The largest answer that is read: a full batch of updates is far below it. */
const maxAnswerBytes = 16 * 1024 * 1024;

/**
 * An idle connection is given up after this long. On one that a firewall has dropped meanwhile, a send would end
 * without an answer, and so as unknown, although nothing was wrong with it.
 */
const idleMs = 10_000;

/**
 * A call that got no answer. It carries only a short code, never the address: the bot token is part of every
 * Bot API URL, so the message of an ordinary network error would print it (attack A-193).
 */
export class TransportFault extends Error {
  /** False only when no byte of the request can have reached the platform. */
  readonly reached: boolean;
  readonly code: string;

  constructor(code: string, reached: boolean) {
    super(`no answer (${code})`);
    this.name = "TransportFault";
    this.code = code;
    this.reached = reached;
  }
}

/** What grammY passes to its `fetch`. */
export interface TransportRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: {
    readonly aborted: boolean;
    addEventListener(type: "abort", listener: () => void): void;
    removeEventListener(type: "abort", listener: () => void): void;
  };
}

/** What grammY reads of the answer. */
export interface TransportAnswer {
  json(): Promise<unknown>;
}

export interface Transport {
  fetch(url: string, request: TransportRequest): Promise<TransportAnswer>;
  /** The bytes at an address, at most `maxBytes`. */
  read(
    url: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: Buffer }>;
}

/**
 * HTTP for the Bot API: connections are kept open, redirects are not followed (they would hand the token to
 * another host), answers are capped, and every failure says whether the request may have arrived.
 */
export function openTransport(apiRoot: string): Transport {
  const secure = apiRoot.startsWith("https:");
  const options = { keepAlive: true, timeout: idleMs };
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options);
  const send = secure ? httpsRequest : httpRequest;
  const connected = secure ? "secureConnect" : "connect";

  function exchange<T>(
    url: string,
    { method = "POST", headers = {}, body, signal }: TransportRequest,
    readBody: (response: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let reached = false;
      if (signal?.aborted) return reject(new TransportFault("ABORTED", false));
      const request = send(url, { method, headers: { ...headers, connection: "keep-alive" }, agent });
      const abort = () => request.destroy(new TransportFault("ABORTED", reached));
      const done = () => signal?.removeEventListener("abort", abort);
      const fail = (error: unknown) => {
        done();
        reject(new TransportFault(codeOf(error), reached));
      };
      signal?.addEventListener("abort", abort);
      request.on("socket", (socket) => {
        // A connection that is up takes the request at once; a new one only when it is.
        if (!socket.connecting) reached = true;
        else socket.once(connected, () => (reached = true));
      });
      request.on("error", fail);
      request.on("response", (response) => {
        reached = true;
        readBody(response).then((answer) => {
          done();
          resolve(answer);
        }, fail);
      });
      // A file goes as a stream of parts, everything else as one text.
      if (body instanceof Readable) {
        body.on("error", (error) => request.destroy(error));
        body.pipe(request);
      } else request.end(typeof body === "string" ? body : undefined);
    });
  }

  return {
    fetch: (url, request) => exchange(url, request, readAnswer),
    read: (url, maxBytes, signal) =>
      exchange(url, { method: "GET", signal }, async (response) => ({
        status: response.statusCode ?? 0,
        body: await readBytes(response, maxBytes),
      })),
  };
}

async function readBytes(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new TransportFault("ANSWER_TOO_LARGE", true);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readAnswer(response: IncomingMessage): Promise<TransportAnswer> {
  const status = response.statusCode ?? 0;
  const value = parse((await readBytes(response, maxAnswerBytes)).toString("utf8"));
  if (isAnswer(value)) return { json: async () => value };
  // A 200 that is not the Bot API's JSON says nothing about what was done.
  if (status < 300) throw new TransportFault("ANSWER_NOT_JSON", true);
  // A proxy or load balancer answered in place of the Bot API.
  const answer = { ok: false, error_code: status, description: `HTTP ${status}` };
  return { json: async () => answer };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAnswer(value: unknown): boolean {
  return typeof value === "object" && value !== null && "ok" in value;
}

function codeOf(error: unknown): string {
  if (error instanceof TransportFault) return error.code;
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" && /^[A-Z0-9_]{1,60}$/.test(code) ? code : "NETWORK";
}
