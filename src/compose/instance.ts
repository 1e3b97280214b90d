import { join } from "node:path";
import { InputError } from "../kernel/mod.ts";
import { type InstanceLock, takeInstanceLock } from "../store/mod.ts";

/** One gateway per state folder; throws an InputError that names the one that has it. */
export function takeStateFolder(stateFolder: string, pid: number, port: number, nowMs: number): InstanceLock {
  const startedAt = new Date(nowMs).toISOString();
  const taken = takeInstanceLock(join(stateFolder, "state"), { pid, port, startedAt });
  if (!("heldBy" in taken)) return taken;
  const { heldBy } = taken;
  const who = heldBy ? ` (pid ${heldBy.pid}, port ${heldBy.port}, since ${heldBy.startedAt})` : "";
  throw new InputError(
    `a gateway is already running on ${stateFolder}${who}. Stop it first, or use another OPENCLAW_STATE_DIR.`,
  );
}
