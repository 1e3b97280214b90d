import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../kernel/mod.ts";
import { baseHeaders, type HttpAnswer } from "./answer.ts";
import { maxBufferedBytes } from "./socket.ts";

export interface SendPorts {
  readonly strictTransportSecurity: () => string | undefined;
  /** How long a reader may take nothing at all before it loses the connection. */
  readonly stalledResponseMs: number;
  readonly clock: Clock;
}

const pieceBytes = 65_536;
const maxDrainedBytes = 262_144;
const drainMs = 1000;

/** Sends a whole answer. Resolves when its reader has it, or is gone. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  result: HttpAnswer,
  ports: SendPorts,
): Promise<void> {
  const body = Buffer.from(result.body ?? "");
  // What is left of an unread body must not become the next request.
  const endsEarly = !request.complete;
  response.writeHead(result.status, {
    ...headersOf(result, ports),
    // RFC 9110: an answer without content has no length either.
    ...(result.status === 204 ? {} : { "content-length": String(body.length) }),
    ...(endsEarly ? { connection: "close" } : {}),
  });
  if (request.method !== "HEAD") await sendPieces(response, body, ports);
  if (endsEarly) await drain(request, ports.clock);
  await end(response, ports);
}

/** Sends what `result.stream` writes. Resolves when that has ended and its reader has it, or is gone. */
export async function sendStream(
  response: ServerResponse,
  result: HttpAnswer,
  ports: SendPorts,
): Promise<void> {
  response.writeHead(result.status, headersOf(result, ports));
  response.flushHeaders();
  await result.stream?.((piece) => {
    if (response.destroyed) return false;
    response.write(piece);
    // Nobody waits for a reader who is this far behind (network (6)).
    if (response.writableLength > maxBufferedBytes) response.destroy();
    return !response.destroyed;
  });
  await end(response, ports);
}

function headersOf(result: HttpAnswer, ports: SendPorts): Record<string, string> {
  const policy = ports.strictTransportSecurity();
  return {
    ...baseHeaders,
    ...(policy ? { "strict-transport-security": policy } : {}),
    ...result.headers,
  };
}

/** In pieces, so that a reader who is slow can be told from one who takes nothing. */
async function sendPieces(response: ServerResponse, body: Buffer, ports: SendPorts): Promise<void> {
  for (let at = 0; at < body.length && !response.destroyed; at += pieceBytes) {
    if (!response.write(body.subarray(at, at + pieceBytes))) await moved(response, "drain", ports);
  }
}

async function end(response: ServerResponse, ports: SendPorts): Promise<void> {
  response.end();
  if (!response.writableFinished) await moved(response, "finish", ports);
}

/** Resolves when the reader has taken something. One who takes nothing loses the connection: it would hold the answer. */
function moved(response: ServerResponse, event: "drain" | "finish", ports: SendPorts): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      response.off(event, done).off("close", done);
      resolve();
    };
    const cancel = ports.clock.after(ports.stalledResponseMs, () => response.destroy());
    response.on(event, done).on("close", done);
  });
}

/**
 * Closing with bytes unread resets the connection, and takes the answer with it: so some are read and thrown away,
 * until the request ends, the sender goes, or it has been enough.
 */
function drain(request: IncomingMessage, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let left = maxDrainedBytes;
    const done = () => {
      cancel();
      request.off("data", take).off("end", done).off("close", done);
      request.pause();
      resolve();
    };
    const take = (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) done();
    };
    const cancel = clock.after(drainMs, done);
    request.on("data", take).on("end", done).on("close", done).resume();
  });
}
