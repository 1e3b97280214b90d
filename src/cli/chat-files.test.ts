import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileRows } from "./chat-files.ts";

const gatewayUrl = "wss://gateway.example:18789/";
const kept = "00000000-0000-4000-8000-000000000001-0.png";
const block = {
  type: "attachment",
  fileName: "october.png",
  mimeType: "image/png",
  sizeBytes: 134_393,
  url: `/chat/files?session=agent%3Amain%3Amain&entry=2&file=${kept}`,
} as const;

test("a file of a reply is named with its type, its size, and where it is", (t) => {
  const stateFolder = mkdtempSync(join(tmpdir(), "chat-files-"));
  t.after(() => rmSync(stateFolder, { recursive: true, force: true }));
  const row = (more: object) => fileRows([{ ...block, ...more }], { stateFolder, gatewayUrl })[0];
  const named = "↓ october.png (image/png, 131 KB): ";
  assert.equal(row({}), `${named}https://gateway.example:18789${block.url}`);
  const folder = join(stateFolder, "media/shown/a-session");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, kept), "");
  assert.equal(row({}), `${named}${join(folder, kept)}`);
  // What a gateway says leads to no other file of this machine, and to no other host.
  writeFileSync(join(stateFolder, "media/secret.png"), "");
  const beside = "/chat/files?file=..%2F..%2Fsecret.png";
  assert.equal(row({ url: beside }), `${named}https://gateway.example:18789${beside}`);
  for (const url of [undefined, "https://other.example/chat/files?file=x", "//other.example/", "/other"])
    assert.equal(row({ url }), `${named}sent to the chat app`);
  assert.equal(row({ fileName: "a\x1b[2J\n.png" }), row({ fileName: "a\\x1b[2J\\n.png" }));
  assert.doesNotMatch(row({ fileName: "a\x1b[2J\n.png" }) ?? "", /\p{Cc}/u);
});
