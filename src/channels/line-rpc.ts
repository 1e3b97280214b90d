import type { Clock } from "../kernel/mod.ts";
import { isObject } from "./settings-reader.ts";

/** A call that the other side refused, or that got no answer. Its text never holds what was sent. */
export class RpcFault extends Error {
  /** False only when the call surely did not leave. */
  readonly reached: boolean;
  /** The other side's refusal; undefined when no answer came. */
  readonly refusal: RpcRefusal | undefined;

  constructor(message: string, reached: boolean, refusal?: RpcRefusal) {
    super(message);
    this.name = "RpcFault";
    this.reached = reached;
    this.refusal = refusal;
  }
}

/** JSON-RPC 2.0's error object. */
export interface RpcRefusal {
  readonly code: number;
  readonly message: string;
  readonly data: unknown;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (fault: RpcFault) => void;
  readonly cancel: () => void;
}

/** JSON-RPC 2.0 with one object per line, over whatever carries bytes. */
export class LineRpc {
  onNotification: (method: string, params: unknown) => void = () => {};
  readonly #clock: Clock;
  readonly #write: (line: string) => boolean;
  readonly #maxLineChars: number;
  readonly #waiting = new Map<string, Waiting>();
  #rest: string[] = [];
  #restChars = 0;
  #next = 1;
  #isOver = false;

  /** `write` gives false when the line surely did not leave. */
  constructor(clock: Clock, write: (line: string) => boolean, maxLineChars: number) {
    this.#clock = clock;
    this.#write = write;
    this.#maxLineChars = maxLineChars;
  }

  /** Rejects with an {@link RpcFault} and nothing else. */
  call(method: string, params: object, deadlineMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = String(this.#next++);
      if (this.#isOver || !this.#write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)) {
        return reject(new RpcFault("there is no connection", false));
      }
      const cancel = this.#clock.after(deadlineMs, () => {
        this.#waiting.delete(id);
        reject(new RpcFault("no answer in time", true));
      });
      this.#waiting.set(id, { resolve, reject, cancel });
    });
  }

  feed(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      const line = this.#rest.join("") + text.slice(from, end);
      const isWhole = this.#restChars <= this.#maxLineChars;
      this.#rest = [];
      this.#restChars = 0;
      from = end + 1;
      if (isWhole) this.#take(line);
    }
    this.#restChars += text.length - from;
    // A line without end is let go by, so that it does not fill the memory.
    if (this.#restChars <= this.#maxLineChars) this.#rest.push(text.slice(from));
    else this.#rest = [];
  }

  /** The connection is gone: whoever waits learns it. */
  end(): void {
    this.#isOver = true;
    for (const { reject, cancel } of this.#waiting.values()) {
      cancel();
      reject(new RpcFault("the connection was lost", true));
    }
    this.#waiting.clear();
  }

  #take(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      // A program may print a note of its own between the answers.
      return;
    }
    if (!isObject(value)) return;
    if (typeof value.method === "string") {
      this.onNotification(value.method, value.params);
      return;
    }
    const id = String(value.id);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    waiting.cancel();
    if (isObject(value.error)) waiting.reject(refused(value.error));
    else waiting.resolve(value.result);
  }
}

/** `error` is JSON-RPC's error object. */
export function refused(error: Readonly<Record<string, unknown>>): RpcFault {
  const code = typeof error.code === "number" ? error.code : 0;
  const message = typeof error.message === "string" ? error.message.slice(0, 300) : "";
  return new RpcFault(`refused (${code})`, true, { code, message, data: error.data });
}
