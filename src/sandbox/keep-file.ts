import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Sandboxes that run already read the same file: it is written only where it is not what it should be. */
export function keepFile(path: string, content: Buffer): void {
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  rmSync(path, { force: true });
  writeFileSync(path, content, { mode: 0o600, flag: "wx" });
}
