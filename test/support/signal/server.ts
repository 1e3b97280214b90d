import { once } from "node:events";
import {
  createServer as createHttp,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";

export interface FakeSend {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

type Stream = (event: object, id: number) => void;

/** What the next command of this name does instead. */
export type SignalFault =
  | { readonly kind: "refuse"; readonly code: number; readonly message?: string; readonly data?: unknown }
  | { readonly kind: "closeAfter" };

/**
 * A signal-cli daemon (man/signal-cli-jsonrpc.5): JSON-RPC and events over HTTP, and over a socket. Started with
 * `--receive-mode on-connection`: messages wait at Signal's server until somebody listens.
 */
export class FakeSignal {
  readonly calls: FakeSend[] = [];
  readonly faults = new Map<string, SignalFault>();
  /** Files by id. */
  readonly files = new Map<string, Buffer>();
  readonly lastEventIds: (string | undefined)[] = [];
  #at = 1_700_000_000_000;
  /** The latest events, numbered from 1. */
  readonly #events: object[] = [];
  readonly #waiting: object[] = [];
  readonly #streams = new Set<Stream>();
  readonly #sockets = new Set<Socket>();
  readonly #http: HttpServer;
  readonly #lines: Server;

  constructor() {
    this.#http = createHttp((request, response) => void this.#serve(request, response));
    this.#lines = createServer((socket) => this.#talk(socket));
    for (const server of [this.#http, this.#lines])
      server.on("connection", (socket: Socket) => {
        this.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => this.#sockets.delete(socket));
      });
  }

  async listen(socketPath?: string): Promise<void> {
    this.#http.listen(0, "127.0.0.1");
    if (socketPath === undefined) this.#lines.listen(0, "127.0.0.1");
    else this.#lines.listen(socketPath);
    await Promise.all([once(this.#http, "listening"), once(this.#lines, "listening")]);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  get linesPort(): number {
    return (this.#lines.address() as AddressInfo).port;
  }

  callsOf(method: string): readonly FakeSend[] {
    return this.calls.filter((call) => call.method === method);
  }

  /** An envelope with a message; gives the event. */
  write(
    from: { uuid?: string; number?: string; name?: string },
    data: object,
    envelope: object = {},
  ): { at: number; event: object } {
    const event = this.envelope(from, data, envelope);
    this.push(event);
    return { at: this.#at, event };
  }

  /** Written, and not told to anybody yet. */
  envelope(
    from: { uuid?: string; number?: string; name?: string },
    data: object,
    envelope: object = {},
  ): object {
    this.#at += 1;
    const at = this.#at;
    return {
      account: "+15550009999",
      envelope: {
        source: from.number ?? from.uuid,
        sourceNumber: from.number ?? null,
        sourceUuid: from.uuid,
        sourceName: from.name ?? "",
        sourceDevice: 1,
        timestamp: at,
        dataMessage: { timestamp: at, message: null, expiresInSeconds: 0, viewOnce: false, ...data },
        ...envelope,
      },
    };
  }

  push(event: object): void {
    if (this.#streams.size === 0) this.#waiting.push(event);
    else this.#send(event);
  }

  #send(event: object): void {
    this.#events.push(event);
    for (const stream of this.#streams) stream(event, this.#events.length);
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#streams.clear();
  }

  /** Nothing listens any more. */
  async suspend(): Promise<void> {
    const closed = [this.#http, this.#lines]
      .filter((server) => server.listening)
      .map((server) => once(server, "close"));
    this.#http.close();
    this.#lines.close();
    this.cut();
    await Promise.all(closed);
  }

  async close(): Promise<void> {
    await this.suspend();
  }

  #listening(stream: Stream, connection: { once(name: "close", action: () => void): unknown }): void {
    this.#streams.add(stream);
    connection.once("close", () => this.#streams.delete(stream));
    for (const event of this.#waiting.splice(0)) this.#send(event);
  }

  #answer(
    call: { id?: unknown; method?: string; params?: Record<string, unknown> },
    hangUp: () => void,
  ): object | undefined {
    const { id, method = "", params = {} } = call;
    const fault = this.faults.get(method);
    this.faults.delete(method);
    if (fault?.kind === "refuse") {
      const { code, message = "", data = null } = fault;
      return { jsonrpc: "2.0", id, error: { code, message, data } };
    }
    this.calls.push({ method, params });
    if (fault?.kind === "closeAfter") {
      hangUp();
      return undefined;
    }
    this.#at += 1;
    return { jsonrpc: "2.0", id, result: this.#resultOf(method, params) };
  }

  #resultOf(method: string, params: Record<string, unknown>): unknown {
    if (method === "version") return { version: "0.13.99" };
    if (method === "getAttachment")
      return { data: (this.files.get(String(params.id)) ?? Buffer.alloc(0)).toString("base64") };
    return { timestamp: this.#at, results: [{ type: "SUCCESS" }] };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://fake");
    if (pathname === "/api/v1/events") {
      this.lastEventIds.push(request.headers["last-event-id"] as string | undefined);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(":\n\n");
      const stream: Stream = (event, id) => {
        response.write(`id:${id}\nevent:receive\ndata:${JSON.stringify(event)}\n\n`);
      };
      const last = Number(request.headers["last-event-id"] ?? this.#events.length);
      for (const [index, event] of this.#events.entries()) if (index >= last) stream(event, index + 1);
      this.#listening(stream, response);
      return;
    }
    response.shouldKeepAlive = false;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = this.#answer(JSON.parse(Buffer.concat(chunks).toString("utf8")), () => response.destroy());
    if (answer) response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #talk(socket: Socket): void {
    let rest = "";
    this.#listening((event) => {
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", method: "receive", params: event })}\n`);
    }, socket);
    socket.setEncoding("utf8").on("data", (text: string) => {
      rest += text;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        const answer = this.#answer(JSON.parse(line), () => socket.destroy());
        if (answer) socket.write(`${JSON.stringify(answer)}\n`);
      }
    });
  }
}
