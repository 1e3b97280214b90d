// A lean client of the gateway protocol, version 4: the same code drives ours and the peer, over the same
// wire. It has no per-call timers; a part of the run has one deadline, and a closed socket fails all calls.

import { LeanSocket } from "./socket.ts";

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
  #socket: LeanSocket | undefined;
  readonly #calls = new Map<string, Waiting>();
  readonly #turns = new Map<string, Waiting>();
  readonly #pongs: Waiting[] = [];
  readonly #challenged = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #lastId = 0;

  private constructor() {
    // Whoever waits is told; nobody waiting is no error.
    this.#challenged.promise.catch(() => {});
  }

  /** Opens, waits for the challenge, connects. Rejects with the gateway's own words when it refuses. */
  static async open(port: number, token: string): Promise<Client> {
    const client = new Client();
    client.#socket = await LeanSocket.open(port, {
      text: (message) => client.#read(message),
      pong: () => client.#pongs.shift()?.resolve(undefined),
      closed: (why) => client.#fail(why),
    });
    await client.#challenged.promise;
    await client.call("connect", connectParams(token));
    return client;
  }

  call(method: string, params?: object): Promise<unknown> {
    const id = String(++this.#lastId);
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#socket?.send(JSON.stringify({ type: "req", id, method, params }));
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
  async ping(): Promise<number> {
    const startedAt = performance.now();
    await new Promise((resolve, reject) => {
      this.#pongs.push({ resolve, reject });
      this.#socket?.ping();
    });
    return performance.now() - startedAt;
  }

  async close(): Promise<void> {
    this.#socket?.close();
    await this.#closed.promise;
  }

  #read(message: string): void {
    const frame = JSON.parse(message) as Frame;
    if (frame.type === "res") this.#answer(frame);
    else if (frame.event === "chat") this.#chat(frame.payload as ChatEvent);
    else if (frame.event === "connect.challenge") this.#challenged.resolve();
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
    const error = new Error(why);
    const waiting = [...this.#calls.values(), ...this.#turns.values(), ...this.#pongs.splice(0)];
    this.#calls.clear();
    this.#turns.clear();
    this.#challenged.reject(error);
    this.#closed.resolve();
    for (const { reject } of waiting) reject(error);
  }
}
