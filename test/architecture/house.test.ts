import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Rule, rules, type SourceFile } from "./rules.ts";

const root = join(import.meta.dirname, "../..");

const files: SourceFile[] = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => {
    const path = `src/${name.replaceAll("\\", "/")}`;
    return { path, text: readFileSync(join(root, path), "utf8") };
  });

for (const rule of rules) {
  test(`house: ${rule.name} (${rule.why})`, () => {
    const broken = files.flatMap((file) => rule.check(file).map((what) => `${file.path} ${what}`));
    assert.deepEqual(broken, []);
  });
}

/** A violation of each rule, which must be found; and the lawful neighbour, which must not. */
const planted: Readonly<Record<string, readonly [wrong: SourceFile, right: SourceFile]>> = {
  "maps are not imported": [
    { path: "src/access/x.ts", text: 'import { createGateway } from "../gateway.ts";' },
    { path: "src/compose/message-path.ts", text: 'import { createGateway } from "../gateway.ts";' },
  ],
  "values come from the kernel and the own folder": [
    { path: "src/access/x.ts", text: 'import { holds } from "../auth/mod.ts";' },
    {
      path: "src/access/x.ts",
      text: 'import { refuse } from "../kernel/mod.ts";\nimport type { Arrival } from "../network/mod.ts";',
    },
  ],
  "types come from stages before": [
    { path: "src/access/x.ts", text: 'import type { Permit } from "../policy/mod.ts";' },
    { path: "src/policy/x.ts", text: 'import type { Admitted } from "../access/mod.ts";' },
  ],
  "across folders only mod.ts": [
    { path: "src/policy/x.ts", text: 'import type { Lockout } from "../auth/lockout.ts";' },
    { path: "src/policy/x.ts", text: 'import type { Lockout } from "../auth/mod.ts";' },
  ],
  "commands start in the sandbox": [
    { path: "src/tools/x.ts", text: 'import { spawn } from "node:child_process";' },
    { path: "src/sandbox/x.ts", text: 'import { spawn } from "node:child_process";' },
  ],
  "SQL stands in the store": [
    { path: "src/audit/x.ts", text: 'import { DatabaseSync } from "node:sqlite";' },
    { path: "src/store/x.ts", text: 'import { DatabaseSync } from "node:sqlite";' },
  ],
  "outgoing sockets have addresses": [
    { path: "src/agent/x.ts", text: 'import { request } from "node:https";' },
    { path: "src/policy/x.ts", text: 'import { isIP } from "node:net";' },
  ],
  "engines of containers are asked in one file": [
    {
      path: "src/compose/x.ts",
      text: 'import { request } from "node:http";\nrequest({ socketPath, path: "/info" });',
    },
    {
      path: "src/sandbox/container-engine.ts",
      text: 'import { request } from "node:http";\nrequest({ socketPath, path: "/info" });',
    },
  ],
  "process is read in main.ts only": [
    { path: "src/auth/x.ts", text: "const secret = process.env.TOKEN;" },
    { path: "src/main.ts", text: "const args = process.argv;" },
  ],
  "proofs are made in their own folder": [
    { path: "src/agent/x.ts", text: "const permit = Permit.of(request, []);" },
    { path: "src/policy/x.ts", text: "const permit = Permit.of(request, []);" },
  ],
  "no mutable state at module level": [
    { path: "src/session/x.ts", text: "let count = 0;" },
    { path: "src/session/x.ts", text: "const limit = 3;" },
  ],
  "names that say nothing": [
    { path: "src/session/utils.ts", text: "" },
    { path: "src/session/lanes.ts", text: "" },
  ],
  "time and chance are passed in": [
    { path: "src/session/x.ts", text: "const now = Date.now();" },
    { path: "src/session/x.ts", text: "const now = clock.now();" },
  ],
  "every mod.ts states its invariants": [
    { path: "src/session/mod.ts", text: "export {};" },
    { path: "src/session/mod.ts", text: "/**\n * Which conversation?\n *\n * 1. One lane each.\n */\n" },
  ],
};

test("house: each rule finds its planted violation and lets the lawful neighbour be", () => {
  assert.deepEqual(Object.keys(planted).sort(), rules.map((rule: Rule) => rule.name).sort());
  for (const rule of rules) {
    const [wrong, right] = planted[rule.name] as readonly [SourceFile, SourceFile];
    assert.notDeepEqual(rule.check(wrong), [], `${rule.name}: the violation was not found`);
    assert.deepEqual(rule.check(right), [], `${rule.name}: the lawful neighbour was refused`);
  }
});
