import { createHash } from "node:crypto";

/** Begins the mark of every process that the gateways of this state folder start. `stateDir` is absolute. */
export function stateMark(stateDir: string): string {
  return createHash("sha256").update(stateDir).digest("hex").slice(0, 16);
}

/** The mark of a gateway's helper programs. `instance` tells this gateway from those before it. */
export function helperMark(stateDir: string, instance: string): string {
  return `${stateMark(stateDir)}.${instance}.helper`;
}
