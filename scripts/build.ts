/**
 * Bundles the program into dist/, split by command, so that it starts in a fraction of the time that reading the
 * sources takes. `--if-needed` does nothing when dist/ is newer than every source.
 */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const stamp = join(root, "dist", "built");

/** Newest change below a path, in ms. */
function newest(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const sources = ["src", "hidden-environment.mjs", "package.json", "scripts/build.ts"].map((name) =>
  join(root, name),
);
const built = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (process.argv.includes("--if-needed") && built > Math.max(...sources.map(newest))) process.exit(0);

// A gateway that runs may still ask for chunks of the build before: names carry a hash of the content, so old and new
// ones stand side by side, and only what is older than two days goes.
const chunks = join(root, "dist", "chunks");
mkdirSync(chunks, { recursive: true });
for (const name of readdirSync(chunks)) {
  const file = join(chunks, name);
  if (statSync(file).mtimeMs < Date.now() - 2 * 86_400_000) rmSync(file);
}

await build({
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  chunkNames: "chunks/[name]-[hash]",
  legalComments: "none",
  sourcemap: false,
  minifySyntax: true,
  minifyWhitespace: true,
  // CommonJS packages in the bundle expect a `require`.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  // Optional speed-ups of ws that are not installed; it looks for them and goes on without.
  external: ["bufferutil", "utf-8-validate"],
  logLevel: "warning",
});
writeFileSync(stamp, "");
