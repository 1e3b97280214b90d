import { createHmac, hash, timingSafeEqual } from "node:crypto";
import { type Cancel, type Clock, InputError, type Log, type Random, Secret, token } from "../kernel/mod.ts";
import {
  type DeviceToken,
  type PairedDevice,
  type PendingPairing,
  parsePaired,
  parsePending,
  tokenOf,
} from "./device-records.ts";
import type { Role } from "./principal.ts";

/** nodes/paired.json and nodes/pending.json. A read gives the parsed JSON, undefined when there is no file. */
export interface DeviceFiles {
  readPaired(): Promise<unknown>;
  writePaired(value: unknown): Promise<void>;
  readPending(): Promise<unknown>;
  writePending(value: unknown): Promise<void>;
  /** Calls back soon after paired.json may have changed. */
  watch(changed: () => void): Cancel;
}

export interface DevicePorts {
  readonly files: DeviceFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Device tokens are made from it; whoever has it and paired.json can sign in as any device. */
  readonly tokenKey: Secret;
  /** The device lost a right: its connections end, and what they started stops when `cancelRuns` says so. */
  readonly ended: (deviceId: string, cancelRuns: boolean) => void;
  readonly changed: (event: DeviceEvent) => void;
}

export type DeviceEvent =
  | { readonly kind: "requested"; readonly request: PendingPairing }
  | {
      readonly kind: "resolved";
      readonly request: PendingPairing;
      readonly decision: PairingDecision;
    }
  | { readonly kind: "changed"; readonly deviceId: string };
export type PairingDecision = "approved" | "rejected" | "expired";

/** What a change may touch. Nothing of it counts, and nothing is told, before the files are written. */
export interface Draft {
  device(deviceId: string): PairedDevice | undefined;
  devices(): readonly PairedDevice[];
  put(device: PairedDevice): void;
  drop(deviceId: string): void;
  request(requestId: string): PendingPairing | undefined;
  requestOf(deviceId: string): PendingPairing | undefined;
  putRequest(request: PendingPairing): void;
  dropRequest(requestId: string): void;
  readonly requestCount: number;
  /** Runs once the change is on disk. */
  afterwards(action: () => void): void;
}

export interface IssuedToken {
  readonly role: Role;
  readonly token: Secret;
  readonly scopes: readonly string[];
  readonly issuedAtMs: number;
}

/** Which devices are paired and which wait: the files are the truth, memory mirrors them. */
export interface DeviceRegistry {
  device(deviceId: string): PairedDevice | undefined;
  devices(): readonly PairedDevice[];
  requests(): readonly PendingPairing[];
  /**
   * Makes one change at a time, on what the file says now, so that an operator's edit is never overwritten. Throws an
   * InputError when paired.json cannot be read: nobody is paired then, and nobody can be.
   */
  change<T>(action: (draft: Draft) => T | Promise<T>): Promise<T>;
  /** The valid token of the device in this role when `candidate` is it. Compares in constant time. */
  checkToken(deviceId: string, role: Role, candidate: string): DeviceToken | undefined;
  newToken(deviceId: string, role: Role): { readonly generation: string; readonly hash: string };
  /** The token to hand out to the device itself; the same one until it is rotated. */
  reveal(deviceId: string, role: Role): Omit<IssuedToken, "role"> | undefined;
  /** Notes that the device is here. Written some time later. */
  seen(deviceId: string, role: Role, usedToken: boolean): void;
  /** Looks at paired.json again; resolves when what it says counts. */
  reload(): Promise<void>;
  /** Writes what is not written yet, and stops watching. */
  close(): Promise<void>;
}

// A sync of the disk for every connection would make connecting as slow as the disk.
const seenDelayMs = 30_000;

export async function openDeviceRegistry(ports: DevicePorts): Promise<DeviceRegistry> {
  const { clock, files, log } = ports;
  let paired = new Map<string, PairedDevice>();
  let pending = new Map<string, PendingPairing>();
  let unreadable: string | undefined;
  let working: Promise<unknown> = Promise.resolve();
  let cancelFlush: Cancel | undefined;
  /** Times that are not in the file yet. */
  const seenAt = new Map<string, { readonly atMs: number; readonly tokens: ReadonlyMap<Role, number> }>();

  function serial<T>(action: () => Promise<T>): Promise<T> {
    const next = working.then(action, action);
    working = next.catch(() => {});
    return next;
  }

  /** Takes over what the file says; ends the connections of whoever lost something by it. */
  async function takeOver(): Promise<void> {
    let found: Map<string, PairedDevice>;
    try {
      found = parsePaired(await files.readPaired());
      unreadable = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== unreadable)
        log("error", "nobody is paired: nodes/paired.json cannot be read; mend or remove it", {
          error: message,
        });
      unreadable = message;
      found = new Map();
    }
    const before = paired;
    paired = found;
    for (const device of before.values()) {
      if (rightsOf(found.get(device.deviceId)) === rightsOf(device)) continue;
      log("warn", "a device's entry in nodes/paired.json was changed; its connections end", {
        deviceId: device.deviceId,
      });
      lose(device.deviceId, true);
      ports.changed({ kind: "changed", deviceId: device.deviceId });
    }
  }

  function lose(deviceId: string, cancelRuns: boolean): void {
    if (!paired.has(deviceId)) seenAt.delete(deviceId);
    ports.ended(deviceId, cancelRuns);
  }

  async function change<T>(action: (draft: Draft) => T | Promise<T>): Promise<T> {
    return serial(async () => {
      await takeOver();
      if (unreadable !== undefined) throw new InputError(`nodes/paired.json: ${unreadable}`);
      const devices = new Map(paired);
      const requests = new Map(pending);
      const later: (() => void)[] = [];
      const touched = { devices: false, requests: false };
      const result = await action({
        device: (deviceId) => devices.get(deviceId),
        devices: () => [...devices.values()],
        put(device) {
          devices.set(device.deviceId, device);
          touched.devices = true;
        },
        drop(deviceId) {
          devices.delete(deviceId);
          touched.devices = true;
          later.push(() => seenAt.delete(deviceId));
        },
        request: (requestId) => requests.get(requestId),
        requestOf: (deviceId) => [...requests.values()].find((item) => item.deviceId === deviceId),
        putRequest(request) {
          requests.set(request.requestId, request);
          touched.requests = true;
        },
        dropRequest(requestId) {
          requests.delete(requestId);
          touched.requests = true;
        },
        get requestCount() {
          return requests.size;
        },
        afterwards: (step) => void later.push(step),
      });
      // Devices first: a crash in between leaves a request that asks for what is granted already.
      if (touched.devices) {
        await files.writePaired(document(devices));
        paired = devices;
      }
      if (touched.requests) {
        await files.writePending({ version: 1, requests: [...requests.values()] });
        pending = requests;
      }
      for (const step of later) step();
      return result;
    });
  }

  /** As it is written: with the times of those who were seen since. */
  function document(devices: ReadonlyMap<string, PairedDevice>): unknown {
    return { version: 1, devices: [...devices.values()].map(timed) };
  }

  function timed(device: PairedDevice): PairedDevice {
    const seen = seenAt.get(device.deviceId);
    if (!seen) return device;
    const tokens = device.tokens.map((item) => {
      const usedAt = seen.tokens.get(item.role);
      return usedAt === undefined ? item : { ...item, lastUsedAtMs: usedAt };
    });
    return { ...device, lastSeenAtMs: seen.atMs, tokens };
  }

  function derive(deviceId: string, role: Role, generation: string): string {
    return createHmac("sha256", ports.tokenKey.reveal())
      .update(`device-token|${deviceId}|${role}|${generation}`)
      .digest("base64url");
  }

  const flush = () =>
    change((draft) => {
      for (const deviceId of seenAt.keys()) {
        const device = draft.device(deviceId);
        if (device) draft.put(timed(device));
      }
    }).catch((error: Error) =>
      log("warn", "when devices were seen could not be written", { error: error.message }),
    );

  pending = await files
    .readPending()
    .then(parsePending)
    .catch((error: Error) => {
      log("error", "nodes/pending.json cannot be read; requests to pair start over", {
        error: error.message,
      });
      return new Map<string, PendingPairing>();
    });
  await takeOver();
  const unwatch = files.watch(() => void serial(takeOver));

  return {
    device(deviceId) {
      const device = paired.get(deviceId);
      return device && timed(device);
    },
    devices: () => [...paired.values()].map(timed),
    requests: () => [...pending.values()],
    change,
    checkToken(deviceId, role, candidate) {
      const item = tokenOf(paired.get(deviceId), role);
      const given = hash("sha256", candidate, "buffer");
      // Compared with something in any case, so that the time tells nothing about which devices there are.
      const expected = item ? Buffer.from(item.hash, "hex") : Buffer.alloc(32);
      const same = timingSafeEqual(given, expected);
      return same && item && item.revokedAtMs === undefined ? item : undefined;
    },
    newToken(deviceId, role) {
      const generation = token(ports.random, 12);
      return { generation, hash: hash("sha256", derive(deviceId, role, generation)) };
    },
    reveal(deviceId, role) {
      const item = tokenOf(paired.get(deviceId), role);
      if (!item || item.revokedAtMs !== undefined) return undefined;
      const value = derive(deviceId, role, item.generation);
      // Another key made it (a restored database): what we would hand out is not what we would accept.
      if (hash("sha256", value) !== item.hash) return undefined;
      return {
        token: new Secret(value),
        scopes: item.scopes,
        issuedAtMs: item.rotatedAtMs ?? item.createdAtMs,
      };
    },
    seen(deviceId, role, usedToken) {
      const atMs = clock.now();
      const tokens = new Map(seenAt.get(deviceId)?.tokens);
      if (usedToken) tokens.set(role, atMs);
      seenAt.set(deviceId, { atMs, tokens });
      cancelFlush ??= clock.after(seenDelayMs, () => {
        cancelFlush = undefined;
        void flush();
      });
    },
    reload: () => serial(takeOver),
    async close() {
      unwatch();
      if (cancelFlush) {
        cancelFlush();
        cancelFlush = undefined;
        await flush();
      }
      await working;
    },
  };
}

/** What of an entry gives rights, in one spelling: when a hand changes any of it, old connections must not go on. */
function rightsOf(device: PairedDevice | undefined): string {
  if (!device) return "";
  const tokens = device.tokens.map((item) => [item.role, item.hash, item.scopes, item.revokedAtMs ?? 0]);
  const { publicKey, roles, scopes, operatorRole = "", platform } = device;
  return JSON.stringify([publicKey, roles, scopes, operatorRole, platform, tokens]);
}
