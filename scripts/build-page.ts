/** Builds the web page into dist/ui. `--if-needed` does nothing when it is newer than all that it is made of. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";

const root = join(import.meta.dirname, "..");

function newest(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const sources = ["ui/src", "ui/index.html", "ui/vite.config.ts", "src/control/protocol.ts", "package.json"];
const built = statSync(join(root, "dist", "ui", "index.html"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (
  process.argv.includes("--if-needed") &&
  built > Math.max(...sources.map((name) => newest(join(root, name))))
) {
  process.exit(0);
}
await build({ configFile: join(root, "ui", "vite.config.ts"), logLevel: "warn" });
