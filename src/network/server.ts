import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { admitted, type Clock, InputError, type Log, reasons } from "../kernel/mod.ts";
import { type Arrival, arrive, plainAddress } from "./arrival.ts";
import type { NetworkSettings } from "./settings.ts";
import { type Socket, wrapSocket } from "./socket.ts";

/** One HTTP route: everything that may be reached without a WebSocket has a row. */
export interface Route {
  readonly method: "GET" | "POST";
  /** An exact path, or a prefix that ends in "/*". */
  readonly path: string;
  /** For a prefix: which paths under it exist right now. Absent: all. */
  readonly has?: (path: string) => boolean;
  /** How the caller is proved before the handler runs; "none" only for what is public by design. */
  readonly auth: "none" | "browser-session" | "webhook" | "operator" | "hook";
  readonly maxBodyBytes: number;
  /**
   * Asked once the headers are there and before a byte of the body is read; an answer ends the request. Routes with
   * large bodies prove their caller here, so that a stranger cannot make us hold one.
   */
  readonly before?: (head: HttpHead) => Promise<HttpAnswer | undefined>;
  /** True: answered even when Host or proxy headers look wrong (liveness probes). Such a handler reveals nothing. */
  readonly anyHost?: boolean;
  handle(request: HttpRequest): Promise<HttpAnswer> | HttpAnswer;
}

/** What is known of a request before its body. */
export interface HttpHead {
  readonly path: string;
  /** What stands behind the "?", undecoded; "" when there is none. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly arrival: Arrival | undefined;
}

export interface HttpRequest extends HttpHead {
  readonly body: Buffer;
  /** Aborts when the client goes away before it has the whole answer. */
  readonly closed: AbortSignal;
  /** Value of the session cookie, "" when there is none. */
  readonly cookie: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /**
   * Instead of a body: called once the head is sent, writes the rest piece by piece; the answer ends when it resolves.
   * `write` gives false once nobody reads any more, and cuts off a reader that lets 8 MiB pile up.
   */
  readonly stream?: (write: (chunk: string | Buffer) => boolean, closed: AbortSignal) => Promise<void>;
}

export interface Listener {
  readonly port: number;
  readonly urls: readonly string[];
  /** Stops taking connections and ends idle ones. */
  close(): Promise<void>;
}

export const sessionCookie = "openclaw_session";
const maxUnauthenticatedPerAddress = 32;
const maxUnreadBytes = 8 * 1024 * 1024;

/**
 * HTTP and WebSocket on one port. Pre-authentication limits live here: body sizes, header time, unauthenticated
 * sockets per address.
 */
export async function listen(ports: {
  readonly settings: NetworkSettings;
  readonly routes: readonly Route[];
  readonly onSocket: (socket: Socket, arrival: Arrival, cookie: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Listener> {
  const { settings } = ports;
  const unauthenticated = new Map<string, number>();
  // Compression is never negotiated: it costs memory per socket, and leaks lengths of secrets beside chosen text.
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: 65_536,
  });

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort();
    });
    answer(request, gone.signal).then(
      (result) => send(request, response, result, gone.signal),
      (error) => {
        ports.log("error", "a request handler failed", {
          path: pathOf(request),
          error: String(error?.message ?? error),
        });
        const failed = problem(500, "internal", "The gateway failed on this request; see its log.");
        send(request, response, failed, gone.signal);
      },
    );
  }

  async function answer(request: IncomingMessage, closed: AbortSignal): Promise<HttpAnswer> {
    const path = pathOf(request);
    const verdict = arrive(request, settings);
    const candidates = ports.routes.filter(
      (route) => matches(route.path, path) && route.has?.(path) !== false,
    );
    const route = candidates.find(
      (item) => item.method === (request.method === "HEAD" ? "GET" : request.method),
    );
    if (!admitted(verdict) && route?.anyHost !== true) {
      const type = verdict.reason.split(".")[1] as string;
      return problem(403, type, reasons[verdict.reason].join(" "));
    }
    if (!route) {
      if (candidates.length === 0) return problem(404, "not_found", "There is nothing at this path.");
      return {
        ...problem(405, "method_not_allowed", "Use another method."),
        headers: { allow: candidates.map((item) => item.method).join(", ") },
      };
    }
    const head: HttpHead = {
      path,
      query: (request.url ?? "").slice(path.length + 1),
      headers: request.headers as Record<string, string | undefined>,
      arrival: admitted(verdict) ? verdict.value : undefined,
    };
    const early = await route.before?.(head);
    if (early) return early;
    const body = await readBody(request, route.maxBodyBytes);
    if (body === undefined)
      return problem(413, "too_large", `The body may have at most ${route.maxBodyBytes} bytes.`);
    return route.handle({ ...head, body, closed, cookie: cookieOf(request) });
  }

  function onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on("error", () => stream.destroy());
    const verdict = arrive(request, settings);
    if (!admitted(verdict)) {
      const type = verdict.reason.split(".")[1] as string;
      refuseUpgrade(
        stream,
        403,
        "application/json",
        JSON.stringify({ error: { message: reasons[verdict.reason].join(" "), type } }),
      );
      return;
    }
    const { address } = verdict.value;
    const open = unauthenticated.get(address) ?? 0;
    if (open >= maxUnauthenticatedPerAddress) {
      refuseUpgrade(stream, 503, "text/plain", "Too many unauthenticated sockets");
      return;
    }
    unauthenticated.set(address, open + 1);
    let counted = true;
    const release = () => {
      if (!counted) return;
      counted = false;
      const left = (unauthenticated.get(address) ?? 1) - 1;
      if (left <= 0) unauthenticated.delete(address);
      else unauthenticated.set(address, left);
    };
    stream.once("close", release);
    sockets.handleUpgrade(request, stream, head, (socket) => {
      ports.onSocket(wrapSocket(socket, stream, release), verdict.value, cookieOf(request));
    });
  }

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    result: HttpAnswer,
    closed: AbortSignal,
  ): void {
    const body = result.body ?? "";
    const { stream } = result;
    response.writeHead(result.status, {
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
      "x-frame-options": "DENY",
      ...(settings.strictTransportSecurity
        ? { "strict-transport-security": settings.strictTransportSecurity }
        : {}),
      ...result.headers,
      ...(stream ? {} : { "content-length": Buffer.byteLength(body) }),
    });
    if (!stream || request.method === "HEAD") {
      response.end(request.method === "HEAD" ? undefined : body);
      return;
    }
    stream((chunk) => {
      if (response.destroyed) return false;
      response.write(chunk);
      if (response.writableLength > maxUnreadBytes) response.destroy();
      return !response.destroyed;
    }, closed).then(
      () => response.end(),
      (error) => {
        ports.log("error", "an answer broke off", { path: pathOf(request), error: (error as Error).message });
        response.destroy();
      },
    );
  }

  const servers: Server[] = [];
  for (const host of settings.hosts) {
    const server = createServer(
      {
        requestTimeout: 30_000,
        headersTimeout: 15_000,
        keepAliveTimeout: 5000,
        maxHeaderSize: 16_384,
        noDelay: true,
      },
      onRequest,
    );
    server.on("upgrade", onUpgrade);
    server.on("clientError", (_error, stream) => {
      if (stream.writable) stream.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    });
    const first = servers[0]?.address();
    const port = settings.port === 0 && first && typeof first === "object" ? first.port : settings.port;
    try {
      await bind(server, host, port);
    } catch (error) {
      for (const other of servers) other.close();
      throw error;
    }
    servers.push(server);
  }
  const bound = servers[0]?.address();
  const port = bound && typeof bound === "object" ? bound.port : settings.port;
  return {
    port,
    urls: settings.hosts.map((host) => `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}/`),
    close: () =>
      Promise.all(
        servers.map(
          (server) =>
            new Promise<void>((resolve) => {
              server.close(() => resolve());
              server.closeIdleConnections();
            }),
        ),
      ).then(() => {}),
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(new PortTaken(host, port));
      else reject(new InputError(`cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen({ host, port, backlog: 1024 }, resolve);
  });
}

/** Another program listens there; the caller finds out who. */
export class PortTaken extends InputError {
  readonly host: string;
  readonly port: number;
  constructor(host: string, port: number) {
    super(`port ${port} on ${host} is taken`);
    this.name = "PortTaken";
    this.host = host;
    this.port = port;
  }
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith("/*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** The path as it is routed: no query, no decoding. Encoded variants of a path match no route. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] as string;
}

/** Undefined when the body is larger than allowed; the rest is not read. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  if (request.method === "GET" || request.method === "HEAD") return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        request.pause();
        resolve(undefined);
      } else chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
  });
}

function cookieOf(request: IncomingMessage): string {
  for (const part of (request.headers.cookie ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === sessionCookie) return value ?? "";
  }
  return "";
}

/** A JSON error: `{error: {code, message}}`. */
export function problem(status: number, type: string, message: string): HttpAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify({ error: { type, code: type, message } }),
  };
}

function refuseUpgrade(stream: Duplex, status: number, type: string, body: string): void {
  const text = status === 403 ? "Forbidden" : "Service Unavailable";
  stream.end(
    `HTTP/1.1 ${status} ${text}\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

export { plainAddress };
