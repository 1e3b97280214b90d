import { createDeviceAdministration, type DeviceAdministration } from "./device-administration.ts";
import { createDeviceDoor, type DeviceDoor } from "./device-door.ts";
import type { DeviceToken, PairedDevice } from "./device-records.ts";
import { openDeviceRegistry } from "./device-registry.ts";
import { createWaiting, type DevicesPorts } from "./device-waiting.ts";
import type { Role } from "./principal.ts";

/** The paired devices: their way in, and what operators do with them. */
export interface Devices extends DeviceDoor, DeviceAdministration {
  /** Every paired device, for the gateway itself: no caller is asked for. */
  paired(): readonly PairedDevice[];
  /** The valid token of the device in this role when `candidate` is it. Compares in constant time. */
  checkToken(deviceId: string, role: Role, candidate: string): DeviceToken | undefined;
  /** Looks at paired.json again; resolves when what it says counts. */
  reload(): Promise<void>;
  /** Writes what is not written yet, and stops watching the files. */
  close(): Promise<void>;
}

/** Reads both files; one that cannot be read is logged, and nobody is paired until it is mended. */
export async function openDevices(ports: DevicesPorts): Promise<Devices> {
  const registry = await openDeviceRegistry(ports);
  const waiting = createWaiting(ports, registry);
  return {
    ...createDeviceDoor(ports, registry, waiting),
    ...createDeviceAdministration(ports, registry, waiting),
    paired: registry.devices,
    checkToken: registry.checkToken,
    reload: registry.reload,
    async close() {
      waiting.close();
      await registry.close();
    },
  };
}
