import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { Clock } from "../kernel/mod.ts";

/** One WebSocket, reduced to what the control plane needs: whole text messages in, whole text messages out. */
export interface Socket {
  onMessage(action: (bytes: Buffer) => void): void;
  onClose(action: (code: number, reason: string) => void): void;
  /**
   * Queues a message. When the peer reads so slowly that `maxBufferedBytes` wait, nothing more is queued and the socket
   * closes with 1008 "slow consumer", which arrives behind what waits if the peer takes that within two seconds.
   */
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Lets larger frames in, and stops counting this socket as unauthenticated. */
  authenticated(): void;
  ping(): void;
  onPong(action: () => void): void;
  terminate(): void;
  readonly bufferedBytes: number;
}

export const maxPayloadBytes = 26_214_400;
export const maxBufferedBytes = 52_428_800;
/** One frame, and everything together, before `connect` has succeeded. */
export const maxPayloadBytesBeforeConnect = 65_536;
export const maxBytesBeforeConnect = 131_072;

const slowConsumerGraceMs = 2000;

/** `release` is called once the peer is no longer unauthenticated. */
export function wrapSocket(
  socket: WebSocket,
  stream: Duplex,
  release: () => void,
  clock: Pick<Clock, "after">,
): Socket {
  // Messages of one moment leave in one system call.
  let corked = false;
  const cork = () => {
    if (corked) return;
    corked = true;
    stream.cork();
    setImmediate(() => {
      corked = false;
      stream.uncork();
    });
  };
  socket.on("error", () => socket.terminate());
  const endBudget = limitBytes(socket, stream);
  return {
    onMessage(action) {
      socket.on("message", (data: RawData) => action(data as Buffer));
    },
    onClose(action) {
      socket.on("close", (code, reason) => action(code, reason.toString("utf8")));
    },
    send(text) {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > maxBufferedBytes) {
        socket.close(1008, "slow consumer");
        // What waits is memory; a peer that does not take it keeps none.
        const cancel = clock.after(slowConsumerGraceMs, () => socket.terminate());
        socket.once("close", cancel);
        return;
      }
      cork();
      socket.send(text);
    },
    close(code, reason) {
      socket.close(code, cutUtf8(reason, 123));
    },
    authenticated() {
      release();
      endBudget();
      raiseLimit(socket);
    },
    ping: () => socket.ping(),
    onPong: (action) => void socket.on("pong", action),
    terminate: () => socket.terminate(),
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
  };
}

/**
 * Counts what comes before `connect`. Frames have a limit each, but a stranger may send any number of them, and of
 * pings and one-byte fragments. Returns what ends the counting.
 */
function limitBytes(socket: WebSocket, stream: Duplex): () => void {
  let left = maxBytesBeforeConnect;
  const count = (chunk: Buffer) => {
    left -= chunk.length;
    if (left >= 0) return;
    stream.off("data", count);
    // The frame's own limit may have closed it already, with the same code; its closing handshake is not waited for.
    if (socket.readyState === socket.OPEN) socket.close(1009, "");
    stream.end(() => socket.terminate());
  };
  stream.on("data", count);
  return () => void stream.off("data", count);
}

/**
 * ws takes the size limit of a server for all of its sockets; the wire wants 64 KiB before `connect` and 25 MiB
 * after it. The receiver keeps the limit in a field; a contract test fails when a new version moves it.
 */
function raiseLimit(socket: WebSocket): void {
  const { _receiver } = socket as WebSocket & { _receiver?: { _maxPayload: number } };
  if (_receiver) _receiver._maxPayload = maxPayloadBytes;
}

/** At most `bytes` bytes of UTF-8, never half a character. */
function cutUtf8(text: string, bytes: number): string {
  const buffer = Buffer.from(text, "utf8");
  if (buffer.length <= bytes) return text;
  let end = bytes;
  while (end > 0 && ((buffer[end] as number) & 0xc0) === 0x80) end -= 1;
  return buffer.subarray(0, end).toString("utf8");
}
