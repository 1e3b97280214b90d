import type { PageClock } from "./page-clock.ts";
import { amount, type Fields, fields, text } from "./untrusted.ts";
import { connectParams } from "./wire.ts";

/** The gateway understood the request and said no. */
export class GatewayRefusal extends Error {
  readonly code: string;
  readonly details: Fields;
  readonly retryAfterMs: number | undefined;
  constructor(error: Fields) {
    super(text(error.message) || "The gateway refused the request without saying why.");
    this.code = text(error.code);
    this.details = fields(error.details);
    this.retryAfterMs = amount(error.retryAfterMs);
  }
}

/** No answer came. The gateway may or may not have done what was asked. */
export class AnswerLost extends Error {}

/** What the link needs of a WebSocket. */
export interface Socket {
  send(data: string): void;
  close(code: number): void;
}

export interface SocketListener {
  message(data: unknown): void;
  /** Exactly once, however it ended; also when it never opened. */
  closed(code: number, reason: string): void;
}

export interface LinkDeps {
  openSocket(listener: SocketListener): Socket;
  /** Whether the session cookie still counts. "unknown" when the gateway could not be asked. */
  askSignedIn(): Promise<"yes" | "no" | "unknown">;
  readonly clock: PageClock;
  /** From 0 up to 1. */
  random(): number;
}

export interface LinkListener {
  /** The handshake is done; `gatewayTimeMs` is the gateway's clock at its start. */
  online(hello: Fields, gatewayTimeMs: number | undefined): void;
  away(reason: string, retryAtMs: number): void;
  /** This browser is not signed in (any more). No further attempt is made. */
  signedOut(message: string): void;
  /** The gateway will not have this page as it is. No further attempt is made. */
  refused(message: string): void;
  event(name: string, payload: Fields): void;
  /** Events were missed; what is shown must be fetched again. */
  gap(): void;
}

interface Waiting {
  resolve(payload: unknown): void;
  reject(error: Error): void;
  cancelTimeout(): void;
}

const answerWithinMs = 30_000;
const handshakeWithinMs = 15_000;
const firstRetryMs = 1_000;
const lastRetryMs = 30_000;
const signInCodes = /^(AUTH_|PAIRING_REQUIRED|DEVICE_IDENTITY_REQUIRED|CONTROL_UI_DEVICE)/;
const finalCodes = /^(PROTOCOL_MISMATCH|CLIENT_VERSION_MISMATCH|CONTROL_UI_ORIGIN_NOT_ALLOWED)/;

/**
 * One lasting connection to the gateway: reconnects after 1, 2, 4 ... 30 seconds, notices silence and missed
 * events, and gives each request exactly one end: the payload, a GatewayRefusal or an AnswerLost.
 */
export class Link {
  readonly #deps: LinkDeps;
  readonly #listener: LinkListener;
  readonly #waiting = new Map<string, Waiting>();
  #socket: Socket | undefined;
  #online = false;
  #stopped = true;
  #attempts = 0;
  #requests = 0;
  #lastSeq = 0;
  #silenceMs = 60_000;
  #retryHintMs: number | undefined;
  #farewell = "";
  #cancelRetry: (() => void) | undefined;
  #cancelWatch: (() => void) | undefined;

  constructor(deps: LinkDeps, listener: LinkListener) {
    this.#deps = deps;
    this.#listener = listener;
  }

  get online(): boolean {
    return this.#online;
  }

  start(): void {
    this.#stopped = false;
    this.#attempts = 0;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#leave(1000);
  }

  /** Tries now instead of at the next turn, for when the network or the tab comes back. */
  hurry(): void {
    if (this.#stopped || this.#socket) return;
    this.#cancelRetry?.();
    this.#connect();
  }

  /** Gives the connection up and makes a new one, for when an answer is overdue. */
  restart(): void {
    if (this.#stopped) return;
    this.#leave(4000);
    this.#dropped(4000, "");
  }

  request(method: string, params: Fields = {}): Promise<unknown> {
    if (!this.#online) return Promise.reject(new AnswerLost("Not connected to the gateway."));
    return this.#ask(method, params);
  }

  #ask(method: string, params: Fields): Promise<unknown> {
    const socket = this.#socket;
    if (!socket) return Promise.reject(new AnswerLost("Not connected to the gateway."));
    this.#requests += 1;
    const id = String(this.#requests);
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#deps.clock.after(answerWithinMs, () => {
        this.#waiting.delete(id);
        reject(
          new AnswerLost(`The gateway did not answer ${method} within ${answerWithinMs / 1000} seconds.`),
        );
      });
      this.#waiting.set(id, { resolve, reject, cancelTimeout });
      socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  #connect(): void {
    const socket: Socket = this.#deps.openSocket({
      message: (data) => {
        if (socket === this.#socket) this.#receive(data);
      },
      closed: (code, reason) => {
        if (socket !== this.#socket) return;
        this.#socket = undefined;
        this.#dropped(code, reason);
      },
    });
    this.#socket = socket;
    this.#lastSeq = 0;
    this.#watch(handshakeWithinMs);
  }

  #receive(data: unknown): void {
    if (typeof data !== "string") return;
    let frame: Fields;
    try {
      frame = fields(JSON.parse(data));
    } catch {
      return;
    }
    if (this.#online) this.#watch(this.#silenceMs);
    if (frame.type === "res") this.#answer(frame);
    if (frame.type === "event") this.#event(frame);
  }

  #answer(frame: Fields): void {
    const id = text(frame.id);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    waiting.cancelTimeout();
    if (frame.ok === true) waiting.resolve(frame.payload);
    else waiting.reject(new GatewayRefusal(fields(frame.error)));
  }

  #event(frame: Fields): void {
    const name = text(frame.event);
    const payload = fields(frame.payload);
    if (name === "connect.challenge") {
      if (!this.#online) this.#handshake(amount(payload.ts));
      return;
    }
    if (!this.#online) return;
    const seq = amount(frame.seq);
    if (seq !== undefined) {
      const missed = seq > this.#lastSeq + 1;
      this.#lastSeq = seq;
      if (missed) this.#listener.gap();
    }
    if (name === "shutdown") this.#farewell = text(payload.reason);
    this.#listener.event(name, payload);
  }

  #handshake(gatewayTimeMs: number | undefined): void {
    const socket = this.#socket;
    this.#ask("connect", { ...connectParams }).then(
      (payload) => {
        if (socket !== this.#socket) return;
        const hello = fields(payload);
        this.#online = true;
        this.#attempts = 0;
        this.#farewell = "";
        this.#silenceMs = 2 * Math.max(1_000, amount(fields(hello.policy).tickIntervalMs) ?? 30_000);
        this.#watch(this.#silenceMs);
        this.#listener.online(hello, gatewayTimeMs);
      },
      (error: unknown) => {
        if (socket !== this.#socket || !(error instanceof GatewayRefusal)) return;
        const code = text(error.details.code);
        if (signInCodes.test(code) || error.code === "NOT_PAIRED") this.#end("signedOut", error.message);
        else if (finalCodes.test(code)) this.#end("refused", error.message);
        else {
          this.#farewell = error.message;
          // "Starting; retry shortly" is worth a quick retry, anything else the usual wait.
          const hintMs = error.retryAfterMs;
          if (hintMs !== undefined) this.#retryHintMs = Math.min(2_000, Math.max(100, hintMs));
        }
      },
    );
  }

  #end(how: "signedOut" | "refused", message: string): void {
    this.stop();
    this.#listener[how](message);
  }

  /** A peer that is gone without closing (sleep, lost network) is noticed by its silence. */
  #watch(withinMs: number): void {
    this.#cancelWatch?.();
    this.#cancelWatch = this.#deps.clock.after(withinMs, () => this.restart());
  }

  #leave(code: number): void {
    this.#cancelWatch?.();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#online = false;
    socket?.close(code);
    this.#loseAnswers();
  }

  #loseAnswers(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.cancelTimeout();
      waiting.reject(new AnswerLost("The connection to the gateway was lost before it answered."));
    }
    this.#waiting.clear();
  }

  #dropped(code: number, reason: string): void {
    this.#cancelWatch?.();
    this.#online = false;
    this.#loseAnswers();
    if (this.#stopped) return;
    const delayMs = this.#retryDelayMs();
    const why = this.#farewell || reason;
    this.#listener.away(why, this.#deps.clock.nowMs() + delayMs);
    this.#cancelRetry?.();
    this.#cancelRetry = this.#deps.clock.after(delayMs, () => this.#connect());
    // The browser does not tell a refused upgrade from a gateway that is down, so the gateway is asked.
    this.#deps.askSignedIn().then((answer) => {
      if (answer !== "no" || this.#stopped || this.#online) return;
      const ended = code === 4001 ? "Your access was changed on the gateway. Sign in again." : "";
      this.#end("signedOut", ended || "Your sign-in has ended. Sign in again.");
    });
  }

  #retryDelayMs(): number {
    const hinted = this.#retryHintMs;
    this.#retryHintMs = undefined;
    const doubled = Math.min(lastRetryMs, firstRetryMs * 2 ** this.#attempts);
    this.#attempts += 1;
    // Spread, so that many tabs do not come back in the same instant.
    return hinted ?? Math.round(doubled * (0.85 + 0.15 * this.#deps.random()));
  }
}
