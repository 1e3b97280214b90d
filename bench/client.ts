// A lean client of the gateway protocol, version 4: the same code drives ours and the peer, over the same
// wire. It has no per-call timers; a part of the run has one deadline, and a closed socket fails all calls.

import { WebSocket } from "ws";
import { reasonOf } from "./figures.ts";

interface Frame {
  readonly type: string;
  readonly id?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly payload?: unknown;
  readonly error?: { readonly code?: string; readonly message?: string };
}

interface ChatEvent {
  readonly runId?: string;
  readonly state?: string;
  readonly errorMessage?: string;
}

interface Waiting {
  readonly resolve: (payload: unknown) => void;
  readonly reject: (reason: Error) => void;
}

const connectParams = (token: string): object => ({
  minProtocol: 4,
  maxProtocol: 4,
  client: { id: "gateway-client", version: "2026.9.6", platform: "linux", mode: "backend" },
  role: "operator",
  scopes: ["operator.admin", "operator.read", "operator.write"],
  caps: [],
  auth: { token },
});

export class Client {
  readonly #socket: WebSocket;
  readonly #calls = new Map<string, Waiting>();
  readonly #turns = new Map<string, Waiting>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#read(data));
    socket.on("close", (code, reason) =>
      this.#fail(`the gateway closed the socket (${code} ${String(reason)})`),
    );
    socket.on("error", (error) => this.#fail(reasonOf(error)));
  }

  /** Opens, waits for the challenge, connects. Rejects with the gateway's own words when it refuses. */
  static async open(port: number, token: string): Promise<Client> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      socket.once("message", () => resolve());
      socket.once("error", reject);
      socket.once("close", (code) => reject(new Error(`closed with ${code} before the challenge`)));
    });
    const client = new Client(socket);
    await client.call("connect", connectParams(token));
    return client;
  }

  call(method: string, params?: object): Promise<unknown> {
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  /** Sends one message and waits until its run is final; resolves to its time in ms. */
  async turn(sessionKey: string, message: string): Promise<number> {
    const runId = crypto.randomUUID();
    const startedAt = performance.now();
    await new Promise((resolve, reject) => {
      this.#turns.set(runId, { resolve, reject });
      const sent = this.call("chat.send", { sessionKey, message, idempotencyKey: runId });
      sent.catch((error: unknown) => {
        this.#turns.delete(runId);
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    return performance.now() - startedAt;
  }

  /** The time that one WebSocket ping takes to be answered, in ms. */
  ping(): Promise<number> {
    const startedAt = performance.now();
    return new Promise((resolve, reject) => {
      const pong = (): void => {
        this.#socket.off("close", closed);
        resolve(performance.now() - startedAt);
      };
      const closed = (): void => {
        this.#socket.off("pong", pong);
        reject(new Error("the gateway closed the socket"));
      };
      this.#socket.once("pong", pong);
      this.#socket.once("close", closed);
      this.#socket.ping();
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.close();
    });
  }

  #read(data: Buffer): void {
    const frame = JSON.parse(data.toString()) as Frame;
    if (frame.type === "res") this.#answer(frame);
    else if (frame.event === "chat") this.#chat(frame.payload as ChatEvent);
  }

  #answer(frame: Frame): void {
    const id = frame.id ?? "";
    const waiting = this.#calls.get(id);
    this.#calls.delete(id);
    if (frame.ok === true) waiting?.resolve(frame.payload);
    else waiting?.reject(new Error(frame.error?.message ?? "refused without a reason"));
  }

  #chat(event: ChatEvent): void {
    const isOver = event.state === "final" || event.state === "error" || event.state === "aborted";
    if (!isOver || event.runId === undefined) return;
    const waiting = this.#turns.get(event.runId);
    this.#turns.delete(event.runId);
    if (event.state === "final") waiting?.resolve(undefined);
    else waiting?.reject(new Error(`the turn ended as ${event.state}: ${event.errorMessage ?? "no reason"}`));
  }

  #fail(why: string): void {
    for (const waiting of [...this.#calls.values(), ...this.#turns.values()]) waiting.reject(new Error(why));
    this.#calls.clear();
    this.#turns.clear();
  }
}
