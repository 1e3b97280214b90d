import { deviceWord } from "./device.ts";
import type { ApprovedVia, PairedDevice, PendingPairing } from "./device-records.ts";
import { tokenOf } from "./device-records.ts";
import type { Role } from "./principal.ts";
import type { Identity } from "./proxy-caller.ts";
import { firstMissing, knownScopes } from "./scopes.ts";

/** What a device that proved its key asks for, and what the socket and the credential prove about it. */
export interface DeviceAsk {
  readonly deviceId: string;
  readonly publicKey: string;
  readonly role: Role;
  /** As claimed. */
  readonly scopes: readonly string[];
  readonly displayName?: string;
  readonly platform?: string;
  readonly deviceFamily?: string;
  readonly clientId: string;
  readonly clientMode: string;
  /** What it signed in with. */
  readonly credential: "shared" | "device-token" | "setup-code" | "identity";
  /** Who is at the device, where a proxy or Tailscale said so. */
  readonly identity?: Identity;
  readonly address: string;
  readonly isLoopback: boolean;
  /** Direct from this machine, no proxy between. */
  readonly isLocal: boolean;
  /** A proxy stands between, so the address is not the device's own. */
  readonly isProxied: boolean;
  /** An Origin header, or a client that runs in a browser. */
  readonly fromBrowser: boolean;
}

/** What a request to pair is made of; the address is there when it came over a connection of its own. */
export type Asked = Pick<DeviceAsk, "deviceId" | "publicKey" | "role" | "scopes"> &
  Description & { readonly address?: string };

export type PairingNeed = "not-paired" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade";

export interface PairingSettings {
  readonly autoApproveLocal: boolean;
  /** True for addresses in gateway.nodes.pairing.autoApproveCidrs. */
  readonly isTrustedAddress: (address: string) => boolean;
}

/** Everything that somebody would have to approve before the device gets what it asks for; empty: it has it all. */
export function pairingNeeds(device: PairedDevice | undefined, ask: DeviceAsk): readonly PairingNeed[] {
  if (!device || device.publicKey !== ask.publicKey) return ["not-paired"];
  const needs: PairingNeed[] = [];
  const isRevoked = tokenOf(device, ask.role)?.revokedAtMs !== undefined;
  if (!device.roles.includes(ask.role) || isRevoked) needs.push("role-upgrade");
  if (ask.role === "operator" && firstMissing(device.scopes, ask.scopes) !== undefined)
    needs.push("scope-upgrade");
  // Policy trusts a paired device's platform: a stolen key must not turn a phone into a host that runs commands.
  if (differs(device.platform, ask.platform) || differs(device.deviceFamily, ask.deviceFamily))
    needs.push("metadata-upgrade");
  return needs;
}

/**
 * Who has approved this already, if anybody. Only a program on this machine that knows the shared secret is let in
 * without a question; a page is not, even with the secret: any site can reach loopback from the owner's browser.
 */
export function automaticApproval(
  needs: readonly PairingNeed[],
  device: PairedDevice | undefined,
  ask: DeviceAsk,
  settings: PairingSettings,
): ApprovedVia | undefined {
  if (ask.credential === "setup-code") return "setup-code";
  if (needs.includes("metadata-upgrade")) return undefined;
  // A revocation lasts until a person approves the device again.
  if (tokenOf(device, ask.role)?.revokedAtMs !== undefined) return undefined;
  if (ask.credential === "identity") return isExpected(device, ask) ? "trusted-proxy" : undefined;
  if (ask.fromBrowser || ask.credential !== "shared") return undefined;
  if (ask.isLocal) return settings.autoApproveLocal ? "silent" : undefined;
  const isFreshNode = needs.includes("not-paired") && ask.role === "node" && ask.scopes.length === 0;
  const isDirect = !ask.isProxied && !ask.isLoopback;
  return isFreshNode && isDirect && settings.isTrustedAddress(ask.address) ? "trusted-cidr" : undefined;
}

/** True for a new operator's device of somebody whom the proxy signed in, within deviceAutoApprove.scopes. */
function isExpected(device: PairedDevice | undefined, ask: DeviceAsk): boolean {
  const allowed = ask.identity?.autoApproveScopes;
  return (
    device === undefined &&
    ask.role === "operator" &&
    allowed !== undefined &&
    firstMissing(allowed, ask.scopes) === undefined
  );
}

/** The device with what was asked for: roles and scopes are joined, nothing that it had is taken. */
export function withGrant(
  device: PairedDevice | undefined,
  asked: Pick<DeviceAsk, "deviceId" | "publicKey"> & {
    readonly roles: readonly Role[];
    readonly scopes: readonly string[];
  } & Description,
  via: ApprovedVia,
  nowMs: number,
  newToken: (role: Role) => { readonly generation: string; readonly hash: string },
): PairedDevice {
  const known = device?.publicKey === asked.publicKey ? device : undefined;
  const roles = [...new Set([...(known?.roles ?? []), ...asked.roles])];
  const scopes = roles.includes("operator") ? knownScopes([...(known?.scopes ?? []), ...asked.scopes]) : [];
  return {
    ...known,
    ...description(asked),
    deviceId: asked.deviceId,
    publicKey: asked.publicKey,
    roles,
    scopes,
    approvedVia: via,
    createdAtMs: known?.createdAtMs ?? nowMs,
    approvedAtMs: nowMs,
    tokens: roles.map((role) => {
      const token = tokenOf(known, role);
      const granted = role === "operator" ? [...scopes].sort() : [];
      // What was revoked stays revoked, unless this very role was asked for again.
      if (token && (token.revokedAtMs === undefined || !asked.roles.includes(role)))
        return { ...token, scopes: token.revokedAtMs === undefined ? granted : token.scopes };
      return { role, scopes: granted, ...newToken(role), createdAtMs: nowMs };
    }),
  };
}

/** True when the request already asks for all of this, for the same kind of machine. */
export function isCovered(pending: PendingPairing, ask: Asked): boolean {
  return (
    pending.publicKey === ask.publicKey &&
    pending.roles.includes(ask.role) &&
    firstMissing(pending.scopes, ask.scopes) === undefined &&
    !differs(pending.platform, ask.platform) &&
    !differs(pending.deviceFamily, ask.deviceFamily)
  );
}

/** What a device says of itself; for people, except the platform, which is pinned. */
export interface Description {
  readonly displayName?: string | undefined;
  readonly platform?: string | undefined;
  readonly deviceFamily?: string | undefined;
  readonly clientId?: string | undefined;
  readonly clientMode?: string | undefined;
}

const maxNameChars = 120;

/** Cut to what a list can show, absent members left out. */
export function description(said: Description) {
  const named = said.displayName?.slice(0, maxNameChars);
  return {
    ...(named ? { displayName: named } : {}),
    ...(said.platform ? { platform: said.platform.slice(0, maxNameChars) } : {}),
    ...(said.deviceFamily ? { deviceFamily: said.deviceFamily.slice(0, maxNameChars) } : {}),
    ...(said.clientId ? { clientId: said.clientId } : {}),
    ...(said.clientMode ? { clientMode: said.clientMode } : {}),
  };
}

/** A device that says nothing keeps what is pinned. */
function differs(pinned: string | undefined, claimed: string | undefined): boolean {
  return claimed !== undefined && deviceWord(pinned) !== deviceWord(claimed.slice(0, maxNameChars));
}
