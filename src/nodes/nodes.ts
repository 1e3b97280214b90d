import type { Devices, PairedDevice } from "../auth/mod.ts";
import type { Clock, Log, Random } from "../kernel/mod.ts";
import {
  commandAllowed,
  effectiveSurface,
  type NodeSettings,
  platformOf,
  policySurface,
} from "./command-policy.ts";
import {
  createInvocations,
  type Invocation,
  type Invocations,
  type InvokeOutcome,
  type NodeConnection,
} from "./invocations.ts";
import { type HostStats, type NodeReport, readNodeEvent } from "./node-events.ts";
import { createNodePairing, type NodePairing, type NodePairingPorts, pairedSince } from "./pairing.ts";
import { createPendingWork, type PendingWork } from "./pending-work.ts";
import { createRepeats } from "./repeats.ts";
import { openSurfaces, type SurfaceDecision, type SurfaceEvents, type SurfaceFile } from "./surfaces.ts";
import {
  type LiveNode,
  type NodeDeclaration,
  type NodeView,
  nodeView,
  pendingNode,
  type Seen,
} from "./view.ts";

/** Why a command was not sent to a node. */
export type NotSent =
  /** Not paired, or nothing of it is approved. */
  | { readonly why: "pairing-changed" }
  | { readonly why: "not-connected" }
  | { readonly why: "not-declared"; readonly platform: string; readonly command: string }
  | { readonly why: "not-allowed"; readonly platform: string; readonly command: string }
  | { readonly why: "not-approved"; readonly command: string }
  /** Policy, or whoever was asked, said no. */
  | { readonly why: "refused"; readonly reason: string; readonly message: string }
  | { readonly why: "conflict" }
  | { readonly why: "forgotten" };

export type Invoked =
  | { readonly sent: true; readonly outcome: InvokeOutcome }
  | ({ readonly sent: false } & NotSent);

/** The paired nodes: who is connected, what each may be asked for, and asking. */
export interface Nodes extends NodePairing {
  connected(connection: NodeConnection, declaration: NodeDeclaration, viaSetupCode: boolean): Promise<void>;
  /** Called for every connection that ends; others than nodes' are not known here. */
  disconnected(connectionId: string): void;
  /** The time of what the lists say. */
  now(): number;
  list(): readonly NodeView[];
  find(nodeId: string): NodeView | undefined;
  /** Why this node cannot be asked for this now; undefined when it can. */
  whyNot(nodeId: string, command: string): NotSent | undefined;
  /** Asks the node, once per idempotency key. */
  invoke(nodeId: string, invocation: Invocation): Promise<Invoked>;
  readonly answers: Pick<Invocations, "result" | "progress">;
  /** What it says is matched and noted, never believed. */
  report(
    connectionId: string,
    nodeId: string,
    event: string,
    payload: unknown,
    payloadJSON: string | undefined,
  ): NodeReport["kind"] | "unmatched" | "unapproved";
  isApproved(nodeId: string): boolean;
  readonly work: PendingWork;
  /** The config has changed: what it no longer allows ends, and what it now allows is asked for. */
  settingsChanged(): void;
  /** Devices were paired, removed or revoked. */
  devicesChanged(): void;
  /** Ends what these principals asked for. */
  cancelOf(isOver: (owner: string) => boolean): void;
  close(): Promise<void>;
}

export interface NodesPorts extends NodePairingPorts {
  readonly file: SurfaceFile;
  readonly devices: NodePairingPorts["devices"] & Pick<Devices, "paired">;
  readonly settings: () => NodeSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly requested: (pending: ReturnType<typeof pendingNode>) => void;
  readonly resolved: (nodeId: string, requestId: string, decision: SurfaceDecision) => void;
  readonly hostStats: (nodeId: string, stats: HostStats) => void;
}

export async function openNodes(ports: NodesPorts): Promise<Nodes> {
  const { clock, devices, log } = ports;
  /** The sockets of each node, the newest last: that one is asked. */
  const live = new Map<string, (LiveNode & { readonly connection: NodeConnection })[]>();
  const seen = new Map<string, Seen>();
  const hostStats = new Map<string, HostStats>();
  const invocations = createInvocations(ports);
  const work = createPendingWork(ports);
  const repeats = createRepeats<InvokeOutcome>({
    clock,
    sizeOf: (outcome) =>
      outcome.ok
        ? (outcome.payloadJSON?.length ?? 0)
        : outcome.dispatched
          ? outcome.message.length
          : undefined,
  });

  const pairedNodes = () => devices.paired().filter(isNode);
  const deviceOf = (nodeId: string) => pairedNodes().find((device) => device.deviceId === nodeId);
  const newest = (nodeId: string) => live.get(nodeId)?.at(-1);

  const events: SurfaceEvents = {
    requested(node, pending) {
      const device = deviceOf(node.nodeId);
      if (device) ports.requested(pendingNode(device, node, pending));
    },
    resolved(nodeId, requestId, decision) {
      const payload = { requestId, nodeId, decision, ts: clock.now() };
      for (const { connection } of live.get(nodeId) ?? []) connection.send("node.pair.resolved", payload);
      ports.resolved(nodeId, requestId, decision);
    },
    changed: (nodeId) => cancelRevoked(nodeId),
  };
  const surfaces = await openSurfaces({ ...ports, events });

  /** What the node may be asked for at this moment. */
  function effective(nodeId: string): readonly string[] {
    const device = deviceOf(nodeId);
    const now = newest(nodeId);
    if (!device || !now) return [];
    const declared = policySurface(now.declaration, platformOf(device.platform), ports.settings());
    return effectiveSurface(declared, surfaces.get(nodeId)?.approved).commands;
  }

  function cancelRevoked(nodeId: string): void {
    invocations.cancel((id, command) => id === nodeId && !effective(id).includes(command));
  }

  function whyNot(nodeId: string, command: string): NotSent | undefined {
    const device = deviceOf(nodeId);
    const approved = surfaces.get(nodeId)?.approved;
    if (!device || !approved) return { why: "pairing-changed" };
    const now = newest(nodeId);
    if (!now) return { why: "not-connected" };
    const platform = device.platform ?? "unknown";
    if (!now.declaration.commands.includes(command)) return { why: "not-declared", platform, command };
    if (!commandAllowed(command, platformOf(device.platform), ports.settings()))
      return { why: "not-allowed", platform, command };
    if (!effective(nodeId).includes(command)) return { why: "not-approved", command };
    return undefined;
  }

  async function declare(nodeId: string, viaSetupCode: boolean): Promise<void> {
    const device = deviceOf(nodeId);
    const now = newest(nodeId);
    if (!device || !now) return;
    const surface = policySurface(now.declaration, platformOf(device.platform), ports.settings());
    try {
      const node = { nodeId, pairedAtMs: device.createdAtMs };
      await surfaces.declare(node, surface, now.declaration.version, viaSetupCode);
    } catch (error) {
      log("error", "what a node can do could not be noted; nothing more of it is allowed", {
        nodeId,
        error: (error as Error).message,
      });
    }
  }

  function viewOf(device: PairedDevice): NodeView {
    const nodeId = device.deviceId;
    const lastSeen = seen.get(nodeId);
    const stats = hostStats.get(nodeId);
    return nodeView(device, surfaces.get(nodeId), newest(nodeId), {
      settings: ports.settings(),
      ...(lastSeen ? { seen: lastSeen } : {}),
      ...(stats ? { hostStats: stats } : {}),
    });
  }

  return {
    ...createNodePairing(ports, surfaces, {
      paired: pairedNodes,
      find: deviceOf,
      seen: (nodeId) => seen.get(nodeId),
    }),
    async connected(connection, declaration, viaSetupCode) {
      const { nodeId } = connection;
      const connectedAtMs = clock.now();
      live.set(nodeId, [...(live.get(nodeId) ?? []), { connection, declaration, connectedAtMs }]);
      seen.set(nodeId, { atMs: connectedAtMs, reason: "connect" });
      // A newer socket may declare less than the one that was asked until now.
      cancelRevoked(nodeId);
      await declare(nodeId, viaSetupCode);
    },
    disconnected(connectionId) {
      for (const [nodeId, sockets] of live) {
        if (!sockets.some(({ connection }) => connection.id === connectionId)) continue;
        const left = sockets.filter(({ connection }) => connection.id !== connectionId);
        if (left.length > 0) live.set(nodeId, left);
        else live.delete(nodeId);
        seen.set(nodeId, { atMs: clock.now(), reason: "disconnect" });
        invocations.connectionLost(connectionId);
        return;
      }
    },
    now: clock.now,
    list: () => pairedNodes().map(viewOf),
    find(nodeId) {
      const device = deviceOf(nodeId);
      return device && viewOf(device);
    },
    whyNot,
    async invoke(nodeId, invocation) {
      const { command, idempotencyKey, owner, paramsJSON = "" } = invocation;
      const refused = whyNot(nodeId, command);
      if (refused) return { sent: false, ...refused };
      const outcome = await repeats.once(
        JSON.stringify([owner, nodeId, idempotencyKey]),
        JSON.stringify([command, paramsJSON]),
        () => {
          const now = newest(nodeId);
          return now
            ? invocations.start(now.connection, invocation)
            : Promise.resolve({
                ok: false,
                code: "NOT_CONNECTED",
                message: "node not connected",
                dispatched: false,
              });
        },
      );
      return typeof outcome === "string" ? { sent: false, why: outcome } : { sent: true, outcome };
    },
    answers: invocations,
    report(connectionId, nodeId, event, payload, payloadJSON) {
      if (!surfaces.get(nodeId)?.approved) return "unapproved";
      const report = readNodeEvent(event, payload, payloadJSON);
      switch (report.kind) {
        case "stats": {
          const stats = { ...report.stats, updatedAtMs: clock.now() };
          hostStats.set(nodeId, stats);
          ports.hostStats(nodeId, stats);
          break;
        }
        case "alive":
          seen.set(nodeId, { atMs: clock.now(), reason: report.trigger });
          break;
        case "exec":
          if (!invocations.isRunning(connectionId, report.runId, report.sessionKey)) return "unmatched";
          break;
      }
      return report.kind;
    },
    isApproved: (nodeId) => deviceOf(nodeId) !== undefined && surfaces.get(nodeId)?.approved !== undefined,
    work,
    settingsChanged() {
      for (const nodeId of live.keys()) {
        cancelRevoked(nodeId);
        void declare(nodeId, false);
      }
    },
    devicesChanged() {
      const paired = pairedNodes();
      const ids = new Set(paired.map((device) => device.deviceId));
      for (const map of [seen, hostStats]) for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
      for (const node of surfaces.all()) if (!ids.has(node.nodeId)) work.forget(node.nodeId);
      void surfaces.keepOnly(paired.map(pairedSince)).catch((error: Error) =>
        log("error", "nodes that are no longer paired could not be taken out of nodes/surfaces.json", {
          error: error.message,
        }),
      );
    },
    cancelOf: (isOver) => invocations.cancel((_nodeId, _command, owner) => isOver(owner)),
    close: surfaces.close,
  };
}

function isNode(device: PairedDevice): boolean {
  const token = device.tokens.find((item) => item.role === "node");
  return device.roles.includes("node") && token !== undefined && token.revokedAtMs === undefined;
}
