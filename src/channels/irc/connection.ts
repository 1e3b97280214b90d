import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Clock, InputError } from "../../kernel/mod.ts";
import { type IrcLine, parseLine } from "./wire.ts";

/** IRCv3 lets tags have 8191 bytes and the line behind them 512. */
const maxLineBytes = 16_384;
const connectDeadlineMs = 20_000;

export interface IrcAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly tlsCaFile?: string;
}

/** The connection is not there (any more). */
export class ConnectionLost extends Error {
  constructor(why: string) {
    super(why);
    this.name = "ConnectionLost";
  }
}

/** No answer came in time. */
export class NoAnswer extends Error {
  constructor() {
    super("no answer in time");
    this.name = "NoAnswer";
  }
}

/** Somebody who waits for an answer. */
interface Asker {
  readonly see: (line: IrcLine) => void;
  readonly fail: (error: Error) => void;
}

/** Lines both ways over one socket. */
export class IrcConnection {
  /** Called with each line, after those who wait for an answer have seen it. */
  onLine: (line: IrcLine) => void = () => {};
  /** Resolves with the reason once the connection is gone. */
  readonly closed: Promise<ConnectionLost>;
  /** Batches that answer a question of ours: not news, so {@link onLine} does not see what is in them. */
  readonly ownBatches = new Set<string>();
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #askers = new Set<Asker>();
  #open = true;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.closed = new Promise((resolve) => {
      let why = "the server closed the connection";
      socket.on("error", (error) => {
        why = reasonOf(error);
      });
      socket.on("close", () => {
        this.#open = false;
        const lost = new ConnectionLost(why);
        for (const asker of [...this.#askers]) asker.fail(lost);
        resolve(lost);
      });
    });
    this.#read();
  }

  /** Throws ConnectionLost, or an InputError for a CA file that cannot be read. */
  static async open(address: IrcAddress, clock: Clock, signal: AbortSignal): Promise<IrcConnection> {
    const { host, port } = address;
    // An address as server name is refused by TLS; the certificate is then checked against the address.
    const socket = address.tls
      ? connectTls({ host, port, ...(caOf(address) ?? {}), minVersion: "TLSv1.2" })
      : connectTcp({ host, port });
    socket.setNoDelay(true);
    const ready = address.tls ? "secureConnect" : "connect";
    await new Promise<void>((resolve, reject) => {
      const end = (error?: Error) => {
        cancel();
        signal.removeEventListener("abort", abort);
        socket.off(ready, done).off("error", failed).off("close", closed);
        if (error === undefined) return resolve();
        socket.on("error", () => {});
        socket.destroy();
        reject(error);
      };
      const abort = () => end(new ConnectionLost("stopped"));
      const cancel = clock.after(connectDeadlineMs, () => end(new ConnectionLost("no connection in 20 s")));
      signal.addEventListener("abort", abort, { once: true });
      const done = () => end();
      const failed = (error: Error) => end(new ConnectionLost(reasonOf(error)));
      const closed = () => end(new ConnectionLost("the server closed the connection"));
      socket.once(ready, done).once("error", failed).once("close", closed);
      if (signal.aborted) abort();
    });
    return new IrcConnection(socket, clock);
  }

  get isOpen(): boolean {
    return this.#open && !this.#socket.destroyed;
  }

  /** One line without its end. False when there is no connection any more: surely not sent. */
  send(line: string): boolean {
    if (!this.isOpen || !this.#socket.writable) return false;
    this.#socket.write(`${line}\r\n`);
    return true;
  }

  /**
   * Sends `lines` and resolves with the first answer that `look` gives to a later line. Rejects with ConnectionLost or
   * NoAnswer; an error that `look` throws rejects it too.
   */
  ask<T>(lines: readonly string[], look: (line: IrcLine) => T | undefined, deadlineMs: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void) => {
        cancel();
        this.#askers.delete(asker);
        settle();
      };
      const asker: Asker = {
        see(line) {
          try {
            const found = look(line);
            if (found !== undefined) end(() => resolve(found));
          } catch (error) {
            end(() => reject(error));
          }
        },
        fail: (error) => end(() => reject(error)),
      };
      const cancel = this.#clock.after(deadlineMs, () => end(() => reject(new NoAnswer())));
      if (!this.isOpen) return asker.fail(new ConnectionLost("there is no connection"));
      this.#askers.add(asker);
      for (const line of lines) this.send(line);
    });
  }

  /** Tells the server that we go, and closes. */
  quit(): void {
    if (this.isOpen) this.#socket.end("QUIT :bye\r\n");
    this.#socket.destroySoon();
  }

  /** Takes no more lines until {@link resume}: what the server has to say waits there. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(): void {
    let rest: Buffer = Buffer.alloc(0);
    let skipping = false;
    this.#socket.on("data", (chunk: Buffer) => {
      let data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      for (;;) {
        const end = data.indexOf(0x0a);
        if (end < 0) break;
        const bytes = data.subarray(0, end > 0 && data[end - 1] === 0x0d ? end - 1 : end);
        data = data.subarray(end + 1);
        if (!skipping && bytes.length <= maxLineBytes) this.#take(textOf(bytes));
        skipping = false;
      }
      // A line that never ends is let go by, so that it does not fill the memory.
      if (data.length > maxLineBytes) skipping = true;
      rest = skipping ? Buffer.alloc(0) : data;
    });
  }

  #take(text: string): void {
    const line = parseLine(text);
    if (!line) return;
    if (line.command === "PING") {
      this.send(`PONG :${line.params.at(-1) ?? ""}`);
      return;
    }
    for (const asker of [...this.#askers]) asker.see(line);
    if (!this.ownBatches.has(line.tags.get("batch") ?? "")) this.onLine(line);
  }
}

function caOf(address: IrcAddress): { readonly ca: Buffer } | undefined {
  if (address.tlsCaFile === undefined) return undefined;
  try {
    return { ca: readFileSync(address.tlsCaFile) };
  } catch (error) {
    const code = (error as { readonly code?: string }).code ?? "error";
    throw new InputError(`tlsCaFile cannot be read (${code}); name a PEM file`);
  }
}

/** UTF-8, and for what is not UTF-8 the older Latin-1: every byte then is some letter. */
function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return bytes.toString("latin1");
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A socket's error in short; its text may name addresses, its code does not. */
function reasonOf(error: Error): string {
  const code = (error as { readonly code?: unknown }).code;
  return typeof code === "string" && /^[A-Z0-9_]{1,60}$/.test(code) ? code : "network error";
}
