import { WebSocket } from "ws";
import type { Clock } from "../kernel/mod.ts";

const handshakeDeadlineMs = 15_000;
/** So long the other side has to say goodbye too. */
const goodbyeMs = 2_000;

/** A WebSocket that carries one JSON value per message. */
export interface JsonSocket {
  /** Does nothing once the socket has ended. */
  send(value: unknown): void;
  /** A ping of the WebSocket itself; the answer comes as `onPong`. */
  ping(): void;
  /** Says goodbye, and ends at once. */
  close(code: number): void;
}

export interface JsonSocketEvents {
  readonly maxBytes: number;
  onOpen?(): void;
  onJson(value: unknown): void;
  onPong?(): void;
  /** Called once. 1006: no goodbye was said. `httpStatus`: the answer that was no WebSocket. */
  onEnd(end: { readonly code: number; readonly httpStatus?: number }): void;
}

/** `url` may hold a ticket; nothing of it is repeated in what the events say. */
export function openJsonSocket(url: string, clock: Clock, events: JsonSocketEvents): JsonSocket {
  const socket = new WebSocket(url, {
    maxPayload: events.maxBytes,
    perMessageDeflate: false,
    followRedirects: false,
  });
  let isOver = false;
  const end = (code: number, httpStatus?: number) => {
    if (isOver) return;
    isOver = true;
    cancel();
    if (socket.readyState === WebSocket.CLOSING) {
      const drop = clock.after(goodbyeMs, () => socket.terminate());
      socket.once("close", drop);
    } else socket.terminate();
    events.onEnd({ code, ...(httpStatus === undefined ? {} : { httpStatus }) });
  };
  const cancel = clock.after(handshakeDeadlineMs, () => end(1006));
  socket.on("open", () => {
    cancel();
    if (!isOver) events.onOpen?.();
  });
  socket.on("unexpected-response", (_request, response) => {
    response.resume();
    end(1006, response.statusCode ?? 0);
  });
  socket.on("error", () => end(1006));
  socket.on("close", (code) => end(code));
  socket.on("pong", () => events.onPong?.());
  socket.on("message", (data) => {
    if (isOver) return;
    let value: unknown;
    try {
      value = JSON.parse(String(data));
    } catch {
      return end(1007);
    }
    events.onJson(value);
  });
  return {
    send(value) {
      if (!isOver && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(value));
    },
    ping() {
      if (!isOver && socket.readyState === WebSocket.OPEN) socket.ping();
    },
    close(code) {
      if (!isOver && socket.readyState === WebSocket.OPEN) socket.close(code);
      end(code);
    },
  };
}
