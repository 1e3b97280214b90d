import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type Reason, reasonText } from "../kernel/mod.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /**
   * Instead of a body: pieces as they come. `write` says false once nobody reads any more; the answer ends when the
   * promise does. Whoever reads too slowly loses the connection, as on a WebSocket.
   */
  readonly stream?: (write: (piece: string | Buffer) => boolean) => Promise<void>;
}

/** On every answer, whatever its status. A route that needs another policy for its page sets its own. */
export const baseHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** A JSON error: `{error: {type, code, message}}`. */
export function problem(status: number, type: string, message: string): HttpAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify({ error: { type, code: type, message } }),
  };
}

/** A refusal as an answer: `error.type` is the reason without its stage. */
export function refusal(reason: Reason): HttpAnswer {
  const status = reason === "network.request_malformed" ? 400 : 403;
  return problem(status, reason.slice(reason.indexOf(".") + 1), reasonText(reason));
}

/** An answer on a bare stream, which ends with it: before a WebSocket is one, or when there is no request at all. */
export function endWith(stream: Duplex, answer: HttpAnswer): void {
  const body = answer.body ?? "";
  const headers = {
    ...baseHeaders,
    ...answer.headers,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  stream.end(`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${lines.join("")}\r\n${body}`);
}
