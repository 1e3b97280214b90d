/** What tools do to files, on the whole way: labels of what is unpacked, and changes that are taken back. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { toolScene } from "../attacks/scene.ts";

function tarOf(name: string, content: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([
    header,
    Buffer.from(content),
    Buffer.alloc(512 - (content.length % 512)),
    Buffer.alloc(1024),
  ]);
}

test("sandbox (10): what tools changed is taken back by undo, on record; what was changed since is not", async (t) => {
  const { callAll, client, workspace, gateway } = await toolScene(t);
  writeFileSync(join(workspace, "a.txt"), "of a person");
  await callAll([["write", { path: "a.txt", content: "of the agent" }]]);
  const folder = join(gateway.stateFolder, "undo");
  assert.equal(readdirSync(folder).length, 1);
  const [undone = ""] = await callAll([["undo", { path: "a.txt" }]]);
  assert.match(undone, /Put a\.txt back as it was before write/);
  assert.equal(readFileSync(join(workspace, "a.txt"), "utf8"), "of a person");
  await callAll([["write", { path: "a.txt", content: "of the agent" }]]);
  writeFileSync(join(workspace, "a.txt"), "of a person again");
  const [left = ""] = await callAll([["undo", { path: "a.txt" }]]);
  assert.match(left, /changed again since/);
  assert.equal(readFileSync(join(workspace, "a.txt"), "utf8"), "of a person again");
  const { rows } = await client.rpc("audit.list", { limit: 200 });
  assert.ok(
    rows.some(
      ({ action, kind }: { action: string; kind: string }) =>
        action === "tool.undo" && kind === "effect.start",
    ),
  );
});

test("sandbox (10): where nothing of conversations is kept, nothing is kept of files either", async (t) => {
  const { callAll, workspace, gateway } = await toolScene(t, { session: { retention: "none" } });
  writeFileSync(join(workspace, "a.txt"), "before");
  const [, undone = ""] = await callAll([
    ["write", { path: "a.txt", content: "after" }],
    ["undo", { path: "a.txt" }],
  ]);
  assert.match(undone, /so nothing can be taken back/);
  assert.equal(existsSync(join(gateway.stateFolder, "undo")), false);
});

test("tools (1): files out of an archive bear the label of all that was read before they were written (A-155)", async (t) => {
  const site = createServer((_, response) => response.end("a page of nobody")).listen(0, "127.0.0.1");
  await once(site, "listening");
  t.after(() => site.close());
  const { port } = site.address() as AddressInfo;
  const { callAll, workspace } = await toolScene(t, {
    tools: { web: { fetch: { ssrfPolicy: { allowedHostnames: [`127.0.0.1:${port}`] } } } },
  });
  writeFileSync(join(workspace, "x.tar"), tarOf("a.txt", "from the archive"));
  writeFileSync(join(workspace, "plain.txt"), "of a person");
  const [, made = ""] = await callAll([
    ["web_fetch", { url: `http://127.0.0.1:${port}/` }],
    ["extract", { path: "x.tar" }],
  ]);
  assert.match(made, /Unpacked 1 file/);
  const [file = "", plain = ""] = await callAll([
    ["read", { path: "x/a.txt" }],
    ["read", { path: "plain.txt" }],
  ]);
  assert.match(file, new RegExp(`Source: [^\\\\]*http://127\\.0\\.0\\.1:${port}/.*from the archive`));
  assert.match(plain, /of a person/);
  assert.doesNotMatch(plain, new RegExp(`127\\.0\\.0\\.1:${port}`));
});
