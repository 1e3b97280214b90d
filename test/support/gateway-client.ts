import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { createFrameCheck } from "./wire-frames.ts";

export interface ConnectOptions {
  readonly token?: string;
  readonly password?: string;
  readonly scopes?: readonly string[];
  readonly clientId?: string;
  readonly mode?: string;
  readonly caps?: readonly string[];
  readonly cookie?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into it at will
export type Payload = any;

export interface EventFrame {
  readonly event: string;
  readonly payload: Payload;
  readonly seq?: number;
  readonly stateVersion?: { readonly presence: number; readonly health: number };
}

export interface Answer {
  readonly id: string;
  readonly ok: boolean;
  readonly payload?: Payload;
  readonly error?: Payload;
}

/** An error answer, thrown by {@link GatewayClient.rpc}. */
export class RpcError extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super(`${answer.error?.code}: ${answer.error?.message}`);
    this.answer = answer;
  }
}

/** One WebSocket that speaks protocol v4 and keeps everything that came. */
export class GatewayClient {
  readonly socket: WebSocket;
  readonly frames: Payload[] = [];
  readonly events: EventFrame[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  hello: Payload;
  readonly #watchers = new Set<() => void>();
  // Thousands may be waited for at once: these two are found by name, not by looking at everything that came.
  readonly #answers = new Map<unknown, Answer>();
  readonly #chatEnds = new Map<string, Payload>();
  readonly #waiting = new Map<string, () => void>();
  readonly #check = createFrameCheck();
  #isClosed = false;
  #abandoned = false;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        this.#isClosed = true;
        resolve({ code, reason: reason.toString("utf8") });
        this.#look();
      });
    });
    // A refused upgrade or a killed gateway shows as a close; what matters is looked at there.
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as Payload;
      this.frames.push(frame);
      // Thrown here it fails the test that is running: no frame of ours may differ from what is published.
      const problems = this.#check.problems(frame);
      if (problems.length > 0)
        throw new Error(`${problems.join("; ")}: ${JSON.stringify(frame).slice(0, 2000)}`);
      if (frame.type === "event") this.#takeEvent(frame);
      else if (frame.type === "res" && frame.payload?.status !== "accepted") {
        this.#answers.set(frame.id, frame);
        this.#waiting.get(`answer ${frame.id}`)?.();
      }
      this.#look();
    });
  }

  static async open(port: number, headers: Readonly<Record<string, string>> = {}): Promise<GatewayClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
      perMessageDeflate: false,
      maxPayload: 200_000_000,
      headers,
    });
    const client = new GatewayClient(socket);
    await client.waitFor((event) => event.event === "connect.challenge");
    return client;
  }

  static async connect(port: number, options: ConnectOptions): Promise<GatewayClient> {
    const client = await GatewayClient.open(port, options.cookie ? { cookie: options.cookie } : {});
    client.hello = await client.rpc("connect", connectParams(options));
    return client;
  }

  /** Sends a request and resolves with its payload; rejects with an {@link RpcError}. */
  async rpc(method: string, params?: unknown): Promise<Payload> {
    const answer = await this.ask(method, params);
    if (!answer.ok) throw new RpcError(answer);
    return answer.payload;
  }

  /** The answer as it came. */
  ask(method: string, params?: unknown): Promise<Answer> {
    const id = randomUUID();
    this.#check.asked(id, method);
    this.sendRaw(JSON.stringify({ type: "req", id, method, ...(params === undefined ? {} : { params }) }));
    return this.answerTo(id);
  }

  sendRaw(data: string | Buffer, options: { readonly binary?: boolean } = {}): void {
    this.socket.send(data, { binary: options.binary ?? false });
  }

  /** In one packet: the gateway has read the last before it can have answered the first. */
  sendTogether(texts: readonly string[]): void {
    const { _socket: stream } = this.socket as WebSocket & { readonly _socket: Socket };
    stream.cork();
    for (const text of texts) this.sendRaw(text);
    stream.uncork();
  }

  /** The last answer to this id: skips "accepted" of a request that is answered twice. */
  answerTo(id: unknown): Promise<Answer> {
    return this.#named(`answer ${id}`, () => this.#answers.get(id));
  }

  /** The first event that fits, now or later. */
  waitFor(fits: (event: EventFrame) => boolean): Promise<EventFrame> {
    return this.#until(() => this.events.find(fits));
  }

  /** The chat event that ends a run. */
  chatEnd(runId: string): Promise<Payload> {
    return this.#named(`chat ${runId}`, () => this.#chatEnds.get(runId));
  }

  /** Says something and waits for the end of the run. */
  async say(message: string, sessionKey = "main", key: string = randomUUID()): Promise<Payload> {
    await this.rpc("chat.send", { sessionKey, message, idempotencyKey: key });
    return this.chatEnd(key);
  }

  close(): Promise<unknown> {
    this.socket.close();
    return this.closed;
  }

  /** Ends it at once; whoever waits on it hears nothing more. */
  abandon(): void {
    this.#abandoned = true;
    this.#watchers.clear();
    this.#waiting.clear();
    this.socket.terminate();
  }

  #until<T>(find: () => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found === undefined && !this.#isClosed) return;
        this.#watchers.delete(look);
        if (found !== undefined) resolve(found);
        else if (!this.#abandoned) reject(new Error("the socket closed before what was waited for came"));
      };
      this.#watchers.add(look);
      look();
    });
  }

  #named<T>(name: string, find: () => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found === undefined && !this.#isClosed) return;
        this.#waiting.delete(name);
        if (found !== undefined) resolve(found);
        else reject(new Error(`the socket closed before ${name} came`));
      };
      this.#waiting.set(name, look);
      look();
    });
  }

  #takeEvent(frame: EventFrame): void {
    this.events.push(frame);
    const { event, payload } = frame;
    if (event !== "chat" || !["final", "aborted", "error"].includes(payload.state)) return;
    this.#chatEnds.set(payload.runId, payload);
    this.#waiting.get(`chat ${payload.runId}`)?.();
  }

  #look(): void {
    if (this.#isClosed) for (const look of [...this.#waiting.values()]) look();
    for (const look of [...this.#watchers]) look();
  }
}

export function connectParams(options: ConnectOptions): Record<string, unknown> {
  return {
    minProtocol: 4,
    maxProtocol: 4,
    client: {
      id: options.clientId ?? "cli",
      version: "1.0.0",
      platform: "linux",
      mode: options.mode ?? "cli",
    },
    role: "operator",
    scopes: options.scopes ?? ["operator.admin", "operator.approvals", "operator.pairing"],
    caps: options.caps ?? ["tool-events", "approvals", "exec-approvals"],
    ...(options.token === undefined ? {} : { auth: { token: options.token } }),
    ...(options.password === undefined ? {} : { auth: { password: options.password } }),
  };
}
