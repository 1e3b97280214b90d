import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import { Arrivals } from "./arrivals.ts";
import { FakeRun } from "./fake-run.ts";

export type Params = Readonly<Record<string, unknown>>;

export interface Call {
  readonly method: string;
  readonly params: Params;
}

/** What the page must live with: no inline code, no eval, no HTML sinks, no other host. */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
};

class Refusal extends Error {
  readonly details: Params;
  constructor(message: string, details: Params = {}) {
    super(message);
    this.details = details;
  }
}

interface Options {
  /** The folder of the built page. */
  readonly folder: string;
  readonly provider?: string;
  readonly model?: string;
}

/**
 * A gateway on a loopback port that serves the page and speaks the protocol's operator side to it. It does
 * nothing by itself: a test takes each run with `runs.next()` and plays it. Messages are kept per conversation,
 * so a page that comes back finds them.
 */
export class FakeGateway implements AsyncDisposable {
  readonly token = "token-for-tests";
  ticket = "ticket-for-tests";
  readonly calls: Call[] = [];
  readonly runs = new Arrivals<FakeRun>();
  readonly history = new Map<string, Params[]>();
  readonly labels = new Map<string, string>();
  /** Files of replies, by the query of their address. */
  readonly files = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  approvals: Params[] = [];
  questions: Params[] = [];
  pairing: Params[] = [];
  channels: Params = { channelOrder: [], channelLabels: {}, channels: {}, channelAccounts: {} };
  /** Accepts, runs and then never answers the next chat.send: what a lost connection looks like. */
  swallowNextSendAnswer = false;
  refuseSockets = false;
  readonly #options: Options;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #signedIn = new Set<string>();
  readonly #callWaiters = new Set<() => void>();
  readonly #seqs = new WeakMap<WebSocket, number>();
  #nextId = 0;

  private constructor(options: Options) {
    this.#options = options;
    this.#server.on("upgrade", (request, socket, head) => {
      const origin = request.headers.origin === this.url.slice(0, -1);
      if (this.refuseSockets || !origin || !this.#isSignedIn(request)) {
        socket.end(`HTTP/1.1 ${this.refuseSockets ? 503 : 401} Refused\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#greet(opened));
    });
  }

  static async start(options: Options): Promise<FakeGateway> {
    const gateway = new FakeGateway(options);
    await new Promise<void>((resolve) => gateway.#server.listen(0, "127.0.0.1", resolve));
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  get signInUrl(): string {
    return `${this.url}#signin=${this.ticket}`;
  }

  /** Resolves when the method has been called this many times in all. */
  async called(method: string, times = 1): Promise<Call> {
    for (;;) {
      const found = this.calls.filter((call) => call.method === method);
      const last = found[times - 1];
      if (last) return last;
      await new Promise<void>((resolve) => this.#callWaiters.add(resolve));
    }
  }

  emit(event: string, payload: Params): void {
    for (const socket of this.#sockets.clients) {
      const seq = (this.#seqs.get(socket) ?? 0) + 1;
      this.#seqs.set(socket, seq);
      socket.send(JSON.stringify({ type: "event", event, payload, seq }));
    }
  }

  ask(
    id: string,
    questions: readonly Params[],
    sessionKey = "agent:main:main",
    lifetimeMs = 1_800_000,
  ): void {
    const createdAtMs = Date.now();
    const times = { createdAtMs, expiresAtMs: createdAtMs + lifetimeMs };
    const record = { id, questions, agentId: "main", sessionKey, ...times, status: "pending" };
    this.questions = [...this.questions, record];
    this.emit("question.requested", record);
  }

  /** Somebody answered or cancelled it, or its time is over. */
  endQuestion(id: string, status: "answered" | "cancelled" | "expired"): void {
    this.questions = this.questions.filter((one) => one.id !== id);
    this.emit("question.resolved", { id, status });
  }

  /** The next event arrives with a hole before it. */
  loseAnEvent(): void {
    for (const socket of this.#sockets.clients) this.#seqs.set(socket, (this.#seqs.get(socket) ?? 0) + 1);
  }

  dropSockets(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  forgetSessions(): void {
    this.#signedIn.clear();
    for (const socket of this.#sockets.clients) socket.close(4001, "gateway auth changed");
  }

  append(sessionKey: string, message: Params): void {
    this.#nextId += 1;
    const id = `message-${this.#nextId}`;
    const own = { id, ...(message.__openclaw as Params | undefined) };
    const kept = { timestamp: 1_795_217_835_195 + this.#nextId, ...message, __openclaw: own };
    this.history.set(sessionKey, [...(this.history.get(sessionKey) ?? []), kept]);
    if (message.role !== "toolResult")
      this.emit("session.message", { sessionKey, message: kept, messageId: id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropSockets();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #greet(socket: WebSocket): void {
    socket.send(
      JSON.stringify({ type: "event", event: "connect.challenge", payload: { nonce: "n", ts: Date.now() } }),
    );
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as { id: string; method: string; params?: Params };
      const params = frame.params ?? {};
      this.calls.push({ method: frame.method, params });
      const answer = this.#answer(frame.method, params);
      for (const tell of this.#callWaiters) tell();
      this.#callWaiters.clear();
      if (frame.method === "chat.send" && this.swallowNextSendAnswer) {
        this.swallowNextSendAnswer = false;
        return;
      }
      socket.send(JSON.stringify({ type: "res", id: frame.id, ...answer }));
    });
  }

  #answer(method: string, params: Params): Params {
    try {
      return { ok: true, payload: this.#handle(method, params) ?? {} };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return {
        ok: false,
        error: { code: "INVALID_REQUEST", message: error.message, details: error.details },
      };
    }
  }

  #handle(method: string, params: Params): unknown {
    const { provider = "mock", model = "mock-1" } = this.#options;
    const key = String(params.sessionKey ?? params.key);
    switch (method) {
      case "connect":
        return {
          type: "hello-ok",
          protocol: 4,
          server: { version: "1.2.3", connId: "c" },
          features: { methods: [], events: [] },
          snapshot: {
            presence: [],
            health: {},
            stateVersion: { presence: 0, health: 0 },
            uptimeMs: 3_725_000,
            sessionDefaults: {
              defaultAgentId: "main",
              mainSessionKey: "agent:main:main",
              modelProvider: provider,
              model,
            },
          },
          auth: { role: "operator", scopes: params.scopes },
          policy: { maxPayload: 1, maxBufferedBytes: 1, tickIntervalMs: 30_000 },
        };
      case "sessions.list":
        return { defaults: { modelProvider: provider, model }, sessions: this.#rows() };
      case "sessions.patch":
        this.labels.set(key, String(params.label));
        return { ok: true, key };
      case "sessions.reset":
        this.history.set(key, []);
        return { ok: true, key };
      case "sessions.delete":
        this.history.delete(key);
        return { ok: true, key, deleted: true };
      case "chat.history":
        return { sessionKey: key, sessionId: key, messages: this.history.get(key) ?? [], hasMore: false };
      case "chat.send":
        return this.#send(key, params);
      case "chat.abort":
        return { ok: true, aborted: true, runIds: [] };
      case "exec.approval.list":
        return this.approvals;
      case "exec.approval.resolve": {
        if (!this.approvals.some((one) => one.id === params.id))
          throw new Refusal("approval already resolved", { reason: "APPROVAL_ALREADY_RESOLVED" });
        this.approvals = this.approvals.filter((one) => one.id !== params.id);
        this.emit("exec.approval.resolved", { id: params.id, decision: params.decision });
        return { ok: true };
      }
      case "question.list":
        return { questions: this.questions };
      case "question.resolve": {
        if (!this.questions.some((one) => one.id === params.id))
          throw new Refusal("this question is over: answered", { reason: "QUESTION_ALREADY_RESOLVED" });
        this.endQuestion(String(params.id), params.cancel ? "cancelled" : "answered");
        return { status: params.cancel ? "cancelled" : "answered" };
      }
      case "channels.pairing.list":
        return { requests: this.pairing };
      case "channels.pairing.approve":
      case "channels.pairing.dismiss":
        this.pairing = this.pairing.filter((one) => one.requestId !== params.requestId);
        return {};
      case "access.explain":
        return {
          admitted: false,
          reason: "access.sender_unpaired",
          sentence: "The sender is not paired.",
          steps: [
            { rule: "channel", outcome: "pass", facts: "<b>telegram</b>", isSet: true },
            {
              rule: "direct",
              outcome: "refuse",
              facts: "dmPolicy pairing",
              file: "/home/ada/.openclaw/openclaw.json",
              line: 7,
              path: "channels.telegram.dmPolicy",
              isSet: true,
            },
          ],
          needs: [{ text: "pair the sender" }],
          losses: [],
        };
      case "access.whoCan":
        return {
          tool: params.tool,
          rows: [
            { sender: "operator", channel: "page, terminal, API", agentId: "main", needs: ["an approval"] },
          ],
        };
      case "channels.status":
        return this.channels;
      case "health":
        return { ok: true, ts: 1 };
      case "sessions.subscribe":
      case "sessions.messages.subscribe":
        return { subscribed: true };
      default:
        throw new Refusal(`unknown method: ${method}`);
    }
  }

  #rows(): Params[] {
    return [...this.history].map(([key, messages], index) => ({
      key,
      kind: "direct",
      sessionId: key,
      updatedAt: Date.now() - index * 3_600_000,
      isMain: key === "agent:main:main",
      ...(this.labels.has(key) ? { label: this.labels.get(key) } : {}),
      lastMessagePreview: previewOf(messages.at(-1)),
    }));
  }

  #send(key: string, params: Params): Params {
    const runId = String(params.idempotencyKey);
    const known = (this.history.get(key) ?? []).some((one) => one.idempotencyKey === `${runId}:user`);
    if (known) return { runId, status: "in_flight" };
    this.append(key, { role: "user", content: params.message, idempotencyKey: `${runId}:user` });
    this.runs.add(new FakeRun(this, key, runId, String(params.message)));
    return { runId, status: "started" };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search } = new URL(request.url ?? "/", this.url);
    response.setHeader("content-security-policy", pagePolicy);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "no-referrer");
    if (pathname.startsWith("/auth/")) return this.#auth(pathname, request, response);
    if (pathname === "/chat/files") {
      const found = this.#isSignedIn(request) ? this.files.get(search.slice(1)) : undefined;
      response.writeHead(found ? 200 : 404, { "content-type": found?.type ?? "text/plain" });
      response.end(found?.bytes);
      return;
    }
    const file = pathname === "/" ? "index.html" : pathname.slice(1);
    try {
      if (file.includes("..")) throw new Error("outside");
      const content = await readFile(join(this.#options.folder, file));
      response.setHeader("content-type", contentTypes[extname(file)] ?? "application/octet-stream");
      response.setHeader(
        "cache-control",
        file.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      );
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  }

  async #auth(pathname: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (pathname === "/auth/session")
      return json(response, this.#isSignedIn(request) ? 200 : 401, { signedIn: true });
    const body = JSON.parse((await bodyOf(request)) || "{}") as Params;
    if (pathname === "/auth/sign-out") {
      this.#signedIn.clear();
      response.writeHead(204, { "set-cookie": "openclaw_session=; Max-Age=0; Path=/" }).end();
      return;
    }
    const byTicket = body.ticket !== undefined && body.ticket === this.ticket;
    if (!byTicket && body.token !== this.token) {
      const message =
        body.ticket === undefined
          ? "This token is not the gateway's."
          : "This sign-in link was used already or has expired.";
      return json(response, 401, { error: { code: "SIGN_IN_REFUSED", message } });
    }
    this.ticket = `${this.ticket}-next`;
    const session = `s${this.#signedIn.size}`;
    this.#signedIn.add(session);
    response
      .writeHead(204, { "set-cookie": `openclaw_session=${session}; HttpOnly; SameSite=Strict; Path=/` })
      .end();
  }

  #isSignedIn(request: IncomingMessage): boolean {
    const session = /openclaw_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
    return session !== undefined && this.#signedIn.has(session);
  }
}

function previewOf(message: Params | undefined): string {
  const content = message?.content;
  if (typeof content === "string") return content;
  return Array.isArray(content) ? String(content[0]?.text ?? "") : "";
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
}
