import type { ClientRequest, IncomingMessage } from "node:http";
import type { Clock, ModelFault } from "../kernel/mod.ts";
import type { Faults } from "./faults.ts";
import type { ProviderSettings } from "./settings.ts";
import { Watchdog } from "./watchdog.ts";

/** Of the body of an error. */
const maxErrorChars = 64 * 1024;
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

/** What is sent, and who hears of the answer. */
export interface Call {
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

/** What an exchange needs of the provider that it talks to. */
export interface Line {
  readonly faults: Faults;
  readonly settings: ProviderSettings;
  readonly clock: Clock;
  /** Begins a request; the body is not written yet. May throw on headers that HTTP does not allow. */
  open(call: Call, body: Buffer | undefined): ClientRequest;
  dropIdleSockets(): void;
}

/** The life of one request: waiting -> reading -> finished. */
export class HttpExchange implements Exchange {
  readonly #line: Line;
  readonly #call: Call;
  readonly #watchdog: Watchdog;
  readonly #aborted: () => void;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #finished = false;
  #retried = false;
  #bytesBefore = 0;

  constructor(line: Line, call: Call) {
    this.#line = line;
    this.#call = call;
    this.#watchdog = new Watchdog(line.clock, (phase, limitMs) => this.#timeout(phase, limitMs));
    this.#aborted = () => this.#fail(line.faults.make("aborted", "the call was stopped"));
  }

  start(): void {
    const { signal } = this.#call;
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
    this.#watchdog.expect("stall", this.#line.settings.stallTimeoutMs);
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
    const { faults, settings } = this.#line;
    try {
      const body = this.#call.method === "POST" ? Buffer.from(this.#call.body) : undefined;
      const request = this.#line.open(this.#call, body);
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
      this.#line.dropIdleSockets();
      this.#attempt();
      return;
    }
    this.#fail(this.#line.faults.fromSocket(error));
  }

  #answered(response: IncomingMessage): void {
    this.#response = response;
    response.on("error", (error) => {
      if (this.#finished) this.#watchdog.stop();
      else this.#fail(this.#line.faults.fromSocket(error));
    });
    response.setEncoding("utf8");
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) this.#refused(response, status);
    else this.#accepted(response);
  }

  #accepted(response: IncomingMessage): void {
    const { receiver } = this.#call;
    const { stallTimeoutMs } = this.#line.settings;
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
      this.#fail(this.#line.faults.fromAnswer(status, response.headers, body, cut), !cut);
    response.on("data", (text: string) => {
      if (this.#finished) return;
      this.#watchdog.expect("stall", this.#line.settings.stallTimeoutMs);
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
      this.#fail(this.#line.faults.from(thrown));
    }
  }

  #timeout(phase: string, limitMs: number): void {
    if (this.#finished) return void this.#request?.destroy();
    const said: Record<string, string> = {
      connect: "did not accept the connection",
      firstByte: "sent nothing",
      stall: "stopped sending in the middle of its answer",
    };
    this.#fail(this.#line.faults.make("timeout", `${said[phase] ?? phase} for ${limitMs} ms`));
  }

  #fail(fault: ModelFault, keepSocket = false): void {
    if (this.#finished) return;
    this.#finish();
    this.#watchdog.stop();
    if (!keepSocket) this.#request?.destroy();
    this.#call.failed(fault);
  }

  #finish(): void {
    this.#finished = true;
    this.#call.signal.removeEventListener("abort", this.#aborted);
  }
}
