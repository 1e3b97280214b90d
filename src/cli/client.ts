import type { RawData, WebSocket } from "ws";
import type { ConnectParams, EventFrame, HelloOk, ResponseFrame, WireError } from "../control/protocol.ts";
import type { Clock } from "../kernel/mod.ts";
import { CommandFailure, NoGateway } from "./failure.ts";
import { CertificateMismatch, pinning } from "./pin.ts";
import type { GatewayTarget } from "./target.ts";
import { visibleLine } from "./visible.ts";

export interface GatewayClient {
  readonly hello: HelloOk;
  /** SHA-256 of the gateway's certificate; undefined without TLS. */
  readonly certificateFingerprint: string | undefined;
  /**
   * The answer's payload. Rejects with a GatewayRefusal for an error answer, and a CommandFailure when the
   * connection ends or `timeoutMs` passes first (0: waits as long as it takes).
   */
  request(method: string, params?: unknown, options?: RequestOptions): Promise<unknown>;
  /** Events from now on, in order. */
  onEvent(listener: (event: EventFrame) => void): void;
  /** Called once when the connection has ended; `code` is the WebSocket's. */
  onClose(listener: (code: number, reason: string) => void): void;
  close(): void;
}

export interface RequestOptions {
  readonly timeoutMs?: number;
  /** For methods that answer twice: gets the first answer, and the request waits for the second. */
  readonly accepted?: (payload: unknown) => void;
}

/** The gateway understood and said no. */
export class GatewayRefusal extends CommandFailure {
  readonly wire: WireError;
  readonly payload: unknown;
  constructor(method: string, wire: WireError, payload: unknown) {
    super(1, `${method}: ${visibleLine(wire.message)}${nextStep(wire)}`);
    this.wire = wire;
    this.payload = payload;
  }
}

function nextStep(wire: WireError): string {
  const hint = wire.details?.remediation;
  return typeof hint === "string" ? `. ${visibleLine(hint)}` : "";
}

interface Waiting {
  readonly method: string;
  readonly resolve: (payload: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly accepted?: (payload: unknown) => void;
  readonly cancel: () => void;
}

export interface ClientDeps {
  readonly clock: Clock;
  readonly version: string;
  readonly platform: string;
  /** As short as it takes: what was not asked for, a stolen terminal cannot use. */
  readonly scopes: readonly string[];
  readonly caps?: readonly string[];
  readonly timeoutMs: number;
}

/** Connects and signs in. Rejects with a CommandFailure: 3 when no gateway answers, 1 when it refuses. */
export async function connectGateway(target: GatewayTarget, deps: ClientDeps): Promise<GatewayClient> {
  const { WebSocket } = await import("ws");
  let fingerprint: string | undefined;
  const socket = new WebSocket(target.url, {
    ...pinning(target.tlsFingerprint, (seen) => {
      fingerprint = seen;
    }),
    handshakeTimeout: deps.timeoutMs,
    maxPayload: 64 * 1024 * 1024,
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    const fail = (failure: CommandFailure) => {
      cancel();
      reject(failure);
      socket.terminate();
    };
    const cancel = deps.clock.after(deps.timeoutMs, () =>
      fail(
        new CommandFailure(
          3,
          `${target.url} accepted the connection but did not answer within ${deps.timeoutMs} ms; is it a gateway?`,
        ),
      ),
    );
    socket.on("error", (error) => fail(unreachable(target, error)));
    socket.on("close", (code, reason) =>
      fail(
        new CommandFailure(3, `${target.url} ended the connection (${code} ${visibleLine(String(reason))})`),
      ),
    );
    socket.on("open", () => socket.send(JSON.stringify(connectFrame(target, deps))));
    socket.on("message", (data) => {
      const frame = parse(data);
      // The challenge comes first; a client without a device has nothing to answer to it.
      if (!frame || frame.type === "event") return;
      if (frame.id !== "connect") return;
      if (!frame.ok) return fail(signInFailure(target, frame.error));
      cancel();
      socket.removeAllListeners();
      resolve(openClient(socket, frame.payload as HelloOk, fingerprint, deps));
    });
  });
}

function connectFrame(target: GatewayTarget, deps: ClientDeps): unknown {
  const params: ConnectParams = {
    minProtocol: 4,
    maxProtocol: 4,
    client: { id: "cli", mode: "cli", version: deps.version, platform: deps.platform },
    role: "operator",
    scopes: deps.scopes,
    ...(deps.caps ? { caps: deps.caps } : {}),
    auth: {
      ...(target.token ? { token: target.token.reveal() } : {}),
      ...(target.password ? { password: target.password.reveal() } : {}),
    },
  };
  return { type: "req", id: "connect", method: "connect", params };
}

function openClient(
  socket: WebSocket,
  hello: HelloOk,
  certificateFingerprint: string | undefined,
  deps: ClientDeps,
): GatewayClient {
  const waiting = new Map<string, Waiting>();
  const eventListeners: ((event: EventFrame) => void)[] = [];
  const closeListeners: ((code: number, reason: string) => void)[] = [];
  let lastId = 0;
  let closed = false;

  socket.on("message", (data) => {
    const frame = parse(data);
    if (!frame) return;
    if (frame.type === "event") {
      for (const listener of eventListeners) listener(frame);
      return;
    }
    const item = waiting.get(frame.id);
    if (!item) return;
    if (frame.ok && item.accepted && isAccepted(frame.payload)) return item.accepted(frame.payload);
    waiting.delete(frame.id);
    item.cancel();
    if (frame.ok) item.resolve(frame.payload);
    else item.reject(new GatewayRefusal(item.method, errorOf(frame), frame.payload));
  });
  // An error is always followed by a close, which ends what waits.
  socket.on("error", () => {});
  socket.on("close", (code, reason) => {
    closed = true;
    const text = visibleLine(String(reason));
    for (const item of waiting.values()) {
      item.cancel();
      item.reject(
        new CommandFailure(
          3,
          `the gateway ended the connection during ${item.method} (${[code, text].join(" ").trim()})`,
        ),
      );
    }
    waiting.clear();
    for (const listener of closeListeners) listener(code, text);
  });

  return {
    hello,
    certificateFingerprint,
    request(method, params = {}, options = {}) {
      return new Promise((resolve, reject) => {
        if (closed) return reject(new CommandFailure(3, "the connection to the gateway has ended"));
        lastId += 1;
        const id = String(lastId);
        const timeoutMs = options.timeoutMs ?? deps.timeoutMs;
        const cancel =
          timeoutMs === 0
            ? () => {}
            : deps.clock.after(timeoutMs, () => {
                waiting.delete(id);
                reject(
                  new CommandFailure(
                    1,
                    `the gateway did not answer ${method} within ${timeoutMs} ms; a longer wait: --timeout <ms>`,
                  ),
                );
              });
        const { accepted } = options;
        waiting.set(id, { method, resolve, reject, cancel, ...(accepted ? { accepted } : {}) });
        socket.send(JSON.stringify({ type: "req", id, method, params }));
      });
    },
    onEvent: (listener) => void eventListeners.push(listener),
    onClose: (listener) => void closeListeners.push(listener),
    close() {
      closed = true;
      socket.removeAllListeners("close");
      socket.close(1000);
      // The answer to our close is of no use to a command that is done.
      socket.terminate();
    },
  };
}

function isAccepted(payload: unknown): boolean {
  return (payload as { status?: unknown } | null)?.status === "accepted";
}

function errorOf(frame: ResponseFrame): WireError {
  return frame.error ?? { code: "UNAVAILABLE", message: "the gateway gave no reason" };
}

function parse(data: RawData): ResponseFrame | EventFrame | undefined {
  try {
    const frame = JSON.parse(String(data)) as ResponseFrame | EventFrame | null;
    return frame?.type === "event" || frame?.type === "res" ? frame : undefined;
  } catch {
    return undefined;
  }
}

function unreachable(target: GatewayTarget, error: Error): CommandFailure {
  if (error instanceof CertificateMismatch)
    return new CommandFailure(
      1,
      `${target.url} is not the gateway that was pinned: ${error.message}. If its certificate was replaced, compare this with the gateway's own log before you pin it`,
    );
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && /CERT|SIGNATURE|ISSUER/.test(code))
    return new CommandFailure(
      1,
      `the certificate of ${target.url} is not signed by an authority that this machine knows (${code}). Pin it: --tls-fingerprint <SHA-256>, or gateway.remote.tlsFingerprint; the gateway's log shows it`,
    );
  if (code === "ECONNREFUSED" || code === "ECONNRESET" || code === "ENOTFOUND")
    return new NoGateway(`no gateway answers at ${target.url} (${code}). Start one: openclaw gateway run`);
  if (/Unexpected server response|socket hang up|Parse Error/i.test(error.message))
    return new CommandFailure(
      3,
      `what answers at ${target.url} is not a gateway (${visibleLine(error.message)}). Check the port: openclaw config get gateway.port`,
    );
  return new CommandFailure(3, `${target.url} cannot be reached: ${visibleLine(error.message)}`);
}

function signInFailure(target: GatewayTarget, error: WireError | undefined): CommandFailure {
  const message = visibleLine(error?.message ?? "refused");
  switch (error?.details?.code) {
    case "AUTH_TOKEN_MISMATCH":
      return new CommandFailure(
        1,
        `the gateway at ${target.url} refused the credential from ${target.credentialFrom}: it is not the one it was started with. Check gateway.auth in its config, or give --token`,
      );
    case "DEVICE_IDENTITY_REQUIRED":
      return new CommandFailure(
        1,
        target.credentialFrom === undefined
          ? "no gateway token is known here: give --token, set OPENCLAW_GATEWAY_TOKEN, or gateway.auth.token in the config"
          : `the gateway at ${target.url} refused to sign in: ${message}`,
      );
    case "AUTH_RATE_LIMITED":
      return new CommandFailure(
        1,
        `too many failed attempts from here; wait ${Math.ceil((error.retryAfterMs ?? 60_000) / 1000)} s and try once with the right credential`,
      );
    default:
      return new CommandFailure(
        error?.code === "UNAVAILABLE" ? 3 : 1,
        `the gateway at ${target.url} refused to sign in: ${message}`,
      );
  }
}
