import { type Json, uuid } from "../kernel/mod.ts";
import { type Asked, description, isCovered, type PairingSettings } from "./device-pairing.ts";
import type { PendingPairing } from "./device-records.ts";
import type { DevicePorts, DeviceRegistry, Draft, PairingDecision } from "./device-registry.ts";
import { knownScopes } from "./scopes.ts";
import type { SetupCodes, SetupCompletion } from "./setup-codes.ts";

export interface DevicesPorts extends DevicePorts {
  readonly settings: () => PairingSettings;
  readonly setupCodes: SetupCodes;
  readonly isConnected: (deviceId: string) => boolean;
  /** Puts a decision on record; what it allows happens after that only. */
  readonly record: (action: string, deviceId: string, facts: Readonly<Record<string, Json>>) => Promise<void>;
  readonly setupCompleted: (completion: SetupCompletion) => void;
}

export interface Waiting {
  /** Files a request of the device, or renews the one that asks for as much. */
  file(draft: Draft, ask: Asked): PendingPairing | "full";
  resolve(draft: Draft, request: PendingPairing, decision: PairingDecision): void;
  /** How it ended, now or later; undefined for an unknown request. */
  outcome(requestId: string): Promise<PairingDecision> | undefined;
  close(): void;
}

const pendingLifetimeMs = 5 * 60 * 1000;
const maxPending = 100;
const maxOutcomes = 1000;

/** Requests to pair: one per device, renewed by a retry, replaced by a wider ask, gone after five minutes. */
export function createWaiting(ports: DevicesPorts, registry: DeviceRegistry): Waiting {
  const timers = new Map<string, () => void>();
  const outcomes = new Map<string, PairingDecision>();
  const listeners = new Map<string, ((decision: PairingDecision) => void)[]>();

  function arm(request: PendingPairing): void {
    timers.get(request.requestId)?.();
    const left = Math.max(0, request.expiresAtMs - ports.clock.now());
    timers.set(
      request.requestId,
      ports.clock.after(left, () => void expire(request.requestId)),
    );
  }

  async function expire(requestId: string): Promise<void> {
    await registry
      .change((draft) => {
        const request = draft.request(requestId);
        if (request) resolve(draft, request, "expired");
      })
      .catch((error: Error) =>
        ports.log("warn", "a request to pair could not be removed", { error: error.message }),
      );
  }

  function resolve(draft: Draft, request: PendingPairing, decision: PairingDecision): void {
    draft.dropRequest(request.requestId);
    draft.afterwards(() => {
      const { requestId } = request;
      timers.get(requestId)?.();
      timers.delete(requestId);
      if (outcomes.size >= maxOutcomes) outcomes.delete(outcomes.keys().next().value as string);
      outcomes.set(requestId, decision);
      for (const listener of listeners.get(requestId) ?? []) listener(decision);
      listeners.delete(requestId);
      ports.changed({ kind: "resolved", request, decision });
    });
  }

  for (const request of registry.requests()) arm(request);

  return {
    file(draft, ask) {
      const nowMs = ports.clock.now();
      const expiresAtMs = nowMs + pendingLifetimeMs;
      const known = draft.requestOf(ask.deviceId);
      if (known && isCovered(known, ask)) {
        const renewed = { ...known, expiresAtMs };
        draft.putRequest(renewed);
        draft.afterwards(() => arm(renewed));
        return renewed;
      }
      if (!known && draft.requestCount >= maxPending) return "full";
      // The wider ask holds the narrower one: one answer of the operator settles both.
      if (known) resolve(draft, known, "rejected");
      const request: PendingPairing = {
        requestId: uuid(ports.random),
        deviceId: ask.deviceId,
        publicKey: ask.publicKey,
        ...description(ask),
        role: ask.role,
        roles: [...new Set([...(known?.roles ?? []), ask.role])],
        scopes: knownScopes([...(known?.scopes ?? []), ...(ask.role === "operator" ? ask.scopes : [])]),
        ...(ask.address === undefined ? {} : { remoteIp: ask.address }),
        isRepair: draft.device(ask.deviceId) !== undefined,
        ts: nowMs,
        expiresAtMs,
      };
      draft.putRequest(request);
      draft.afterwards(() => {
        arm(request);
        ports.changed({ kind: "requested", request });
      });
      return request;
    },
    resolve,
    outcome(requestId) {
      const known = outcomes.get(requestId);
      if (known) return Promise.resolve(known);
      if (!timers.has(requestId)) return undefined;
      return new Promise((settle) => listeners.set(requestId, [...(listeners.get(requestId) ?? []), settle]));
    },
    close() {
      for (const cancel of timers.values()) cancel();
    },
  };
}
