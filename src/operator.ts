/**
 * The operator path, in order. This file is a map: it calls the stages and records what they say.
 *
 *   frame -> Principal -> capability -> method -> answer
 *
 * `serve` takes one connection from its challenge to its end; `dispatch` takes one request through the checks.
 */

import type { LedgerStore } from "./audit/mod.ts";
import {
  type ApiTokens,
  type AuthSettings,
  authenticateConnect,
  type BrowserSessions,
  type Credential,
  type CredentialClass,
  type DeviceAsk,
  type Devices,
  guessedAt,
  holds,
  type Lockout,
  mayCall,
  type Presented,
  type Principal,
  type ProvedDevice,
  type ProxyCallers,
  principalOfToken,
  principalWithoutDevice,
  type Role,
  type SetupCodes,
  verifyDevice,
  within,
} from "./auth/mod.ts";
import {
  type Administration,
  type AdministrativeAction,
  attachmentLimits,
  type Call,
  type ConnectParams,
  changesBetween,
  connectDeadline,
  connectError,
  createPace,
  createRepeats,
  defaultMaxBytes,
  events,
  type Hub,
  invalid,
  keepAlive,
  type Method,
  MethodError,
  type MethodReach,
  maxBufferedBytes,
  maxPayloadBytes,
  ownerProfileId,
  pairingRequired,
  parseConnect,
  parseFrame,
  presenceOf,
  protocolVersion,
  type RequestFrame,
  rateLimited,
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
  type Json,
  type Log,
  type Random,
  type Reason,
  type Refusal,
  reasonText,
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
  readonly devices: Devices;
  readonly setupCodes: SetupCodes;
  readonly apiTokens: Pick<ApiTokens, "find" | "stands">;
  readonly reach: MethodReach;
  readonly administration: Administration;
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly methods: ReadonlyMap<string, Method>;
  readonly handshakeTimeoutMs: number;
  /** True once everything that a client may ask for is there. */
  readonly isReady: () => boolean;
  readonly version: string;
  /** The parts of hello-ok that depend on the caller's scopes. */
  readonly snapshot: (principal: Principal) => Readonly<Record<string, unknown>>;
  /** A device came or went. */
  readonly presenceChanged: () => void;
  /** A node came, with what it says that it can do, or went. */
  readonly nodeCame: (node: Subscriber, declared: ConnectParams) => void;
  readonly nodeWent: (node: Subscriber) => void;
}

export interface Operator {
  serve(socket: Socket, arrival: Arrival, cookie: string): void;
  /** Sockets that have not connected yet are told too. */
  closeAll(code: number, reason: string): void;
  /**
   * Ends every connection of these principals (code 4001), and gives their ids. What they ask from this moment on is
   * not done.
   */
  revoke(isOver: (principal: Principal) => boolean, reason: string): readonly string[];
}

export function createOperator(parts: OperatorParts): Operator {
  const { clock, hub } = parts;
  const waiting = new Set<Socket>();
  const ended = new WeakSet<Subscriber>();
  const pace = createPace(clock);
  const repeats = createRepeats(clock);

  // --- connection: challenge -> connect -> requests ----------------------------------------------------------

  function serve(socket: Socket, arrival: Arrival, cookie: string): void {
    const nonce = uuid(parts.random);
    let subscriber: Subscriber | undefined;
    let connecting = false;
    let closed = false;
    waiting.add(socket);
    const cancelDeadline = connectDeadline(socket, clock, parts.handshakeTimeoutMs);
    socket.onClose(() => {
      closed = true;
      cancelDeadline();
      waiting.delete(socket);
      if (subscriber) leave(subscriber);
    });
    socket.onMessage((bytes) => {
      const parsed = parseFrame(bytes);
      if (subscriber) {
        if (parsed.ok) void dispatch(parsed.frame, bytes.length, subscriber);
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
      void connect(parsed.frame, socket, arrival, cookie, nonce).then((principal) => {
        if (!principal) return;
        cancelDeadline();
        waiting.delete(socket);
        // It may have gone while its secret or its device was looked at: nobody would take it out again.
        if (closed) leave(principal);
        else subscriber = principal;
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
    nonce: string,
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
    const refuse = async (reason: Reason) => {
      await recordRefusal(reason, params, arrival);
      return fail(connectError(reason, params));
    };
    const mismatch = protocolMismatch(params);
    if (mismatch) return fail(mismatch, 1002, "protocol mismatch");
    if (!parts.isReady()) {
      return fail(
        unavailable("gateway starting; retry shortly", { reason: "startup-sidecars" }, 500),
        1013,
        "gateway starting",
      );
    }

    const { role = "operator" } = params;
    if (!isRole(role)) return refuse("auth.role_invalid");
    // --- which device is it? ---------------------------------------------------------------------------------
    const device = params.device
      ? verifyDevice(params.device, signedFacts(params, role), { nonce, nowMs: clock.now() })
      : undefined;
    if (device && !admitted(device)) return refuse(device.reason);
    const deviceId = device?.value.deviceId;

    // --- may it sign in? -------------------------------------------------------------------------------------
    const settings = parts.authSettings();
    const asked = parts.callers.identify(arrival);
    const identity = asked && (await asked);
    const presented = {
      ...presentedOf(params, role, deviceId, cookie, parts.browserSessions),
      isLocal: arrival.isLocal,
      ...(identity ? { identity } : {}),
    };
    const lockKey = (kind: CredentialClass) =>
      kind === "shared" ? arrival.limitKey : `${kind}:${arrival.limitKey}`;
    // A page is not the owner, though it comes from the owner's machine: its guesses are counted.
    const isExempt = arrival.isLoopback && arrival.origin === undefined;
    const lockedForMs = (kind: CredentialClass) => parts.lockout.lockedForMs(lockKey(kind), isExempt);
    const verdict = authenticateConnect(presented, settings, {
      deviceToken: parts.devices.checkToken,
      setupCode: parts.setupCodes.find,
      apiToken: parts.apiTokens.find,
      isLocked: (kind) => lockedForMs(kind) > 0,
    });
    if (!admitted(verdict)) {
      if (verdict.reason === "auth.rate_limited") {
        const kinds = ["shared", "device", "bootstrap", "api"] as const;
        return fail(rateLimited(Math.max(...kinds.map(lockedForMs))));
      }
      const guessed = guessedAt(verdict);
      if (guessed) await sleep(clock, parts.lockout.fail(lockKey(guessed), isExempt));
      return refuse(verdict.reason);
    }
    const credential = verdict.value;
    if (credential.method === "token" || credential.method === "password")
      parts.lockout.succeed(lockKey("shared"));
    if (credential.kind === "device-token") parts.lockout.succeed(lockKey("device"));
    if (credential.kind === "api-token") parts.lockout.succeed(lockKey("api"));

    // --- is the device approved for what it asks? ------------------------------------------------------------
    let principal: Principal;
    if (credential.kind === "api-token") principal = principalOfToken(presented, credential);
    else if (device) {
      const ask = askOf(params, role, device.value, credential, arrival);
      const problem = await pair(ask, credential);
      if (problem) {
        await recordRefusal("auth.device_unpaired", params, arrival);
        return fail(problem.error, 1008, problem.closing);
      }
      // In one step with letting it in: a device that was removed while it waited is not let in.
      const entered = parts.devices.enter(ask, credential.method);
      if (!entered) return refuse("auth.device_token_mismatch");
      principal = entered;
    } else if (
      credential.kind === "shared" ||
      credential.kind === "browser-session" ||
      credential.kind === "identity"
    )
      principal = principalWithoutDevice(presented, arrival, credential);
    else return refuse("auth.device_identity_required");

    // While it was looked at the config was loaded anew, and whom that ends was ended: this one was not there yet.
    if (parts.authSettings() !== settings)
      return fail(unavailable("the configuration has changed; connect again", undefined, 100), 1013);

    const subscriber: Subscriber = {
      id: uuid(parts.random),
      socket,
      principal,
      caps: new Set(params.caps ?? []),
      limitKey: arrival.limitKey,
      address: arrival.address,
      client: `${params.client.id}/${params.client.mode}`,
      presence: presenceOf(params.client, principal, clock.now()),
      followed: new Set(),
      followsList: false,
      seq: 0,
    };
    socket.authenticated();
    hub.add(subscriber);
    if (subscriber.presence) parts.presenceChanged();
    answerJson(socket, frame.id, hello(subscriber));
    keepAlive(socket, clock);
    if (role === "node") parts.nodeCame(subscriber, params);
    return subscriber;
  }

  /** What keeps the device out; undefined when nothing does. */
  async function pair(
    ask: DeviceAsk,
    credential: Credential,
  ): Promise<{ readonly error: WireError; readonly closing: string } | undefined> {
    const plain = (error: WireError) => ({ error, closing: error.message });
    try {
      const setup = credential.kind === "setup-code" ? credential.code : undefined;
      const admission = await parts.devices.admit(ask, setup);
      switch (admission.state) {
        case "paired":
          return undefined;
        case "waiting":
          return pairingRequired({
            need: admission.need,
            requestId: admission.request.requestId,
            deviceId: ask.deviceId,
            role: ask.role,
            scopes: ask.scopes,
            approved: admission.device,
          });
        case "full":
          return plain(unavailable(reasonText("auth.pairing_full"), undefined, 60_000));
        default:
          return plain(
            invalid(reasonText("auth.bootstrap_invalid"), { code: "AUTH_BOOTSTRAP_TOKEN_INVALID" }),
          );
      }
    } catch (error) {
      parts.log("error", "a device could not be paired", { error: (error as Error).message });
      return plain(unavailable(reasonText("auth.pairing_unavailable")));
    }
  }

  // The same for every caller and the longest part of the answer: written once.
  const featuresJson = JSON.stringify({
    methods: [...parts.methods.keys()],
    events,
    capabilities: ["published-model-catalog"],
  });

  /** The answer to `connect`, as JSON. */
  function hello(subscriber: Subscriber): string {
    const { principal } = subscriber;
    const { deviceId, role } = principal;
    const [own, ...others] = deviceId === undefined ? [] : parts.devices.tokens(deviceId, role);
    const more = JSON.stringify({
      server: { version: parts.version, connId: subscriber.id },
      snapshot: parts.snapshot(principal),
      auth: {
        role,
        scopes: principal.scopes,
        method: principal.method,
        ...(own ? { deviceToken: own.token.reveal(), issuedAtMs: own.issuedAtMs } : {}),
        // A setup code may have paired it as an operator too, with a token of its own for that.
        ...(principal.method === "bootstrap-token" && others.length > 0
          ? { deviceTokens: others.map(({ token, ...other }) => ({ deviceToken: token.reveal(), ...other })) }
          : {}),
      },
      policy: {
        maxPayload: maxPayloadBytes,
        maxBufferedBytes,
        tickIntervalMs,
        attachments: attachmentLimits,
      },
    });
    return `{"type":"hello-ok","protocol":${protocolVersion},"features":${featuresJson},${more.slice(1)}`;
  }

  // --- request: Principal -> capability -> method -> answer --------------------------------------------------

  async function dispatch(frame: RequestFrame, bytes: number, connection: Subscriber): Promise<void> {
    const { socket, principal } = connection;
    if (frame.method === "connect") {
      answerError(socket, frame.id, invalid("connect is only valid as the first request"));
      return;
    }
    // A socket takes a while to close: what still comes on one that was revoked is not done (CVE-2026-42421).
    if (ended.has(connection) || !parts.apiTokens.stands(principal)) return;
    const row = parts.methods.get(frame.method);
    const role = row?.role ?? "operator";
    if (role !== "both" && role !== principal.role)
      return answerError(socket, frame.id, invalid(`unauthorized role: ${principal.role}`));
    // Scope comes before existence, so that a caller without rights cannot learn which methods there are.
    const needed = row ? row.scope : "operator.admin";
    if (needed !== undefined && !holds(principal.scopes, needed))
      return answerError(socket, frame.id, missingScope(needed));
    if (!row) return answerError(socket, frame.id, invalid(`unknown method: ${frame.method}`));
    const crowded = pace.take(row, connection);
    if (crowded) return answerError(socket, frame.id, crowded);
    const maxBytes = row.maxBytes ?? defaultMaxBytes;
    if (bytes > maxBytes) return answerError(socket, frame.id, tooLong(row.name, maxBytes));
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
    if (frame.expectedProfileId !== undefined && frame.expectedProfileId !== ownerProfileId)
      return answerError(socket, frame.id, profileMismatch());
    try {
      const allowed = mayCall(principal.limits, {
        name: row.name,
        handsOutRights: parts.reach.handsOutRights(row.name),
        reach: () => parts.reach.of(row.name, params),
      });
      if (!admitted(allowed)) return answerError(socket, frame.id, notForToken(allowed));
      const call: Call = {
        principal,
        connection,
        answerAgain: (payload, error) =>
          error
            ? answerError(socket, frame.id, error as WireError, payload)
            : answer(socket, frame.id, payload),
      };
      const run = () => row.run(params, call);
      const action = parts.administration.of(row, params, call);
      const recorded = action ? () => administer(action, call, run) : run;
      const key = row.repeats === "remembered" ? keyOf(params) : undefined;
      const result =
        key === undefined ? recorded() : repeats.once(principal.id, `${row.name}\n${key}`, params, recorded);
      answer(socket, frame.id, result instanceof Promise ? await result : result);
    } catch (error) {
      if (error instanceof MethodError) return answerError(socket, frame.id, error.wire, error.payload);
      if (error instanceof InputError) return answerError(socket, frame.id, invalid(error.message));
      parts.log("error", "a method failed", { method: frame.method, error: (error as Error).message });
      answerError(socket, frame.id, unavailable("the gateway failed on this request; see its log"));
    }
  }

  /** Puts the action on record before it happens, and what it changed when it has. */
  async function administer(
    { action, facts, state }: AdministrativeAction,
    { principal, connection }: Call,
    run: () => unknown,
  ): Promise<unknown> {
    const { address, client } = connection;
    const record = (kind: "admin" | "effect.end", more: Json, outcome?: "ok" | "error") =>
      parts.commit([
        parts.ledger.append({
          stage: "operator",
          kind,
          action,
          actor: principal.id,
          facts: more,
          ...(outcome === undefined ? {} : { outcome }),
        }),
      ]);
    // What cannot be looked at must not keep anybody from mending it.
    const look = async () => state?.().catch(() => undefined);
    const before = await look();
    await record("admin", { ...facts, address, client });
    const end = async (outcome: "ok" | "error") => {
      if (!state) return;
      const changes = changesBetween(before, await look()).map((change) => ({ ...change }));
      await record("effect.end", { changes }, outcome).catch((error: Error) =>
        parts.log("error", "the end of an action could not be recorded", { action, error: error.message }),
      );
    };
    try {
      const result = await run();
      const recorded = end("ok");
      // Its own connection ends by it: the answer goes out before the socket closes.
      if (!ended.has(connection)) await recorded;
      return result;
    } catch (error) {
      await end("error");
      throw error;
    }
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
    answerJson(socket, id, JSON.stringify(payload) ?? "null");
  }

  function answerJson(socket: Socket, id: string, json: string): void {
    socket.send(`{"type":"res","id":${JSON.stringify(id)},"ok":true,"payload":${json}}`);
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
    revoke(isOver, reason) {
      const over = [...hub.all()].filter(({ principal }) => isOver(principal));
      for (const subscriber of over) {
        ended.add(subscriber);
        // No event either; the answer to the very request that did this still goes out.
        leave(subscriber);
        clock.after(0, () => subscriber.socket.close(4001, reason));
      }
      return over.map(({ principal }) => principal.id);
    },
  };

  function leave(subscriber: Subscriber): void {
    hub.remove(subscriber);
    if (subscriber.presence) parts.presenceChanged();
    if (subscriber.principal.role === "node") parts.nodeWent(subscriber);
  }
}

function isRole(text: string): text is Role {
  return text === "operator" || text === "node";
}

function signedFacts(params: ConnectParams, role: Role) {
  const { auth, client } = params;
  return {
    clientId: client.id,
    clientMode: client.mode,
    role,
    scopes: params.scopes ?? [],
    token: auth?.token ?? auth?.deviceToken ?? auth?.bootstrapToken ?? "",
    platform: client.platform,
    deviceFamily: client.deviceFamily,
  };
}

function askOf(
  params: ConnectParams,
  role: Role,
  device: ProvedDevice,
  credential: Exclude<Credential, { readonly kind: "api-token" }>,
  arrival: Arrival,
): DeviceAsk {
  const { client } = params;
  const limit = credential.kind === "identity" ? credential.identity.limit : undefined;
  const isPage = ["webchat", "webchat-ui", "openclaw-control-ui", "openclaw-browser-copilot"].includes(
    client.id,
  );
  return {
    ...device,
    role,
    scopes: limit ? within(params.scopes ?? [], limit) : (params.scopes ?? []),
    ...(credential.kind === "identity" ? { identity: credential.identity } : {}),
    ...(client.displayName === undefined ? {} : { displayName: client.displayName }),
    platform: client.platform,
    ...(client.deviceFamily === undefined ? {} : { deviceFamily: client.deviceFamily }),
    clientId: client.id,
    clientMode: client.mode,
    credential: credential.kind === "browser-session" ? "device-token" : credential.kind,
    address: arrival.address,
    isLoopback: arrival.isLoopback,
    isLocal: arrival.isLocal || arrival.isOwnTailnet,
    isProxied: arrival.via === "proxy",
    fromBrowser: arrival.origin !== undefined || client.mode === "webchat" || isPage,
  };
}

function presentedOf(
  params: ConnectParams,
  role: Role,
  deviceId: string | undefined,
  cookie: string,
  sessions: BrowserSessions,
): Omit<Presented, "isLocal"> {
  const browserSession = cookie === "" ? undefined : sessions.check(cookie);
  const { token, password, deviceToken, bootstrapToken } = params.auth ?? {};
  return {
    clientId: params.client.id,
    clientMode: params.client.mode,
    role,
    scopes: params.scopes ?? [],
    ...(token === undefined ? {} : { token }),
    ...(password === undefined ? {} : { password }),
    ...(deviceToken === undefined ? {} : { deviceToken }),
    ...(bootstrapToken === undefined ? {} : { bootstrapToken }),
    ...(browserSession === undefined ? {} : { browserSession }),
    ...(deviceId === undefined ? {} : { deviceId }),
  };
}

function protocolMismatch(params: ConnectParams): WireError | undefined {
  const isNode = params.role === "node" && params.client.mode === "node";
  const oldest = params.client.mode === "probe" || isNode ? 3 : protocolVersion;
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

function tooLong(method: string, maxBytes: number): WireError {
  return invalid(`invalid ${method} params: at root: the request must not be longer than ${maxBytes} bytes`, {
    reason: "request-too-long",
    maxBytes,
  });
}

function notForToken({ reason, detail }: Refusal): WireError {
  return {
    code: "FORBIDDEN",
    message: `${reasonText(reason)} (${detail})`,
    details: { code: "TOKEN_LIMITED", reason },
  };
}

function profileMismatch(): WireError {
  return invalid(`this connection acts as the profile ${ownerProfileId}; reconnect and ask again`, {
    reason: "EXPECTED_PROFILE_MISMATCH",
    execution: "not_started",
  });
}

function keyOf(params: unknown): string | undefined {
  const { idempotencyKey } = params as { readonly idempotencyKey?: unknown };
  return typeof idempotencyKey === "string" ? idempotencyKey : undefined;
}
