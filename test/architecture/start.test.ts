/** What a start loads: the modules that `serve` reaches by imports that are not put off. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { test } from "node:test";
import { importsOf } from "./rules.ts";

const root = join(import.meta.dirname, "../..");

function loadedBy(entry: string, read: (path: string) => string): string[] {
  const loaded = new Set<string>();
  const open = [entry];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (loaded.has(path)) continue;
    loaded.add(path);
    for (const { specifier, typeOnly, isDynamic } of importsOf({ path, text: read(path) }))
      if (!typeOnly && !isDynamic && specifier.startsWith("."))
        open.push(posix.join(posix.dirname(path), specifier));
  }
  return [...loaded];
}

/** Loaded with the first command, call, message of a platform, or model. */
const later = /^src\/(?:sandbox|shell|tools|providers|channels|cli)\/(?!settings\.ts)/;
/** Names, settings and tables, without what they stand for. */
const early = [
  ...["src/channels/mod.ts", "src/channels/secret-file.ts", "src/providers/mod.ts", "src/providers/known.ts"],
  ...["src/sandbox/node.ts", "src/sandbox/egress-settings.ts", "src/sandbox/byte-size.ts"],
];

test("house: the gateway's start loads no sandbox, tool, provider or channel (ready in a quarter of a second, 90 MB)", () => {
  const loaded = loadedBy("src/serve.ts", (path) => readFileSync(join(root, path), "utf8"));
  assert.ok(loaded.length > 100, "imports are found");
  assert.deepEqual(
    loaded.filter((path) => later.test(path) && !early.includes(path)),
    [],
  );
});

test("house: what is loaded early is seen behind other files, and what is put off is not", () => {
  const files: Readonly<Record<string, string>> = {
    "src/serve.ts":
      'import { a } from "./compose/a.ts";\nimport type { B } from "./sandbox/b.ts";\nconst c = () => import("./tools/c.ts");',
    "src/compose/a.ts": 'export { d } from "../sandbox/mod.ts";',
    "src/sandbox/mod.ts": "",
  };
  assert.deepEqual(
    loadedBy("src/serve.ts", (path) => files[path] ?? assert.fail(path)),
    ["src/serve.ts", "src/compose/a.ts", "src/sandbox/mod.ts"],
  );
});
