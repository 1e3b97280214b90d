import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isTrustedPeer } from "./peer-owner.ts";

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, remote: string, uid: number) =>
  `   0: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 1 1\n`;
/** 127.0.0.1:41000 to 127.0.0.1:18800 */
const there = ["0100007F:A028", "0100007F:4970"] as const;
const connection = { remotePort: 41_000, localPort: 18_800 };

test("network (11): tailscaled's entrance is for root and for who runs the gateway", (t) => {
  const root = mkdtempSync(join(tmpdir(), "peer-owner-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const own = 1000;
  const asked = () => isTrustedPeer(connection, own, `${root}/`);
  assert.equal(asked(), true, "where the system does not tell, nobody can be told apart");
  mkdirSync(join(root, "proc", "net"), { recursive: true });
  const tell = (name: string, ...rows: string[]) =>
    writeFileSync(join(root, "proc", "net", name), head + rows.join(""));
  tell("tcp");
  assert.equal(asked(), false, "a connection that is not in the table is nobody's");
  for (const [uid, expected] of [
    [0, true],
    [own, true],
    [1001, false],
  ] as const) {
    tell("tcp", row(there[1], there[0], 0), row(...there, uid));
    assert.equal(asked(), expected, String(uid));
  }
  tell("tcp", row("0200007F:A028", there[1], 0), row(there[0], "0100007F:4971", 0));
  assert.equal(asked(), false, "another address, another port");
  tell("tcp6", row("0000000000000000FFFF00000100007F:A028", "0000000000000000FFFF00000100007F:4970", own));
  assert.equal(asked(), true);
});

test("network (11): the table of a real machine tells who is there", async (t) => {
  const uid = process.getuid?.() ?? -1;
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const comer = async (options: object): Promise<Socket> => {
    const arrived = once(server, "connection");
    const child = spawn(process.execPath, ["-e", `require("node:net").connect(${port}, "127.0.0.1")`], {
      ...options,
      cwd: "/",
      env: {},
      stdio: "ignore",
    });
    t.after(() => child.kill());
    const [socket] = (await Promise.race([
      arrived,
      once(child, "exit").then(() => Promise.reject(new Error("could not be started"))),
    ])) as [Socket];
    t.after(() => socket.destroy());
    return socket;
  };
  assert.equal(isTrustedPeer(await comer({}), uid), true);
  if (uid !== 0) return;
  const nobody = await comer({ uid: 65_534, gid: 65_534 }).catch(() => undefined);
  if (nobody) assert.equal(isTrustedPeer(nobody, uid), false);
});
