import type { Principal } from "../auth/mod.ts";
import type { ConnectParams } from "./protocol.ts";

/** One who is here, as clients see it (PresenceEntry of the published schema). */
export interface PresenceEntry {
  readonly ts: number;
  readonly text?: string;
  /** What the device calls itself: whatever it sent. */
  readonly host?: string;
  readonly version?: string;
  readonly platform?: string;
  readonly deviceFamily?: string;
  readonly mode?: string;
  readonly reason?: "self" | "connect";
  readonly instanceId?: string;
  readonly deviceId?: string;
  readonly roles?: readonly string[];
  readonly scopes?: readonly string[];
  readonly onlineSince?: number;
}

const longestWord = 128;

/** The entry of a connection; undefined for one without a device: command line calls come and go unseen. */
export function presenceOf(
  client: ConnectParams["client"],
  principal: Principal,
  nowMs: number,
): PresenceEntry | undefined {
  const { deviceId } = principal;
  if (deviceId === undefined) return undefined;
  const cut = (text: string) => text.slice(0, longestWord);
  return {
    ts: nowMs,
    onlineSince: nowMs,
    reason: "connect",
    version: cut(client.version),
    platform: cut(client.platform),
    mode: client.mode,
    deviceId,
    roles: [principal.role],
    scopes: principal.scopes,
    ...(client.displayName === undefined ? {} : { host: cut(client.displayName) }),
    ...(client.deviceFamily === undefined ? {} : { deviceFamily: cut(client.deviceFamily) }),
    ...(client.instanceId === undefined ? {} : { instanceId: cut(client.instanceId) }),
  };
}
