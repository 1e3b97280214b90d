import { networkInterfaces } from "node:os";
import { join } from "node:path";
import {
  createSetupCodes,
  type Devices,
  gatewayIdentity,
  openDevices,
  type PairingSettings,
  type SetupCodes,
} from "../auth/mod.ts";
import { type DeviceControlParts, type Hub, pendingInfo } from "../control/mod.ts";
import {
  type Clock,
  type Commit,
  InputError,
  type Json,
  type Log,
  type Random,
  Secret,
  token,
  type Write,
} from "../kernel/mod.ts";
import type { NetworkSettings } from "../network/mod.ts";
import { openDeviceFiles } from "../nodes/mod.ts";
import { readJsonFile, writeJsonFile } from "../store/mod.ts";

export interface ComposedDevices {
  readonly devices: Devices;
  readonly setupCodes: SetupCodes;
  readonly control: DeviceControlParts;
}

/** The paired devices of one state folder, with their files, their record and their events. */
export async function composeDevices(parts: {
  readonly stateFolder: string;
  readonly meta: { get(key: string): string | undefined; put(key: string, value: string): Write };
  readonly commit: Commit;
  readonly record: (row: {
    readonly action: string;
    readonly actor: string;
    readonly facts: Readonly<Record<string, Json>>;
  }) => Write;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly hub: Hub;
  readonly settings: () => PairingSettings;
  readonly authMode: DeviceControlParts["authMode"];
  /** Ends the device's connections. */
  readonly endConnections: (deviceId: string) => void;
  /** Stops what this principal started. */
  readonly cancelRunsOf: (principalId: string) => void;
  readonly gatewayUrl: DeviceControlParts["gatewayUrl"];
  /** A device was paired, removed, or lost or got a right. */
  readonly devicesChanged: () => void;
}): Promise<ComposedDevices> {
  const { clock, random, log, hub, commit, meta } = parts;
  let key = meta.get("installationKey");
  if (key === undefined) {
    key = token(random);
    await commit([meta.put("installationKey", key)]);
  }
  const installationKey = new Secret(key);
  const setupCodes = createSetupCodes({ clock, random });
  const devices = await openDevices({
    files: openDeviceFiles({
      folder: join(parts.stateFolder, "nodes"),
      readJson: readJsonFile,
      writeJson: writeJsonFile,
      clock,
    }),
    clock,
    random,
    log,
    tokenKey: installationKey,
    settings: parts.settings,
    setupCodes,
    isConnected(deviceId) {
      for (const { principal } of hub.all()) if (principal.deviceId === deviceId) return true;
      return false;
    },
    record: (action, deviceId, facts) =>
      commit([parts.record({ action, actor: `device:${deviceId}`, facts })]),
    ended(deviceId, cancelRuns) {
      parts.endConnections(deviceId);
      if (cancelRuns) parts.cancelRunsOf(`device:${deviceId}`);
    },
    changed(event) {
      if (event.kind === "changed") {
        parts.devicesChanged();
        const audience = { kind: "devicePairing", deviceId: event.deviceId } as const;
        return hub.send("device.pair.changed", audience, {});
      }
      const { request } = event;
      const audience = { kind: "devicePairing", deviceId: request.deviceId } as const;
      if (event.kind === "requested")
        return hub.send("device.pair.requested", audience, pendingInfo(request));
      // The wire knows no third decision: a request that expired was not approved.
      const decision = event.decision === "approved" ? "approved" : "rejected";
      const { requestId, deviceId } = request;
      hub.send("device.pair.resolved", audience, { requestId, deviceId, decision, ts: clock.now() });
    },
    setupCompleted: (completion) =>
      hub.send(
        "device.pair.setup.completed",
        { kind: "devicePairing", deviceId: completion.deviceId },
        completion,
      ),
  });
  return {
    devices,
    setupCodes,
    control: {
      devices,
      setupCodes,
      identity: () => gatewayIdentity(installationKey),
      gatewayUrl: parts.gatewayUrl,
      authMode: parts.authMode,
    },
  };
}

/** Where a device that is set up by a code finds this gateway. */
export function setupUrl(
  publicUrl: string | undefined,
  publicOrigin: string | undefined,
  /** This gateway's address in the own network, when it listens there. */
  ownUrl: string | undefined,
): { readonly url: string; readonly source: string } {
  const given = publicUrl ?? publicOrigin;
  if (given !== undefined) {
    const url = URL.canParse(given) ? new URL(given) : undefined;
    const scheme = url && { "ws:": "ws:", "wss:": "wss:", "http:": "ws:", "https:": "wss:" }[url.protocol];
    if (!url || !scheme || url.username !== "" || url.password !== "")
      throw new InputError("publicUrl is no gateway address; it looks like wss://gateway.example");
    // Over plain ws:// everybody on the way could read the code, and the tokens that it is exchanged for.
    if (scheme === "ws:" && !isPrivateHost(url.hostname))
      throw new InputError("publicUrl must be wss:// (or https://) beyond the own network");
    return {
      url: `${scheme}//${url.host}${url.pathname === "/" ? "" : url.pathname}`,
      source: publicUrl === undefined ? "gateway.publicOrigin" : "publicUrl",
    };
  }
  if (ownUrl === undefined)
    throw new InputError(
      "Gateway is only bound to loopback. Set gateway.bind=lan, enable tailscale serve, or configure plugins.entries.device-pair.config.publicUrl.",
    );
  return { url: ownUrl, source: "gateway.bind" };
}

/** Where others in the own network reach this gateway; undefined when nothing listens beyond loopback. */
export function ownUrl(network: NetworkSettings, port: number): string | undefined {
  const isOwn = (host: string) => !host.startsWith("127.") && host !== "::1";
  const host = network.hosts.find((item) => isOwn(item) && item !== "0.0.0.0");
  const machine = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const any = machine.find((address) => address.family === "IPv4" && !address.internal)?.address;
  const address = host ?? (network.hosts.includes("0.0.0.0") ? any : undefined);
  return address === undefined ? undefined : `${network.tls ? "wss" : "ws"}://${address}:${port}`;
}

function isPrivateHost(name: string): boolean {
  return (
    /^(?:127|10)(?:\.\d{1,3}){3}$|^192\.168(?:\.\d{1,3}){2}$|^172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}$/.test(
      name,
    ) ||
    /^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d{1,3}){2}$/.test(name) ||
    name === "localhost" ||
    name === "[::1]" ||
    /\.(?:local|ts\.net)$/.test(name)
  );
}
