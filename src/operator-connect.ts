/**
 * The first half of the operator path, in order: one `connect` from its frame to a connection that may ask. This file
 * is a map: it calls the stages and records what they refuse.
 *
 *   frame -> device -> credential -> pairing -> Principal
 */
import {
  authenticateConnect,
  type Credential,
  type CredentialClass,
  type DeviceAsk,
  guessedAt,
  type Principal,
  principalOfToken,
  principalWithoutDevice,
  verifyDevice,
} from "./auth/mod.ts";
import {
  connectError,
  invalid,
  keepAlive,
  pairingRequired,
  parseConnect,
  presenceOf,
  type RequestFrame,
  rateLimited,
  type Subscriber,
  unavailable,
  type WireError,
} from "./control/mod.ts";
import { admitted, type Reason, reasonText, sleep, uuid } from "./kernel/mod.ts";
import type { Arrival, Socket } from "./network/mod.ts";
import { answerError, answerJson } from "./operator-answers.ts";
import { askOf, isRole, presentedOf, protocolMismatch, signedFacts } from "./operator-claims.ts";
import { createHello } from "./operator-hello.ts";
import type { OperatorParts } from "./operator-parts.ts";
import type { OperatorRecord } from "./operator-record.ts";

export function createConnect(parts: OperatorParts, { recordRefusal }: OperatorRecord) {
  const { clock, hub } = parts;
  const hello = createHello(parts);

  /** Undefined: it was answered why not, and is being closed. */
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

  return connect;
}
