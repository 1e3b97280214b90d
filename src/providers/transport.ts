import type { ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions } from "node:http";
import type { ModelFault } from "../kernel/mod.ts";
import { InputError } from "../kernel/mod.ts";
import { Faults } from "./faults.ts";
import type { ProviderDeps, ProviderSettings } from "./settings.ts";
import { Watchdog } from "./watchdog.ts";

/** Of a body that is not a stream of events: of an error message, and of a list of models. */
const maxErrorChars = 64 * 1024;
const maxJsonChars = 8 * 1024 * 1024;
/** Idle connections kept, and how long: networks forget a quiet connection without telling either end. */
const maxIdleSockets = 32;
const idleSocketMs = 60_000;
/** How long the rest of an answer may take after its last useful byte. */
const drainMs = 1000;

/** Takes the body of a 2xx answer as it comes. All three may throw; what they throw becomes the exchange's failure. */
export interface Receiver {
  head(response: IncomingMessage): void;
  chunk(text: string): void;
  /** The body is complete. */
  end(): void;
}

/** One request under way. */
export interface Exchange {
  /** Stops reading from the socket, and the stall clock with it. */
  pause(): void;
  resume(): void;
  /** What is needed was read: the rest is discarded for a moment, so that the socket can be used again. */
  done(): void;
  /** Closes the socket; nothing is reported any more. */
  close(): void;
}

interface Send {
  readonly method: "POST" | "GET";
  /** Appended to the path of baseUrl: "/chat/completions". */
  readonly path: string;
  readonly query?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
  readonly receiver: Receiver;
  /** Called at most once. */
  failed(fault: ModelFault): void;
}

/** Opens the HTTP client of one provider; https is loaded only where it is needed. */
export async function openTransport(settings: ProviderSettings, deps: ProviderDeps): Promise<Transport> {
  const url = parseBaseUrl(settings);
  const { Agent, request } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  // Nagle is off by default in this agent.
  const agent = new Agent({
    keepAlive: true,
    maxFreeSockets: maxIdleSockets,
    timeout: idleSocketMs,
    scheduling: "lifo",
  });
  return new Transport(settings, deps, url, agent, request);
}

function parseBaseUrl({ id, baseUrl }: ProviderSettings): URL {
  const where = `models.providers.${id}.baseUrl`;
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InputError(
      `${where} is not an http or https address; write it like https://api.example.com/v1.`,
    );
  }
  // User information would show up in messages and logs, where addresses are printed.
  if (url.username !== "" || url.password !== "") {
    throw new InputError(`${where} holds a user name or password; put the key into apiKey instead.`);
  }
  return url;
}

export class Transport {
  readonly faults: Faults;
  readonly settings: ProviderSettings;
  readonly url: URL;
  readonly #deps: ProviderDeps;
  readonly #agent: HttpAgent;
  readonly #request: (options: RequestOptions) => ClientRequest;

  constructor(
    settings: ProviderSettings,
    deps: ProviderDeps,
    url: URL,
    agent: HttpAgent,
    request: (options: RequestOptions) => ClientRequest,
  ) {
    this.settings = settings;
    this.url = url;
    this.#deps = deps;
    this.#agent = agent;
    this.#request = request;
    this.faults = new Faults(settings, deps.clock, url.origin);
  }

  /** Sends one request. The receiver hears of a 2xx answer only; everything else ends in `failed`. */
  send(send: Send): Exchange {
    const run = new Run(this, send, this.#deps, (body) => this.#open(send, body), this.#agent);
    run.start();
    return run;
  }

  /** A JSON document, at most 8 MB of text. */
  getJson(
    path: string,
    query: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let body = "";
      this.send({
        method: "GET",
        path,
        query,
        headers,
        body: "",
        signal,
        failed: reject,
        receiver: {
          head() {},
          chunk: (text) => {
            body += text;
            if (body.length > maxJsonChars) throw this.faults.make("protocol", "sent a list of over 8 MB");
          },
          end: () => {
            try {
              resolve(JSON.parse(body));
            } catch {
              throw this.faults.make("protocol", "sent a list that is not JSON");
            }
          },
        },
      });
    });
  }

  #open(send: Send, body: Buffer | undefined): ClientRequest {
    const { url, settings } = this;
    const headers: Record<string, string | number> = {
      accept: send.method === "POST" ? "text/event-stream" : "application/json",
      "accept-encoding": "identity",
      "user-agent": "openclaw",
      ...send.headers,
    };
    for (const [name, value] of Object.entries(settings.headers)) headers[name.toLowerCase()] = value;
    if (body !== undefined) {
      headers["content-type"] = "application/json";
      headers["content-length"] = body.byteLength;
    }
    const prefix = url.pathname.endsWith("/") ? url.pathname.slice(0, -1) : url.pathname;
    const query = send.query ? (url.search ? `${url.search}&${send.query}` : `?${send.query}`) : url.search;
    return this.#request({
      method: send.method,
      // An IPv6 address stands in brackets in a URL, but not in a socket call.
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      ...(url.port === "" ? {} : { port: url.port }),
      path: `${prefix}${send.path}${query}`,
      headers,
      agent: this.#agent,
    });
  }
}

/** The life of one request: waiting -> reading -> finished. */
class Run implements Exchange {
  readonly #transport: Transport;
  readonly #send: Send;
  readonly #open: (body: Buffer | undefined) => ClientRequest;
  readonly #agent: HttpAgent;
  readonly #watchdog: Watchdog;
  readonly #aborted: () => void;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #finished = false;
  #retried = false;
  #bytesBefore = 0;

  constructor(
    transport: Transport,
    send: Send,
    deps: ProviderDeps,
    open: (body: Buffer | undefined) => ClientRequest,
    agent: HttpAgent,
  ) {
    this.#transport = transport;
    this.#send = send;
    this.#open = open;
    this.#agent = agent;
    this.#watchdog = new Watchdog(deps.clock, (phase, limitMs) => this.#timeout(phase, limitMs));
    this.#aborted = () => this.#fail(transport.faults.make("aborted", "the call was stopped"));
  }

  start(): void {
    const { signal } = this.#send;
    if (signal.aborted) this.#aborted();
    else {
      signal.addEventListener("abort", this.#aborted, { once: true });
      this.#attempt();
    }
  }

  pause(): void {
    this.#watchdog.stop();
    this.#response?.pause();
  }

  resume(): void {
    if (this.#finished || this.#response === undefined) return;
    this.#watchdog.expect("stall", this.#transport.settings.stallTimeoutMs);
    this.#response.resume();
  }

  done(): void {
    if (this.#finished) return;
    this.#finish();
    // A server that never ends its answer must not keep the socket.
    this.#watchdog.expect("drain", drainMs);
    this.#response?.resume();
  }

  close(): void {
    this.#finish();
    this.#watchdog.stop();
    this.#request?.destroy();
  }

  #attempt(): void {
    const { faults, settings } = this.#transport;
    try {
      const body = this.#send.method === "POST" ? Buffer.from(this.#send.body) : undefined;
      const request = this.#open(body);
      this.#request = request;
      request.once("socket", (socket) => {
        if (this.#finished || this.#request !== request) return;
        this.#bytesBefore = socket.bytesRead;
        if (!socket.connecting) return this.#watchdog.expect("firstByte", settings.firstByteTimeoutMs);
        this.#watchdog.expect("connect", settings.connectTimeoutMs);
        socket.once("encrypted" in socket ? "secureConnect" : "connect", () => {
          if (!this.#finished) this.#watchdog.expect("firstByte", settings.firstByteTimeoutMs);
        });
      });
      request.once("response", (response) => this.#answered(response));
      // Stays for good: a destroyed request reports an error that nobody else hears.
      request.on("error", (error) => {
        if (this.#request === request) this.#socketFailed(request, error);
      });
      request.end(body);
    } catch (error) {
      this.#fail(faults.fromSocket(error));
    }
  }

  #socketFailed(request: ClientRequest, error: NodeJS.ErrnoException): void {
    if (this.#finished) {
      this.#watchdog.stop();
      return;
    }
    const closed = error.code === "ECONNRESET" || error.code === "EPIPE";
    const silent = (request.socket?.bytesRead ?? this.#bytesBefore) === this.#bytesBefore;
    if (closed && silent && request.reusedSocket && !this.#retried && this.#response === undefined) {
      // The server closed an idle connection just as we took it. Its neighbours are as old: drop them as well.
      this.#retried = true;
      for (const sockets of Object.values(this.#agent.freeSockets)) {
        for (const socket of sockets ?? []) socket.destroy();
      }
      this.#attempt();
      return;
    }
    this.#fail(this.#transport.faults.fromSocket(error));
  }

  #answered(response: IncomingMessage): void {
    this.#response = response;
    response.on("error", (error) => {
      if (this.#finished) this.#watchdog.stop();
      else this.#fail(this.#transport.faults.fromSocket(error));
    });
    response.setEncoding("utf8");
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) this.#refused(response, status);
    else this.#accepted(response);
  }

  #accepted(response: IncomingMessage): void {
    const { receiver } = this.#send;
    const { stallTimeoutMs } = this.#transport.settings;
    this.#guarded(() => receiver.head(response));
    response.on("data", (text: string) => {
      if (this.#finished) return;
      this.#watchdog.expect("stall", stallTimeoutMs);
      this.#guarded(() => receiver.chunk(text));
    });
    response.once("end", () => {
      if (!this.#finished) this.#guarded(() => receiver.end());
      this.#finish();
      this.#watchdog.stop();
    });
  }

  #refused(response: IncomingMessage, status: number): void {
    let body = "";
    const answer = (cut: boolean) =>
      this.#fail(this.#transport.faults.fromAnswer(status, response.headers, body, cut), !cut);
    response.on("data", (text: string) => {
      if (this.#finished) return;
      this.#watchdog.expect("stall", this.#transport.settings.stallTimeoutMs);
      body += text;
      if (body.length > maxErrorChars) answer(true);
    });
    response.once("end", () => answer(false));
  }

  /** A receiver that throws ends the exchange with what it threw. */
  #guarded(step: () => void): void {
    if (this.#finished) return;
    try {
      step();
    } catch (thrown) {
      this.#fail(this.#transport.faults.from(thrown));
    }
  }

  #timeout(phase: string, limitMs: number): void {
    if (this.#finished) return void this.#request?.destroy();
    const said: Record<string, string> = {
      connect: "did not accept the connection",
      firstByte: "sent nothing",
      stall: "stopped sending in the middle of its answer",
    };
    this.#fail(this.#transport.faults.make("timeout", `${said[phase] ?? phase} for ${limitMs} ms`));
  }

  #fail(fault: ModelFault, keepSocket = false): void {
    if (this.#finished) return;
    this.#finish();
    this.#watchdog.stop();
    if (!keepSocket) this.#request?.destroy();
    this.#send.failed(fault);
  }

  #finish(): void {
    this.#finished = true;
    this.#send.signal.removeEventListener("abort", this.#aborted);
  }
}
