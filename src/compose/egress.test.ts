import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type Json, Secret, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { createEgress } from "./egress.ts";

function scene(t: TestContext, more: { keeps?: boolean; folder?: string; now?: () => number } = {}) {
  const stateFolder = more.folder ?? mkdtempSync(join(tmpdir(), "egress-"));
  const rows: { kind: string; outcome: string; facts: Json; sessionKey: string | undefined }[] = [];
  const egress = createEgress({
    stateFolder,
    clock: { ...systemClock, now: more.now ?? systemClock.now },
    random: systemRandom,
    log: silentLog,
    redact: (text) => text.replaceAll("hush", "[secret]"),
    keepsConversations: () => more.keeps ?? true,
    record: async (kind, outcome, facts, sessionKey) => void rows.push({ kind, outcome, facts, sessionKey }),
  });
  t.after(async () => {
    await egress.closeAll();
    rmSync(stateFolder, { recursive: true, force: true });
  });
  return { stateFolder, egress, rows };
}

const place = {
  sandbox: "session-1",
  sessionKey: "agent:main:x",
  rules: [{ host: "a.test", paths: ["/x"] }],
};

/** The certificate that a tunnel to a.test shows, checked by what the sandbox was told to trust. */
function certificateBehind(door: { socketFile: string; rootsFile: string }): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    request({ socketPath: door.socketFile, method: "CONNECT", path: "a.test:443" })
      .on("error", reject)
      .on("connect", (_, socket) => {
        const ca = readFileSync(door.rootsFile, "utf8");
        const secure = connectTls({ socket, servername: "a.test", ca }, () => {
          const certificate = secure.getPeerX509Certificate();
          secure.destroy();
          if (certificate) resolve(certificate);
        });
        secure.on("error", reject);
      })
      .end();
  });
}

test("sandbox (9): each sandbox has a door of its own, for this user alone; the authority's key is shown to none of them", async (t) => {
  const { egress, stateFolder } = scene(t);
  const [one, same, other] = [
    await egress.open(place),
    await egress.open({ ...place }),
    await egress.open({ ...place, sandbox: "session-2" }),
  ];
  assert.equal(one, same);
  assert.notEqual(one.socketFile, other.socketFile);
  const folder = join(stateFolder, "egress");
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  assert.doesNotMatch(readFileSync(one.rootsFile, "utf8"), /PRIVATE KEY/);
  const certificate = await certificateBehind(one);
  assert.equal(certificate.checkHost("a.test"), "a.test");
  await egress.closeAll();
  assert.deepEqual([existsSync(one.socketFile), existsSync(other.socketFile)], [false, false]);
});

test("sandbox (9): the authority outlives the gateway; one that is broken, foreign or about to end is replaced", async (t) => {
  const { egress, stateFolder } = scene(t);
  const folder = join(stateFolder, "egress");
  const cert = () => readFileSync(join(folder, "authority.pem"), "utf8");
  await egress.open(place);
  const first = cert();
  await egress.closeAll();
  const again = async (more: { now?: () => number } = {}) => {
    const { egress: next } = scene(t, { folder: stateFolder, ...more });
    const seen = (await certificateBehind(await next.open(place))).checkIssued(new X509Certificate(cert()));
    await next.closeAll();
    return seen;
  };
  assert.equal(await again(), true);
  assert.equal(cert(), first);
  writeFileSync(join(folder, "authority-key.pem"), "no key");
  assert.equal(await again(), true);
  const second = cert();
  assert.notEqual(second, first);
  writeFileSync(join(folder, "authority.pem"), first);
  await again();
  assert.notEqual(cert(), first);
  const third = cert();
  const { egress: late } = scene(t, {
    folder: stateFolder,
    now: () => Date.parse(new X509Certificate(third).validTo),
  });
  await late.open(place);
  assert.notEqual(cert(), third);
});

test("sandbox (9): a host's certificate is made anew before it ends", async (t) => {
  // Six and a half days old, and good for half a day more.
  let now = Date.now() - 6.5 * 86_400_000;
  const { egress } = scene(t, { now: () => now });
  const door = await egress.open(place);
  const first = await certificateBehind(door);
  assert.equal((await certificateBehind(door)).fingerprint256, first.fingerprint256);
  now = Date.now();
  assert.notEqual((await certificateBehind(door)).fingerprint256, first.fingerprint256);
});

test("sandbox (9): what is on record names sandbox, host and rule, redacted; no path where nothing of a conversation is kept", async (t) => {
  const ask = (socketPath: string, path: string) =>
    new Promise<void>((resolve, reject) => {
      request({ socketPath, path }, (response) => response.resume().on("end", resolve))
        .on("error", reject)
        .end();
    });
  for (const keeps of [true, false]) {
    const { egress, rows } = scene(t, { keeps });
    const { socketFile } = await egress.open({ ...place, rules: [] });
    await ask(socketFile, "http://a.test/hush?x=1");
    const [row] = rows;
    assert.ok(row);
    assert.deepEqual([row.kind, row.outcome, row.sessionKey], ["verdict", "refuse", "agent:main:x"]);
    const { why, ...facts } = row.facts as Record<string, Json>;
    assert.match(String(why), /No rule/);
    assert.deepEqual(facts, {
      ...{ method: "GET", host: "a.test", port: 80, secure: false, sandbox: "session-1" },
      ...(keeps ? { path: "/[secret]" } : {}),
    });
  }
});

test("sandbox (9): rules that differ in nothing but the credential have doors of their own; what a killed gateway left is removed", async (t) => {
  const { egress, stateFolder } = scene(t);
  mkdirSync(join(stateFolder, "egress"));
  writeFileSync(join(stateFolder, "egress", "left.sock"), "");
  const withKey = (value: string) => ({
    ...place,
    rules: [{ host: "a.test", inject: { header: "authorization", value: new Secret(value) } }],
  });
  const doors = [
    await egress.open(withKey("one")),
    await egress.open(withKey("two")),
    await egress.open(withKey("one")),
  ];
  assert.equal(new Set(doors.map((door) => door.socketFile)).size, 2);
  assert.equal(existsSync(join(stateFolder, "egress", "left.sock")), false);
});

test("sandbox (9): an injected credential is in no file of the state folder", async (t) => {
  const { egress, stateFolder } = scene(t);
  const inject = { header: "authorization", value: new Secret("the-real-credential") };
  await egress.open({ ...place, rules: [{ host: "a.test", inject }] });
  const folder = join(stateFolder, "egress");
  for (const name of readdirSync(folder).filter((file) => !file.endsWith(".sock")))
    assert.doesNotMatch(readFileSync(join(folder, name), "utf8"), /the-real-credential/);
});
