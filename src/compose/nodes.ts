import { join } from "node:path";
import { type Devices, holds } from "../auth/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import {
  type ConnectParams,
  type Hub,
  type Method,
  type NodeCommandPort,
  nodeApprovalMethods,
  nodeMethods,
  nodeSideMethods,
  type Subscriber,
} from "../control/mod.ts";
import { type Clock, type Log, type Random, uuid } from "../kernel/mod.ts";
import { type Nodes, nodeSettings, openNodes, openSurfaceFile } from "../nodes/mod.ts";
import { readJsonFile, writeJsonFile } from "../store/mod.ts";

export interface ComposedNodes {
  readonly nodes: Nodes;
  /** Rows of the method table. */
  methods(commands: NodeCommandPort): readonly Method[];
  came(node: Subscriber, declared: ConnectParams): void;
  went(node: Subscriber): void;
}

/** The paired nodes of one state folder, with their file and their events. */
export async function composeNodes(parts: {
  readonly stateFolder: string;
  readonly config: () => OpenClawConfig;
  readonly devices: Devices;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): Promise<ComposedNodes> {
  const { clock, random, log, hub } = parts;
  const nodes = await openNodes({
    file: openSurfaceFile({
      folder: join(parts.stateFolder, "nodes"),
      readJson: readJsonFile,
      writeJson: writeJsonFile,
      clock,
    }),
    devices: parts.devices,
    settings: () => nodeSettings(parts.config()),
    holds,
    clock,
    random,
    log,
    requested: (pending) =>
      hub.send("node.pair.requested", { kind: "devicePairing", deviceId: pending.nodeId }, pending),
    resolved: (nodeId, requestId, decision) =>
      hub.send(
        "node.pair.resolved",
        { kind: "devicePairing", deviceId: nodeId },
        { requestId, nodeId, decision, ts: clock.now() },
      ),
    hostStats: (nodeId, hostStats) => hub.send("node.hostStats", { kind: "readers" }, { nodeId, hostStats }),
  });
  // What was paired when this gateway last ran may be gone.
  nodes.devicesChanged();
  return {
    nodes,
    methods: (commands) => [
      ...nodeMethods({ nodes, commands }),
      ...nodeSideMethods({ nodes }),
      ...nodeApprovalMethods({ nodes, newKey: () => uuid(random) }),
    ],
    came(node, declared) {
      const { principal } = node;
      if (principal.deviceId === undefined) return;
      const connection = {
        id: node.id,
        nodeId: principal.deviceId,
        // For this socket alone, so without a number.
        send: (event: string, payload: unknown) =>
          node.socket.send(JSON.stringify({ type: "event", event, payload })),
      };
      const { caps = [], commands = [], permissions = {}, pathEnv } = declared;
      const { version } = declared.client;
      void nodes.connected(
        connection,
        { caps, commands, permissions, version, ...(pathEnv === undefined ? {} : { pathEnv }) },
        principal.method === "bootstrap-token",
      );
    },
    went: (node) => nodes.disconnected(node.id),
  };
}
