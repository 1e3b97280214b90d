import type { DeviceAsk } from "../../src/auth/device-pairing.ts";
import type { DeviceEvent } from "../../src/auth/device-registry.ts";
import { openDevices } from "../../src/auth/devices.ts";
import { makePrincipal } from "../../src/auth/principal.ts";
import { createSetupCodes } from "../../src/auth/setup-codes.ts";
import { type Clock, Secret, systemRandom } from "../../src/kernel/mod.ts";

export const admin = makePrincipal("operator", ["operator.admin"], "token");
export const idOf = (letter: string) => letter.repeat(64);

export function askOf(change: Partial<DeviceAsk> = {}): DeviceAsk {
  return {
    deviceId: idOf("a"),
    publicKey: "key-a",
    role: "operator",
    scopes: ["operator.read"],
    platform: "linux",
    clientId: "cli",
    clientMode: "cli",
    credential: "shared",
    address: "127.0.0.1",
    isLoopback: true,
    isLocal: true,
    isProxied: false,
    fromBrowser: false,
    ...change,
  };
}

export const remote = { isLocal: false, isLoopback: false, address: "192.168.1.7" };

/** Time that stands until the test moves it. */
export function handClock() {
  let nowMs = 1_000_000;
  const timers = new Set<{ readonly atMs: number; readonly action: () => void }>();
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(delayMs, action) {
      const timer = { atMs: nowMs + delayMs, action };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const forward = (ms: number) => {
    nowMs += ms;
    for (const timer of [...timers]) {
      if (timer.atMs > nowMs) continue;
      timers.delete(timer);
      timer.action();
    }
  };
  return { clock, forward };
}

/** The devices of a gateway whose files, clock and connections are the test's own. */
export async function setUpDevices(files: { paired?: unknown; pending?: unknown } = {}) {
  const { clock, forward } = handClock();
  const disk = { paired: files.paired, pending: files.pending, failsToWrite: false, writes: 0 };
  const events: DeviceEvent[] = [];
  const ended: string[] = [];
  const logged: string[] = [];
  const recorded: string[] = [];
  const connected = new Set<string>();
  const setupCodes = createSetupCodes({ clock, random: systemRandom });
  const read = (value: unknown) => {
    if (value instanceof Error) throw value;
    return value === undefined ? undefined : structuredClone(value);
  };
  const open = () =>
    openDevices({
      files: {
        readPaired: async () => read(disk.paired),
        async writePaired(value) {
          if (disk.failsToWrite) throw new Error("disk full");
          disk.paired = structuredClone(value);
          disk.writes += 1;
        },
        readPending: async () => read(disk.pending),
        async writePending(value) {
          disk.pending = structuredClone(value);
        },
        watch: () => () => {},
      },
      clock,
      random: systemRandom,
      log: (_level, message) => void logged.push(message),
      tokenKey: new Secret("installation"),
      ended: (deviceId, cancelRuns) => void ended.push(`${deviceId[0]}${cancelRuns ? " and its runs" : ""}`),
      changed: (event) => void events.push(event),
      settings: () => ({ autoApproveLocal: true, isTrustedAddress: () => false }),
      setupCodes,
      isConnected: (deviceId) => connected.has(deviceId),
      record: async (action) => void recorded.push(action),
      setupCompleted: () => {},
    });
  const devices = await open();
  return { devices, open, forward, disk, events, ended, logged, recorded, connected, setupCodes };
}

/** A device that signed in with its own token. */
export const own = (letter: string, scopes: readonly string[] = ["operator.read"]) =>
  makePrincipal(`device:${idOf(letter)}`, scopes, "device-token", { deviceId: idOf(letter) });
