import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findSocket } from "./container-sockets.ts";

const uid = process.getuid?.() ?? 0;

async function scene(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "sockets-"));
  const socket = join(folder, "engine.sock");
  const server = createServer().listen(socket);
  await once(server, "listening");
  chmodSync(socket, 0o660);
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const find = (env: Record<string, string>, kind: "docker" | "podman" = "docker") =>
    findSocket(kind, { env: { XDG_RUNTIME_DIR: join(folder, "none"), ...env }, uid, home: folder });
  return { folder, socket, find };
}

test("sandbox (8): an engine is found where the environment or its user keeps it, and only on a unix socket", async (t) => {
  const { folder, socket, find } = await scene(t);
  assert.deepEqual(find({ DOCKER_HOST: `unix://${socket}` }), { kind: "docker", socketPath: socket });
  assert.deepEqual(find({ CONTAINER_HOST: `unix://${socket}` }, "podman"), {
    kind: "podman",
    socketPath: socket,
  });
  for (const host of [
    "tcp://127.0.0.1:2375",
    "ssh://me@host",
    "http://x",
    "unix://relative",
    "fd://3",
    "npipe:////./pipe/x",
  ])
    assert.match(String(find({ DOCKER_HOST: host })), /no unix socket.*network are not used/, host);
  mkdirSync(join(folder, "podman"));
  symlinkSync(socket, join(folder, "podman/podman.sock"));
  assert.deepEqual(find({ XDG_RUNTIME_DIR: folder }, "podman"), { kind: "podman", socketPath: socket });
  mkdirSync(join(folder, ".docker/run"), { recursive: true });
  symlinkSync(socket, join(folder, ".docker/run/docker.sock"));
  assert.deepEqual(find({}), { kind: "docker", socketPath: socket });
  assert.match(String(find({ DOCKER_HOST: `unix://${folder}/absent` })), /No socket of docker was found/);
});

test("sandbox (8): a socket that another user could have put there is not asked", async (t) => {
  const { folder, socket, find } = await scene(t);
  const env = { DOCKER_HOST: `unix://${socket}` };
  chmodSync(socket, 0o666);
  assert.match(String(find(env)), /written by everybody/);
  chmodSync(socket, 0o660);
  if (uid === 0) {
    chownSync(socket, 12_345, 0);
    assert.match(String(find(env)), /belongs to another user/);
  }
  writeFileSync(join(folder, "file"), "");
  assert.match(String(find({ DOCKER_HOST: `unix://${folder}/file` })), /is no socket/);
  symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
  assert.match(String(find({ DOCKER_HOST: `unix://${folder}/dangling` })), /cannot be used/);
});
