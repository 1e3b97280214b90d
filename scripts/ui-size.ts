import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/**
 * Prints what a browser loads for the first view of the page and fails when it is over the budget.
 * Run after the page is built: `node scripts/ui-size.ts [folder]`.
 */
const budgetBytes = 60 * 1024;
const folder = process.argv[2] ?? join(import.meta.dirname, "../dist/ui");

interface Chunk {
  readonly file: string;
  readonly css?: readonly string[];
  readonly imports?: readonly string[];
}

function firstViewFiles(manifest: Readonly<Record<string, Chunk>>): string[] {
  const files = new Set<string>(["index.html"]);
  const visited = new Set<string>();
  const visit = (name: string): void => {
    const chunk = manifest[name];
    if (!chunk || visited.has(name)) return;
    visited.add(name);
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
    for (const other of chunk.imports ?? []) visit(other);
  };
  visit("index.html");
  return [...files];
}

function zippedBytes(file: string): number {
  return gzipSync(readFileSync(join(folder, file)), { level: 9 }).length;
}

const manifest: Record<string, Chunk> = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
let totalBytes = 0;
for (const file of firstViewFiles(manifest)) {
  const bytes = zippedBytes(file);
  totalBytes += bytes;
  console.log(`${String(bytes).padStart(7)}  ${file}`);
}
console.log(`${String(totalBytes).padStart(7)}  first view, gzip; budget ${budgetBytes}`);
if (totalBytes > budgetBytes) {
  console.error("The first view is over its budget. Load what is not needed at once with import().");
  process.exitCode = 1;
}
