// The client's end of a WebSocket (RFC 6455), with nothing but what the measurement needs: text, ping, close.
//
// A whole library would cost as much per message as the gateway under measurement, and on two cores that
// cost would be read as the gateway's. So: no compression, a mask of zeros (allowed, and the payload stays
// as it is), and the frames that one turn of the event loop produces leave in one write.

import net from "node:net";

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const mask = 0x80;

export interface SocketEvents {
  text(message: string): void;
  pong(): void;
  /** Once, however it ended. */
  closed(why: string): void;
}

export class LeanSocket {
  readonly #socket: net.Socket;
  readonly #events: SocketEvents;
  #received: Buffer = Buffer.alloc(0);
  #fragments: Buffer[] = [];
  #isCorked = false;
  #why = "the connection ended";

  private constructor(socket: net.Socket, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** Connects and upgrades. Rejects with the status line when the server does not switch protocols. */
  static open(port: number, events: SocketEvents): Promise<LeanSocket> {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    const lean = new LeanSocket(socket, events);
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      const upgrade = (bytes: Buffer): void => {
        head = Buffer.concat([head, bytes]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", upgrade);
        const status = head.toString("latin1", 0, head.indexOf("\r\n"));
        if (!status.includes(" 101 ")) {
          socket.destroy();
          reject(new Error(`no upgrade: ${status}`));
          return;
        }
        socket.on("data", (more: Buffer) => lean.#read(more));
        resolve(lean);
        // After the caller has its socket: the challenge may lie in the same packet.
        const rest = head.subarray(end + 4);
        if (rest.length > 0) queueMicrotask(() => lean.#read(rest));
      };
      socket.on("data", upgrade);
      socket.once("error", (error) => {
        lean.#why = error.message;
        reject(error);
      });
      socket.once("close", () => {
        reject(new Error(lean.#why));
        events.closed(lean.#why);
      });
      socket.write(
        `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      );
    });
  }

  send(text: string): void {
    this.#frame(opcodes.text, Buffer.from(text));
  }

  ping(): void {
    this.#frame(opcodes.ping, Buffer.alloc(0));
  }

  close(): void {
    this.#why = "closed by the client";
    this.#frame(opcodes.close, Buffer.from([0x03, 0xe8]));
  }

  #frame(opcode: number, payload: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    const size = payload.length;
    const extra = size < 126 ? 0 : size < 65_536 ? 2 : 8;
    const frame = Buffer.alloc(2 + extra + 4 + size);
    frame[0] = 0x80 | opcode;
    frame[1] = mask | (extra === 0 ? size : extra === 2 ? 126 : 127);
    if (extra === 2) frame.writeUInt16BE(size, 2);
    if (extra === 8) frame.writeBigUInt64BE(BigInt(size), 2);
    payload.copy(frame, 2 + extra + 4);
    this.#socket.write(frame);
  }

  #read(bytes: Buffer): void {
    let rest = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    for (;;) {
      const frame = takeFrame(rest);
      if (frame === undefined) break;
      rest = rest.subarray(frame.end);
      this.#handle(frame);
    }
    this.#received = rest;
  }

  #handle(frame: Frame): void {
    const { opcode, payload, isLast } = frame;
    if (opcode === opcodes.ping) this.#frame(opcodes.pong, payload);
    else if (opcode === opcodes.pong) this.#events.pong();
    else if (opcode === opcodes.close) this.#endedBy(payload);
    else if (isLast && this.#fragments.length === 0) this.#events.text(payload.toString());
    else {
      this.#fragments.push(payload);
      if (!isLast) return;
      this.#events.text(Buffer.concat(this.#fragments).toString());
      this.#fragments = [];
    }
  }

  #endedBy(payload: Buffer): void {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    if (this.#why !== "closed by the client") {
      this.#why = `the gateway closed the socket (${code} ${payload.toString("utf8", 2)})`;
      this.#frame(opcodes.close, payload.subarray(0, 2));
    }
    this.#socket.end();
  }
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly isLast: boolean;
  readonly end: number;
}

/** The first whole frame; undefined while some of it is still on its way. Servers never mask. */
function takeFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const short = bytes.readUInt8(1) & 0x7f;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return undefined;
  const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = head + size;
  if (bytes.length < end) return undefined;
  return { opcode: first & 0x0f, payload: bytes.subarray(head, end), isLast: (first & 0x80) !== 0, end };
}
