import type { DeviceAsk } from "./device-pairing.ts";
import type { PairedDevice } from "./device-records.ts";
import { type Limits, type RoleName, roles, unlimited } from "./limits.ts";
import { holds, knownScopes, type Scope } from "./scopes.ts";

/** What of these scopes a role has: of one that goes further, what it covers. */
export function scopesIn(scopes: readonly string[], role: RoleName | undefined): readonly string[] {
  if (role === undefined) return scopes;
  const { scopes: most } = roles[role];
  const wider = knownScopes(scopes).filter((scope) => !holds(most, scope));
  return knownScopes([
    ...scopes.filter((scope) => !wider.includes(scope as Scope)),
    ...most.filter((scope) => holds(wider, scope)),
  ]);
}

/** What a device asks for, as far as its role goes: more would be an error each time, and never granted in silence. */
export function withinRole(ask: DeviceAsk, device: PairedDevice | undefined): DeviceAsk {
  const role = device?.operatorRole;
  if (role === undefined || ask.role !== "operator") return ask;
  const { identity } = ask;
  return {
    ...ask,
    scopes: scopesIn(ask.scopes, role),
    ...(identity ? { identity: { ...identity, scopes: knownScopes(scopesIn(identity.scopes, role)) } } : {}),
  };
}

/** What a device's role keeps it from beyond its scopes. */
export function limitsOfRole(device: PairedDevice | undefined): Limits {
  return device?.operatorRole === undefined ? unlimited : roles[device.operatorRole].limits;
}

/** The device, kept to this role from now on; undefined: to its scopes alone. */
export function withRole(device: PairedDevice, role: RoleName | undefined): PairedDevice {
  const { operatorRole: _, ...rest } = device;
  if (role === undefined) return rest;
  return {
    ...rest,
    operatorRole: role,
    scopes: [...scopesIn(device.scopes, role)],
    tokens: device.tokens.map((token) => ({ ...token, scopes: [...scopesIn(token.scopes, role)] })),
  };
}
