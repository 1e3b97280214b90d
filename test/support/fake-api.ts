import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly raw: Buffer;
  /** The body's JSON, or {} where it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or bytes as they are. */
  readonly body?: unknown;
}

/** What goes wrong with the next call whose "METHOD /path" holds the fault's words. */
export type ApiFault =
  | ({ readonly kind: "answer" } & ApiAnswer)
  /** No answer, ever; of the second one, though it took effect. */
  | { readonly kind: "hang" | "hangAfter" }
  /** The connection ends before the call is looked at, or after it took effect. */
  | { readonly kind: "closeBefore" | "closeAfter" };

/** An HTTP API on a port of its own that fails on demand. A platform's fake says what each call does. */
export class FakeApi {
  readonly calls: ApiRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #faults: { readonly call: string; readonly fault: ApiFault }[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #handle: (request: ApiRequest) => ApiAnswer;
  #port = 0;

  constructor(
    handle: (request: ApiRequest) => ApiAnswer,
    upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
  ) {
    this.#handle = handle;
    this.#server = createServer((request, response) => {
      // Each connection serves one call: a client that is cut off holds no dead idle one.
      response.shouldKeepAlive = false;
      this.#serve(request, response).catch(() => response.destroy());
    });
    if (upgrade) this.#server.on("upgrade", upgrade);
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  fault(call: string, fault: ApiFault): void {
    this.#faults.push({ call, fault });
  }

  callsOf(call: string): readonly ApiRequest[] {
    return this.calls.filter((request) => `${request.method} ${request.path}`.includes(call));
  }

  changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  /** Resolves once `condition` holds; looked at after every call and change. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing listens any more; `listen` with the same port brings it back. */
  async suspend(): Promise<number> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cutConnections();
    await closed;
    return this.#port;
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.suspend();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const url = new URL(request.url ?? "/", "http://fake");
    const seen: ApiRequest = {
      method: request.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      raw,
      json: jsonOf(raw),
    };
    this.calls.push(seen);
    const at = this.#faults.findIndex(({ call }) => `${seen.method} ${seen.path}`.includes(call));
    const fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]?.fault;
    if (fault?.kind === "hang") return this.changed();
    if (fault?.kind === "closeBefore") response.destroy();
    else if (fault?.kind === "answer") write(response, fault);
    else {
      const answer = this.#handle(seen);
      if (fault?.kind === "closeAfter") response.destroy();
      else if (fault?.kind !== "hangAfter") write(response, answer);
    }
    this.changed();
  }
}

function write(response: ServerResponse, { status, headers, body }: ApiAnswer): void {
  const isBytes = Buffer.isBuffer(body) || typeof body === "string";
  response.writeHead(status, { ...(isBytes ? {} : { "content-type": "application/json" }), ...headers });
  response.end(body === undefined ? undefined : isBytes ? body : JSON.stringify(body));
}

function jsonOf(raw: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(raw.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
