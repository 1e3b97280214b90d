import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { withGrant } from "./device-pairing.ts";
import type { DeviceToken, PairedDevice, PendingPairing } from "./device-records.ts";
import type { DeviceRegistry, PairingDecision } from "./device-registry.ts";
import { scopesIn, withRole } from "./device-role.ts";
import type { DevicesPorts, Waiting } from "./device-waiting.ts";
import type { RoleName } from "./limits.ts";
import type { Principal, Role } from "./principal.ts";
import { firstMissing, holds, knownScopes } from "./scopes.ts";

/** A device as operators see it: no hash, no generation. */
export type DeviceView = Omit<PairedDevice, "tokens"> & {
  readonly role: Role;
  readonly connected: boolean;
  readonly tokens: readonly Omit<DeviceToken, "hash" | "generation">[];
};

export interface Rotated {
  readonly deviceId: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  readonly rotatedAtMs: number;
  /** Only for the device itself, on its own connection. */
  readonly token?: string;
}

export type UpgradeOutcome =
  | { readonly status: "approved"; readonly deviceToken: string; readonly scopes: readonly string[] }
  | { readonly status: "rejected" | "expired" };

/**
 * What operators do with devices. A device that signed in with its own token and is no admin sees and manages only
 * itself; nobody gives what he does not hold. All throw an InputError when paired.json cannot be read or written.
 */
export interface DeviceAdministration {
  list(caller: Principal): {
    readonly pending: readonly PendingPairing[];
    readonly paired: readonly DeviceView[];
  };
  /** With a role it gets what it asks for as far as the role goes, now and later; without one, just that. */
  approve(caller: Principal, requestId: string, role?: RoleName): Promise<Verdict<DeviceView>>;
  reject(caller: Principal, requestId: string): Promise<Verdict<PendingPairing>>;
  remove(caller: Principal, deviceId: string): Promise<Verdict<PairedDevice>>;
  rename(caller: Principal, deviceId: string, label: string): Promise<Verdict<PairedDevice>>;
  rotate(
    caller: Principal,
    deviceId: string,
    role: string,
    scopes: readonly string[] | undefined,
  ): Promise<Verdict<Rotated>>;
  revoke(
    caller: Principal,
    deviceId: string,
    role: string,
  ): Promise<Verdict<{ readonly revokedAtMs: number }>>;
  requestUpgrade(caller: Principal, scopes: readonly string[]): Promise<Verdict<PendingPairing>>;
  waitUpgrade(caller: Principal, requestId: string): Promise<Verdict<UpgradeOutcome>>;
}

export function createDeviceAdministration(
  ports: DevicesPorts,
  registry: DeviceRegistry,
  waiting: Waiting,
): DeviceAdministration {
  // Requests for more scopes that are over, by id: the device may come back for the answer.
  const upgrades = new Map<string, string>();
  const maxUpgrades = 1000;

  function view(device: PairedDevice): DeviceView {
    const [role = "operator"] = device.roles;
    return {
      ...device,
      role,
      connected: ports.isConnected(device.deviceId),
      tokens: device.tokens.map((token) => ({
        role: token.role,
        scopes: [...token.scopes].sort(),
        createdAtMs: token.createdAtMs,
        ...(token.rotatedAtMs === undefined ? {} : { rotatedAtMs: token.rotatedAtMs }),
        ...(token.lastUsedAtMs === undefined ? {} : { lastUsedAtMs: token.lastUsedAtMs }),
        ...(token.revokedAtMs === undefined ? {} : { revokedAtMs: token.revokedAtMs }),
      })),
    };
  }

  /** Changes one role's token of a device; the caller must hold everything that it stands for. */
  async function changeToken<T>(
    caller: Principal,
    deviceId: string,
    role: string,
    wanted: readonly string[] | undefined,
    changed: (device: PairedDevice, token: DeviceToken) => { device: PairedDevice; result: T },
  ): Promise<Verdict<T>> {
    const done = await registry.change<Verdict<T>>((draft) => {
      const found = changeable(
        mayManage(caller, deviceId) ? draft.device(deviceId) : undefined,
        role,
        caller,
        wanted,
      );
      if (!found.ok) return found;
      const { device, token } = found.value;
      const { device: next, result } = changed(device, token);
      draft.put(next);
      return admit(result);
    });
    if (!done.ok)
      ports.log("warn", "a change of a device token was refused", {
        by: caller.id,
        deviceId,
        role,
        why: done.detail,
      });
    return done;
  }

  const unknownRequest = () => refuse("auth.pairing_request_unknown");
  const unknownDevice = () => refuse("auth.device_unknown");

  return {
    list: (caller) => ({
      pending: registry.requests().filter((item) => mayManage(caller, item.deviceId)),
      paired: registry
        .devices()
        .filter((item) => mayManage(caller, item.deviceId))
        .map(view),
    }),
    approve: (caller, requestId, role) =>
      registry.change<Verdict<DeviceView>>((draft) => {
        const found = draft.request(requestId);
        if (!found || !mayManage(caller, found.deviceId)) return unknownRequest();
        if (role !== undefined && !found.roles.includes("operator"))
          return refuse("auth.role_invalid", `${role}: the device does not ask to be an operator`);
        const request = { ...found, scopes: [...scopesIn(found.scopes, role)] };
        const missing = request.roles.some((role) => role !== "operator")
          ? firstMissing(caller.scopes, ["operator.admin"])
          : firstMissing(caller.scopes, request.scopes);
        if (missing !== undefined) return refuse("auth.scope_missing", missing);
        const before = draft.device(request.deviceId);
        const granted = withGrant(before, request, "owner", ports.clock.now(), (kind) =>
          registry.newToken(request.deviceId, kind),
        );
        const device = withRole(granted, role);
        draft.put(device);
        waiting.resolve(draft, found, "approved");
        // What is open holds what was approved before.
        if (before && before.operatorRole !== role)
          draft.afterwards(() => ports.ended(device.deviceId, false));
        return admit(view(device));
      }),
    reject: (caller, requestId) =>
      registry.change<Verdict<PendingPairing>>((draft) => {
        const request = draft.request(requestId);
        if (!request || !mayManage(caller, request.deviceId)) return unknownRequest();
        waiting.resolve(draft, request, "rejected");
        return admit(request);
      }),
    remove: (caller, deviceId) =>
      registry.change<Verdict<PairedDevice>>((draft) => {
        const device = mayManage(caller, deviceId) ? draft.device(deviceId) : undefined;
        if (!device) return unknownDevice();
        const request = draft.requestOf(deviceId);
        if (request) waiting.resolve(draft, request, "rejected");
        draft.drop(deviceId);
        draft.afterwards(() => {
          ports.ended(deviceId, true);
          ports.changed({ kind: "changed", deviceId });
        });
        return admit(device);
      }),
    rename: (caller, deviceId, label) =>
      registry.change<Verdict<PairedDevice>>((draft) => {
        const device = mayManage(caller, deviceId) ? draft.device(deviceId) : undefined;
        if (!device) return unknownDevice();
        const renamed = { ...device, operatorLabel: label };
        draft.put(renamed);
        draft.afterwards(() => ports.changed({ kind: "changed", deviceId }));
        return admit(renamed);
      }),
    async rotate(caller, deviceId, role, scopes) {
      const rotatedAtMs = ports.clock.now();
      const wanted = scopes === undefined ? undefined : knownScopes(scopes);
      const done = await changeToken(caller, deviceId, role, wanted, (device, token) => {
        const granted = [...(wanted ?? token.scopes)].sort();
        const fresh = { ...token, ...registry.newToken(deviceId, token.role), scopes: granted, rotatedAtMs };
        const next = withToken(device, fresh, token.role === "operator" ? granted : device.scopes);
        return { device: next, result: { deviceId, role: token.role, scopes: granted, rotatedAtMs } };
      });
      if (!done.ok) return done;
      const own = caller.method === "device-token" && caller.deviceId === deviceId && caller.role === role;
      // Never somebody else's token: who may rotate it must not thereby become that device.
      const token = own ? registry.reveal(deviceId, done.value.role)?.token.reveal() : undefined;
      ports.ended(deviceId, false);
      ports.changed({ kind: "changed", deviceId });
      return admit({ ...done.value, ...(token === undefined ? {} : { token }) });
    },
    async revoke(caller, deviceId, role) {
      const revokedAtMs = ports.clock.now();
      const done = await changeToken(caller, deviceId, role, undefined, (device, token) => ({
        // The scopes go too: a later approval of less must not bring back what was taken.
        device: withToken(device, { ...token, revokedAtMs }, token.role === "operator" ? [] : device.scopes),
        result: { revokedAtMs },
      }));
      if (!done.ok) return done;
      ports.ended(deviceId, true);
      ports.changed({ kind: "changed", deviceId });
      return done;
    },
    async requestUpgrade(caller, scopes) {
      const { deviceId } = caller;
      const device = deviceId === undefined ? undefined : registry.device(deviceId);
      if (!device || caller.role !== "operator") return refuse("auth.device_required", caller.id);
      const filed = await registry.change((draft) =>
        waiting.file(draft, { ...device, role: "operator", scopes }),
      );
      if (filed === "full") return refuse("auth.pairing_full");
      if (upgrades.size >= maxUpgrades) upgrades.delete(upgrades.keys().next().value as string);
      upgrades.set(filed.requestId, device.deviceId);
      return admit(filed);
    },
    async waitUpgrade(caller, requestId) {
      // Only the device that asked: the answer carries its token.
      if (caller.deviceId === undefined || upgrades.get(requestId) !== caller.deviceId)
        return unknownRequest();
      const decision: PairingDecision | undefined = await waiting.outcome(requestId);
      if (decision === undefined) return unknownRequest();
      if (decision !== "approved") return admit({ status: decision });
      const issued = registry.reveal(caller.deviceId, "operator");
      if (!issued) return admit({ status: "rejected" });
      return admit({ status: "approved", deviceToken: issued.token.reveal(), scopes: issued.scopes });
    },
  };
}

function mayManage(caller: Principal, deviceId: string): boolean {
  const isBoundToItself = caller.method === "device-token" || caller.method === "bootstrap-token";
  return !isBoundToItself || caller.deviceId === deviceId || holds(caller.scopes, "operator.admin");
}

function withToken(device: PairedDevice, token: DeviceToken, scopes: readonly string[]): PairedDevice {
  const kept = device.scopes.filter((scope) => scopes.includes(scope));
  return {
    ...device,
    scopes: kept.length === scopes.length ? kept : [...scopes],
    tokens: device.tokens.map((item) => (item.role === token.role ? token : item)),
  };
}

/** The token of a device that this caller may change. One reason for every cause: it tells nobody what there is. */
function changeable(
  device: PairedDevice | undefined,
  role: string,
  caller: Principal,
  wanted: readonly string[] | undefined,
): Verdict<{ readonly device: PairedDevice; readonly token: DeviceToken }> {
  const denied = (why: string) => refuse("auth.device_token_change_denied", why);
  if (!device) return denied("unknown device");
  const token = device.tokens.find((item) => item.role === role);
  if (!token) return denied("the device was never approved for this role");
  if (token.revokedAtMs !== undefined)
    return denied("the token was revoked; the device needs a new approval");
  if (firstMissing(caller.scopes, token.scopes) !== undefined)
    return denied("the caller holds less than the token");
  if (wanted && firstMissing(token.scopes, wanted) !== undefined)
    return denied("the token would get more than was approved");
  return admit({ device, token });
}
