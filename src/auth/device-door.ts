import {
  automaticApproval,
  type DeviceAsk,
  type PairingNeed,
  pairingNeeds,
  withGrant,
} from "./device-pairing.ts";
import type { PairedDevice, PendingPairing } from "./device-records.ts";
import type { DeviceRegistry, Draft, IssuedToken } from "./device-registry.ts";
import { limitsOfRole, withinRole } from "./device-role.ts";
import type { DevicesPorts, Waiting } from "./device-waiting.ts";
import { unlimited } from "./limits.ts";
import { makePrincipal, type Principal, type Role } from "./principal.ts";
import { firstMissing } from "./scopes.ts";
import { type SetupCode, setupScopes } from "./setup-codes.ts";

export type DeviceAdmission =
  | { readonly state: "paired" }
  /** An operator has to say yes first. */
  | {
      readonly state: "waiting";
      readonly need: PairingNeed;
      readonly request: PendingPairing;
      readonly device: PairedDevice | undefined;
    }
  /** Too many devices wait already. */
  | { readonly state: "full" }
  /** The setup code was used in the meantime. */
  | { readonly state: "code-used" };

/** The devices' own way in: what they ask for is granted, or waits. */
export interface DeviceDoor {
  /** Throws an InputError when paired.json cannot be read or written. */
  admit(ask: DeviceAsk, setup: SetupCode | undefined): Promise<DeviceAdmission>;
  /**
   * The principal of a device that has everything it asks for, at this very moment; undefined when it has not. Call
   * it in the same step that lets the connection in: a device that was removed in the meantime does not get one.
   */
  enter(ask: DeviceAsk, method: string): Principal | undefined;
  /** The device's tokens to hand out on its own connection: that of `role` first. */
  tokens(deviceId: string, role: Role): readonly IssuedToken[];
}

const supersedeAfterMs = 60_000;

export function createDeviceDoor(
  ports: DevicesPorts,
  registry: DeviceRegistry,
  waiting: Waiting,
): DeviceDoor {
  const hasAll = (ask: DeviceAsk) => pairingNeeds(registry.device(ask.deviceId), ask).length === 0;
  const narrowed = (ask: DeviceAsk) => withinRole(ask, registry.device(ask.deviceId));

  async function decide(
    draft: Draft,
    given: DeviceAsk,
    setup: SetupCode | undefined,
  ): Promise<DeviceAdmission> {
    const device = draft.device(given.deviceId);
    const ask = withinRole(given, device);
    const needs = pairingNeeds(device, ask);
    // A setup code lets the device in again, whether or not it lacks something.
    const need = needs[0] ?? (setup && "not-paired");
    if (need === undefined) {
      // Paired, but without a token that we could hand out: added by hand, or made with another key.
      if (device && !registry.reveal(ask.deviceId, ask.role)) draft.put(withFreshToken(device, ask.role));
      return { state: "paired" };
    }
    const via = automaticApproval(needs, device, ask, ports.settings());
    if (via === undefined) {
      const request = waiting.file(draft, ask);
      if (request === "full") return { state: "full" };
      await ports.record("device.pair.ask", ask.deviceId, {
        requestId: request.requestId,
        need,
        scopes: request.scopes,
        roles: request.roles,
      });
      return { state: "waiting", need, request, device };
    }
    // Once, whatever happens next: what fails after this leaves a code that is worth nothing.
    if (setup && !ports.setupCodes.take(setup)) return { state: "code-used" };
    const operatorScopes = setup ? setupScopes[setup.access] : ask.scopes;
    const roles: Role[] = setup && operatorScopes.length > 0 ? [ask.role, "operator"] : [ask.role];
    const granted = withGrant(
      device,
      { ...ask, roles, scopes: roles.includes("operator") ? operatorScopes : [] },
      via,
      ports.clock.now(),
      (role) => registry.newToken(ask.deviceId, role),
    );
    await ports.record("device.pair.auto", ask.deviceId, {
      via,
      need,
      roles: granted.roles,
      scopes: granted.scopes,
    });
    draft.put(granted);
    if (via === "silent" && need === "not-paired") retireTwins(draft, granted);
    const asked = draft.requestOf(ask.deviceId);
    if (asked && covers(granted, asked)) waiting.resolve(draft, asked, "approved");
    draft.afterwards(() => ports.changed({ kind: "changed", deviceId: ask.deviceId }));
    return { state: "paired" };
  }

  function withFreshToken(device: PairedDevice, role: Role): PairedDevice {
    const scopes = role === "operator" ? [...device.scopes].sort() : [];
    const fresh = {
      role,
      scopes,
      ...registry.newToken(device.deviceId, role),
      createdAtMs: ports.clock.now(),
    };
    return { ...device, tokens: [...device.tokens.filter((item) => item.role !== role), fresh] };
  }

  /** A program that made itself a new identity leaves its old one behind; those that nobody uses go. */
  function retireTwins(draft: Draft, fresh: PairedDevice): void {
    const now = ports.clock.now();
    for (const old of draft.devices()) {
      const isTwin =
        old.deviceId !== fresh.deviceId &&
        old.approvedVia === "silent" &&
        old.clientId === fresh.clientId &&
        old.clientMode === fresh.clientMode &&
        old.displayName === fresh.displayName;
      const lastMs = Math.max(old.approvedAtMs, registry.device(old.deviceId)?.lastSeenAtMs ?? 0);
      if (!isTwin || ports.isConnected(old.deviceId) || now - lastMs < supersedeAfterMs) continue;
      draft.drop(old.deviceId);
      draft.afterwards(() => ports.changed({ kind: "changed", deviceId: old.deviceId }));
    }
  }

  return {
    async admit(given, setup) {
      const ask = narrowed(given);
      if (!setup && hasAll(ask) && registry.reveal(ask.deviceId, ask.role)) return { state: "paired" };
      try {
        const admission = await registry.change((draft) => decide(draft, given, setup));
        if (setup && admission.state === "paired")
          ports.setupCompleted(ports.setupCodes.settle(setup, ask.deviceId, ask.displayName, true));
        return admission;
      } catch (error) {
        if (setup) ports.setupCodes.settle(setup, ask.deviceId, ask.displayName, false);
        throw error;
      }
    },
    enter(given, method) {
      const ask = narrowed(given);
      if (!hasAll(ask)) return undefined;
      registry.seen(ask.deviceId, ask.role, method === "device-token");
      // A node acts when it is asked to; it holds no operator's scope, whatever it claims.
      const scopes =
        ask.role === "operator" ? [...new Set([...ask.scopes, ...(ask.identity?.scopes ?? [])])] : [];
      return makePrincipal(`device:${ask.deviceId}`, scopes, method, {
        role: ask.role,
        deviceId: ask.deviceId,
        user: ask.identity?.user,
        limits: ask.role === "operator" ? limitsOfRole(registry.device(ask.deviceId)) : unlimited,
      });
    },
    tokens(deviceId, role) {
      const device = registry.device(deviceId);
      const roles: Role[] = [role, ...(device?.roles ?? []).filter((other) => other !== role)];
      return roles.flatMap((item) => {
        const issued = registry.reveal(deviceId, item);
        return issued ? [{ role: item, ...issued }] : [];
      });
    },
  };
}

function covers(device: PairedDevice, asked: PendingPairing): boolean {
  return (
    asked.roles.every((role) => device.roles.includes(role)) &&
    firstMissing(device.scopes, asked.scopes) === undefined
  );
}
