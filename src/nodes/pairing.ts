import type { Devices, PairedDevice, Principal } from "../auth/mod.ts";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import { approvalScopes } from "./command-policy.ts";
import type { Surfaces } from "./surfaces.ts";
import { approvedNode, pendingNode, type Seen } from "./view.ts";

/** Which nodes there are and what is approved of them, as operators manage it: each only what is his to manage. */
export interface NodePairing {
  pairList(caller: Principal): {
    readonly pending: readonly ReturnType<typeof pendingNode>[];
    readonly paired: readonly ReturnType<typeof approvedNode>[];
  };
  approve(caller: Principal, requestId: string): Promise<Verdict<ReturnType<typeof approvedNode>>>;
  reject(caller: Principal, requestId: string): Promise<Verdict<{ readonly nodeId: string }>>;
  /** A device that is more than a node stays paired as that. */
  remove(caller: Principal, nodeId: string): Promise<Verdict<{ readonly nodeId: string }>>;
  rename(
    caller: Principal,
    nodeId: string,
    displayName: string,
  ): Promise<Verdict<{ readonly nodeId: string }>>;
}

export interface NodePairingPorts {
  readonly devices: Pick<Devices, "list" | "remove" | "rename" | "revoke">;
  readonly holds: (
    scopes: readonly string[],
    needed: "operator.pairing" | "operator.write" | "operator.admin",
  ) => boolean;
}

export function createNodePairing(
  ports: NodePairingPorts,
  surfaces: Surfaces,
  known: {
    readonly paired: () => readonly PairedDevice[];
    readonly find: (nodeId: string) => PairedDevice | undefined;
    readonly seen: (nodeId: string) => Seen | undefined;
  },
): NodePairing {
  const { devices } = ports;

  /** The device when this caller may manage it. */
  const managed = (caller: Principal, nodeId: string) =>
    devices.list(caller).paired.some((device) => device.deviceId === nodeId) ? known.find(nodeId) : undefined;

  const approvedView = (device: PairedDevice) =>
    approvedNode(device, surfaces.get(device.deviceId), known.seen(device.deviceId));

  return {
    pairList(caller) {
      const own = new Set(devices.list(caller).paired.map((device) => device.deviceId));
      const mine = known.paired().filter((device) => own.has(device.deviceId));
      return {
        pending: mine.flatMap((device) => {
          const node = surfaces.get(device.deviceId);
          return node?.pending ? [pendingNode(device, node, node.pending)] : [];
        }),
        paired: mine.filter((device) => surfaces.get(device.deviceId)?.approved).map(approvedView),
      };
    },
    async approve(caller, requestId) {
      const asked = surfaces.request(requestId);
      const device = asked && managed(caller, asked.node.nodeId);
      if (!asked || !device) return refuse("auth.pairing_request_unknown");
      const missing = approvalScopes(asked.pending.commands).find(
        (scope) => !ports.holds(caller.scopes, scope),
      );
      if (missing !== undefined) return refuse("auth.scope_missing", missing);
      const done = await surfaces.approve(requestId);
      return done ? admit(approvedView(device)) : refuse("auth.pairing_request_unknown");
    },
    async reject(caller, requestId) {
      const asked = surfaces.request(requestId);
      if (!asked || !managed(caller, asked.node.nodeId)) return refuse("auth.pairing_request_unknown");
      const done = await surfaces.reject(requestId);
      return done ? admit({ nodeId: done.nodeId }) : refuse("auth.pairing_request_unknown");
    },
    async remove(caller, nodeId) {
      const device = managed(caller, nodeId);
      if (!device) return refuse("auth.device_unknown");
      const done = device.roles.some((role) => role !== "node")
        ? await devices.revoke(caller, nodeId, "node")
        : await devices.remove(caller, nodeId);
      if (!done.ok) return done;
      await surfaces.keepOnly(known.paired().map(pairedSince));
      return admit({ nodeId });
    },
    async rename(caller, nodeId, displayName) {
      if (!managed(caller, nodeId)) return refuse("auth.device_unknown");
      const done = await devices.rename(caller, nodeId, displayName);
      return done.ok ? admit({ nodeId }) : done;
    },
  };
}

export function pairedSince(device: PairedDevice): { readonly nodeId: string; readonly pairedAtMs: number } {
  return { nodeId: device.deviceId, pairedAtMs: device.createdAtMs };
}
