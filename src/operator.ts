/**
 * The operator path, in order. This file is a map: it calls the stages and records what they say.
 *
 *   frame -> Principal -> capability -> method -> answer
 *
 * `serve` takes one connection from its challenge to its end; `dispatch` takes one request through the checks.
 */

import type { LedgerStore } from "./audit/mod.ts";
import {
  type AuthSettings,
  authenticateConnect,
  type BrowserSessions,
  holds,
  type Lockout,
  type Principal,
} from "./auth/mod.ts";
import {
  type Call,
  type ConnectParams,
  events,
  type Hub,
  invalid,
  type Method,
  MethodError,
  maxBufferedBytes,
  maxPayloadBytes,
  parseConnect,
  parseFrame,
  protocolVersion,
  type RequestFrame,
  type Subscriber,
  tickIntervalMs,
  unavailable,
  type WireError,
} from "./control/mod.ts";
import {
  admitted,
  type Clock,
  type Commit,
  InputError,
  type Log,
  type Random,
  type Reason,
  schema,
  sleep,
  uuid,
} from "./kernel/mod.ts";
import type { Arrival, Socket } from "./network/mod.ts";

export interface OperatorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly ledger: LedgerStore;
  readonly hub: Hub;
  readonly lockout: Lockout;
  readonly browserSessions: BrowserSessions;
  readonly authSettings: () => AuthSettings;
  readonly methods: ReadonlyMap<string, Method>;
  readonly handshakeTimeoutMs: number;
  /** True once everything that a client may ask for is there. */
  readonly isReady: () => boolean;
  readonly version: string;
  /** The parts of hello-ok that depend on the caller's scopes. */
  readonly snapshot: (principal: Principal) => Readonly<Record<string, unknown>>;
}

export interface Operator {
  serve(socket: Socket, arrival: Arrival, cookie: string): void;
  /** Sockets that have not connected yet are told too. */
  closeAll(code: number, reason: string): void;
  /** Ends every connection that was proved by this method. */
  revoke(method: string, code: number, reason: string): void;
}

export function createOperator(parts: OperatorParts): Operator {
  const { clock, hub } = parts;
  const waiting = new Set<Socket>();

  // --- connection: challenge -> connect -> requests ----------------------------------------------------------

  function serve(socket: Socket, arrival: Arrival, cookie: string): void {
    const nonce = uuid(parts.random);
    let subscriber: Subscriber | undefined;
    let connecting = false;
    waiting.add(socket);
    const cancelDeadline = clock.after(parts.handshakeTimeoutMs, () => {
      if (!subscriber) socket.close(1000, "");
    });
    socket.onClose(() => {
      cancelDeadline();
      waiting.delete(socket);
      if (subscriber) hub.remove(subscriber);
    });
    socket.onMessage((bytes) => {
      const parsed = parseFrame(bytes);
      if (subscriber) {
        if (parsed.ok) void dispatch(parsed.frame, subscriber);
        // What is not JSON has no id to answer to.
        else if (!parsed.garbage) answerError(socket, parsed.id, parsed.error);
        return;
      }
      if (!parsed.ok) {
        if (parsed.garbage) socket.close(1000, "");
        else socket.close(1008, "invalid request frame");
        return;
      }
      // One `connect` at a time: frames that a client sends ahead of its answer are not looked at.
      if (connecting) return;
      connecting = true;
      void connect(parsed.frame, socket, arrival, cookie).then((principal) => {
        if (!principal) return;
        cancelDeadline();
        waiting.delete(socket);
        subscriber = principal;
      });
    });
    socket.send(
      JSON.stringify({ type: "event", event: "connect.challenge", payload: { nonce, ts: clock.now() } }),
    );
  }

  async function connect(
    frame: RequestFrame,
    socket: Socket,
    arrival: Arrival,
    cookie: string,
  ): Promise<Subscriber | undefined> {
    const fail = (error: WireError, code = 1008, reason = error.message) => {
      answerError(socket, frame.id, error);
      socket.close(code, reason);
      return undefined;
    };
    if (frame.method !== "connect") return fail(invalid("invalid handshake: first request must be connect"));
    const parsed = parseConnect(frame.params);
    if (!parsed.ok) return fail(parsed.error);
    const { params } = parsed;
    const mismatch = protocolMismatch(params);
    if (mismatch) return fail(mismatch, 1002, "protocol mismatch");
    if (!parts.isReady()) {
      return fail(
        unavailable("gateway starting; retry shortly", { reason: "startup-sidecars" }, 500),
        1013,
        "gateway starting",
      );
    }

    const lockedForMs = parts.lockout.lockedForMs(arrival.address, arrival.isLoopback);
    if (lockedForMs > 0) return fail(lockedError(lockedForMs));
    const verdict = authenticateConnect(
      presentedOf(params, cookie, parts.browserSessions),
      arrival,
      parts.authSettings(),
    );
    if (!admitted(verdict)) {
      if (verdict.reason === "auth.secret_mismatch") {
        const delayMs = parts.lockout.fail(arrival.address, arrival.isLoopback);
        await sleep(clock, delayMs);
      }
      await recordRefusal(verdict.reason, params, arrival);
      return fail(authError(verdict.reason, params));
    }
    const principal = verdict.value;
    if (principal.method === "token" || principal.method === "password")
      parts.lockout.succeed(arrival.address);
    const subscriber: Subscriber = {
      id: uuid(parts.random),
      socket,
      principal,
      caps: new Set(params.caps ?? []),
      followed: new Set(),
      followsList: false,
      seq: 0,
    };
    socket.authenticated();
    hub.add(subscriber);
    answer(socket, frame.id, hello(subscriber));
    keepAlive(subscriber);
    return subscriber;
  }

  function hello(subscriber: Subscriber): unknown {
    const { principal } = subscriber;
    return {
      type: "hello-ok",
      protocol: protocolVersion,
      server: { version: parts.version, connId: subscriber.id },
      features: { methods: [...parts.methods.keys()], events, capabilities: ["published-model-catalog"] },
      snapshot: parts.snapshot(principal),
      auth: { role: principal.role, scopes: principal.scopes, method: principal.method },
      policy: { maxPayload: maxPayloadBytes, maxBufferedBytes, tickIntervalMs },
    };
  }

  /** A ping every 25 s; a peer that answers none until the next one is gone. */
  function keepAlive(subscriber: Subscriber): void {
    const { socket } = subscriber;
    let alive = true;
    let cancel = () => {};
    socket.onPong(() => {
      alive = true;
    });
    const beat = () => {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
      cancel = clock.after(25_000, beat);
    };
    cancel = clock.after(25_000, beat);
    socket.onClose(() => cancel());
  }

  // --- request: Principal -> capability -> method -> answer --------------------------------------------------

  async function dispatch(frame: RequestFrame, connection: Subscriber): Promise<void> {
    const { socket, principal } = connection;
    if (frame.method === "connect") {
      answerError(socket, frame.id, invalid("connect is only valid as the first request"));
      return;
    }
    const row = parts.methods.get(frame.method);
    // Scope comes before existence, so that a caller without rights cannot learn which methods there are.
    const needed = row ? row.scope : "operator.admin";
    if (needed !== undefined && !holds(principal.scopes, needed))
      return answerError(socket, frame.id, missingScope(needed));
    if (!row) return answerError(socket, frame.id, invalid(`unknown method: ${frame.method}`));
    const params = frame.params ?? {};
    const problems = schema.check(row.params, params);
    if (problems.length > 0) {
      return answerError(
        socket,
        frame.id,
        invalid(`invalid ${frame.method} params: ${problems.map(schema.problemText).join("; ")}`),
      );
    }
    const further = row.scopeFor?.(params);
    if (further !== undefined && !holds(principal.scopes, further))
      return answerError(socket, frame.id, missingScope(further));
    try {
      if (row.admin) await recordAdmin(row, params, principal);
      const call: Call = {
        principal,
        connection,
        answerAgain: (payload, error) =>
          error
            ? answerError(socket, frame.id, error as WireError, payload)
            : answer(socket, frame.id, payload),
      };
      const result = row.run(params, call);
      answer(socket, frame.id, result instanceof Promise ? await result : result);
    } catch (error) {
      if (error instanceof MethodError) return answerError(socket, frame.id, error.wire, error.payload);
      if (error instanceof InputError) return answerError(socket, frame.id, invalid(error.message));
      parts.log("error", "a method failed", { method: frame.method, error: (error as Error).message });
      answerError(socket, frame.id, unavailable("the gateway failed on this request; see its log"));
    }
  }

  function recordAdmin(row: Method, params: unknown, principal: Principal): Promise<void> {
    const told = row.admin?.(params) ?? { action: row.name };
    return parts.commit([
      parts.ledger.append({
        stage: "operator",
        kind: "admin",
        action: told.action,
        actor: principal.id,
        ...(told.facts ? { facts: told.facts } : {}),
      }),
    ]);
  }

  function recordRefusal(reason: Reason, params: ConnectParams, arrival: Arrival): Promise<void> {
    const client = `${params.client.id}/${params.client.mode}`;
    return parts
      .commit([
        parts.ledger.append({
          stage: "auth",
          kind: "verdict",
          action: "refuse",
          outcome: reason,
          actor: arrival.address,
          facts: { client },
        }),
      ])
      .catch((error) =>
        parts.log("error", "a refusal could not be recorded", { error: (error as Error).message }),
      );
  }

  function answer(socket: Socket, id: string, payload: unknown): void {
    socket.send(
      `{"type":"res","id":${JSON.stringify(id)},"ok":true,"payload":${JSON.stringify(payload) ?? "null"}}`,
    );
  }

  function answerError(socket: Socket, id: string, error: WireError, payload?: unknown): void {
    socket.send(
      JSON.stringify({ type: "res", id, ok: false, ...(payload === undefined ? {} : { payload }), error }),
    );
  }

  return {
    serve,
    closeAll(code, reason) {
      for (const socket of waiting) socket.close(code, reason);
      for (const subscriber of hub.all()) subscriber.socket.close(code, reason);
    },
    revoke(method, code, reason) {
      for (const subscriber of hub.all()) {
        if (subscriber.principal.method === method) subscriber.socket.close(code, reason);
      }
    },
  };
}

function presentedOf(params: ConnectParams, cookie: string, sessions: BrowserSessions) {
  const browserSession = cookie === "" ? undefined : sessions.check(cookie);
  return {
    clientId: params.client.id,
    clientMode: params.client.mode,
    role: params.role ?? "operator",
    scopes: params.scopes ?? [],
    ...(params.auth?.token === undefined ? {} : { token: params.auth.token }),
    ...(params.auth?.password === undefined ? {} : { password: params.auth.password }),
    ...(browserSession === undefined ? {} : { browserSession }),
  };
}

function protocolMismatch(params: ConnectParams): WireError | undefined {
  const oldest = params.client.mode === "probe" ? 3 : protocolVersion;
  if (params.minProtocol <= protocolVersion && params.maxProtocol >= oldest) return undefined;
  return invalid("protocol mismatch", {
    code: "PROTOCOL_MISMATCH",
    clientMinProtocol: params.minProtocol,
    clientMaxProtocol: params.maxProtocol,
    expectedProtocol: protocolVersion,
    minimumProbeProtocol: 3,
  });
}

export function missingScope(scope: string): WireError {
  return {
    code: "FORBIDDEN",
    message: `missing scope: ${scope}`,
    details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
  };
}

function lockedError(lockedForMs: number): WireError {
  return {
    ...invalid("unauthorized: too many failed authentication attempts (retry later)", {
      code: "AUTH_RATE_LIMITED",
      authReason: "rate_limited",
      canRetryWithDeviceToken: false,
      recommendedNextStep: "wait_then_retry",
    }),
    retryable: true,
    retryAfterMs: Math.ceil(lockedForMs),
  };
}

function authError(reason: Reason, params: ConnectParams): WireError {
  const isCli = params.client.id === "cli";
  switch (reason) {
    case "auth.secret_missing":
      // Without a secret and without a device there is nothing to check: the wire calls that a missing identity.
      return {
        code: "NOT_PAIRED",
        message: "device identity required",
        details: { code: "DEVICE_IDENTITY_REQUIRED" },
      };
    case "auth.secret_mismatch":
      return invalid(
        `unauthorized: gateway token mismatch (${isCli ? "use this gateway's gateway.auth.token or pair the device" : "provide gateway auth token"})`,
        {
          code: "AUTH_TOKEN_MISMATCH",
          authReason: "token_mismatch",
          canRetryWithDeviceToken: false,
          recommendedNextStep: "update_auth_credentials",
        },
      );
    case "auth.device_required":
      return invalid("control ui requires device identity (use HTTPS or localhost secure context)", {
        code: "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
      });
    default:
      return invalid("invalid role");
  }
}
