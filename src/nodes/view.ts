import type { PairedDevice } from "../auth/mod.ts";
import {
  approvalScopes,
  effectiveSurface,
  type NodeSettings,
  platformOf,
  policySurface,
  type Surface,
} from "./command-policy.ts";
import type { HostStats } from "./node-events.ts";
import type { NodeRecord, PendingSurface } from "./surface-records.ts";

/** What a node says of itself when it connects. */
export interface NodeDeclaration extends Surface {
  readonly version: string;
  /** As the node's environment has it; for people. */
  readonly pathEnv?: string;
}

/** A node that is connected. */
export interface LiveNode {
  readonly declaration: NodeDeclaration;
  readonly connectedAtMs: number;
}

export interface Seen {
  readonly atMs: number;
  readonly reason: string;
}

/** A row of `node.list`. */
export function nodeView(
  device: PairedDevice,
  record: NodeRecord | undefined,
  live: LiveNode | undefined,
  more: { readonly settings: NodeSettings; readonly seen?: Seen; readonly hostStats?: HostStats },
) {
  const platform = platformOf(device.platform);
  const declared = live ? policySurface(live.declaration, platform, more.settings) : record?.approved;
  const effective = declared
    ? effectiveSurface(policySurface(declared, platform, more.settings), record?.approved)
    : { caps: [], commands: [], permissions: {} };
  const { pending, approved } = record ?? {};
  const lastSeenAtMs = live ? live.connectedAtMs : (more.seen?.atMs ?? device.lastSeenAtMs);
  return {
    nodeId: device.deviceId,
    ...description(device),
    ...(record?.version === undefined ? {} : { version: record.version }),
    ...effective,
    sessionHost: false,
    nodePluginTools: [],
    ...(live?.declaration.pathEnv === undefined ? {} : { pathEnv: live.declaration.pathEnv }),
    approvalState: approved ? "approved" : pending ? "pending-approval" : "unapproved",
    ...(pending
      ? {
          pendingRequestId: pending.requestId,
          pendingDeclaredCaps: pending.caps,
          pendingDeclaredCommands: pending.commands,
          pendingDeclaredPermissions: pending.permissions,
        }
      : {}),
    ...(live ? { connectedAtMs: live.connectedAtMs, lastConnectedAtMs: live.connectedAtMs } : {}),
    ...(lastSeenAtMs === undefined ? {} : { lastSeenAtMs }),
    ...(more.seen ? { lastSeenReason: more.seen.reason } : {}),
    ...(approved ? { approvedAtMs: approved.approvedAtMs } : {}),
    paired: true,
    connected: live !== undefined,
    ...(more.hostStats ? { hostStats: more.hostStats } : {}),
  };
}
export type NodeView = ReturnType<typeof nodeView>;

/** A node as `node.pair.approve` and the paired half of `node.pair.list` show it. */
export function approvedNode(device: PairedDevice, record: NodeRecord | undefined, seen: Seen | undefined) {
  const approved = record?.approved;
  return {
    nodeId: device.deviceId,
    ...description(device),
    ...(record?.version === undefined ? {} : { version: record.version }),
    caps: approved?.caps ?? [],
    commands: approved?.commands ?? [],
    permissions: approved?.permissions ?? {},
    createdAtMs: device.createdAtMs,
    ...(approved ? { approvedAtMs: approved.approvedAtMs } : {}),
    ...(device.lastSeenAtMs === undefined ? {} : { lastSeenAtMs: device.lastSeenAtMs }),
    ...(seen ? { lastSeenReason: seen.reason } : {}),
  };
}

/** A row of the pending half of `node.pair.list`, and the payload of `node.pair.requested`. */
export function pendingNode(device: PairedDevice, node: NodeRecord, pending: PendingSurface) {
  return {
    requestId: pending.requestId,
    nodeId: node.nodeId,
    ...description(device),
    ...(node.version === undefined ? {} : { version: node.version }),
    caps: pending.caps,
    commands: pending.commands,
    permissions: pending.permissions,
    requiredApproveScopes: approvalScopes(pending.commands),
    silent: false,
    ts: pending.ts,
  };
}

/** What the device said of itself when it was paired; the platform is pinned, and signed on each connection. */
function description(device: PairedDevice) {
  const displayName = device.operatorLabel ?? device.displayName;
  return {
    ...(displayName === undefined ? {} : { displayName }),
    ...(device.platform === undefined ? {} : { platform: device.platform }),
    ...(device.deviceFamily === undefined ? {} : { deviceFamily: device.deviceFamily }),
    ...(device.clientId === undefined ? {} : { clientId: device.clientId }),
    ...(device.clientMode === undefined ? {} : { clientMode: device.clientMode }),
  };
}
