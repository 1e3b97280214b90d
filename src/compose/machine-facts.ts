import { arch, cpus, freemem, hostname, loadavg, platform, release, totalmem, type } from "node:os";
import type { ControlParts } from "../control/mod.ts";

/** What machine this is, for operators who may read. */
export function machineFacts(own: {
  readonly pid: number;
  readonly nodeVersion: string;
  readonly port: () => number;
}): ControlParts["machine"] {
  return () => {
    const [cpu] = cpus();
    return {
      machineName: hostname(),
      hostname: hostname(),
      platform: platform(),
      release: release(),
      arch: arch(),
      osLabel: `${type()} ${release()}`,
      nodeVersion: own.nodeVersion,
      pid: own.pid,
      port: own.port(),
      cpuCount: cpus().length,
      ...(cpu ? { cpuModel: cpu.model } : {}),
      loadAverage: loadavg(),
      memoryTotalBytes: totalmem(),
      memoryFreeBytes: freemem(),
    };
  };
}
