import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, type Log, systemRandom } from "../kernel/mod.ts";
import { selfSigned } from "./certificate.ts";
import { openCertificateFiles, type TlsMaterial } from "./certificate-files.ts";

const start = Date.UTC(2026, 0, 1);

/** A clock that moves when it is told to; timers run when their time has come. */
function manualClock() {
  const timers = new Map<object, { at: number; action: () => void }>();
  let now = start;
  return {
    now: () => now,
    monotonic: () => now,
    after(delayMs: number, action: () => void) {
      const timer = {};
      timers.set(timer, { at: now + delayMs, action });
      return () => void timers.delete(timer);
    },
    pass(ms: number) {
      now += ms;
      for (const [timer, { at, action }] of [...timers]) {
        if (at > now) continue;
        timers.delete(timer);
        action();
      }
    },
    get timers() {
      return timers.size;
    },
  };
}

async function prepare(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "certificate-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const clock = manualClock();
  const logged: string[] = [];
  const log: Log = (level, message, fields) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const changes: TlsMaterial[] = [];
  const settings = {
    certFile: join(folder, "tls", "cert.pem"),
    keyFile: join(folder, "tls", "key.pem"),
    caFile: undefined as string | undefined,
    autoGenerate: true,
    renews: true,
  };
  const open = (more: Partial<typeof settings> = {}) =>
    openCertificateFiles({
      settings: { ...settings, ...more },
      names: ["localhost"],
      clock,
      random: systemRandom,
      log,
      onChange: (material) => void changes.push(material),
    });
  return { folder, settings, clock, logged, changes, open };
}

function pairUntil(notAfterMs: number) {
  return selfSigned({ names: ["localhost"], notBeforeMs: start - 1000, notAfterMs, random: systemRandom });
}

/** As tools do that renew certificates: whole files, moved into place. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}

test("network (10): a pair is made when both files are missing, for this user only, and found again", async (t) => {
  const { settings, open, logged } = await prepare(t);
  const made = await open();
  t.after(() => made.close());
  assert.match(made.current().fingerprint, /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/);
  assert.equal((await stat(settings.keyFile)).mode & 0o777, 0o600);
  assert.equal((await stat(join(settings.keyFile, ".."))).mode & 0o777, 0o700);
  assert.match(logged.join(), /self-signed/);
  assert.doesNotMatch(logged.join(), /PRIVATE/);
  const again = await open();
  t.after(() => again.close());
  assert.equal(again.current().fingerprint, made.current().fingerprint);
});

test("network (10): half a pair is refused and left as it is; so is nothing at all when none may be made", async (t) => {
  const { settings, open } = await prepare(t);
  await assert.rejects(open({ autoGenerate: false }), /neither .*autoGenerate/);
  (await open()).close();
  const key = await readFile(settings.keyFile, "utf8");
  await rm(settings.certFile);
  await assert.rejects(
    open(),
    (error) => error instanceof InputError && /key\.pem is there, but .*cert\.pem is not/.test(error.message),
  );
  assert.equal(await readFile(settings.keyFile, "utf8"), key);
  await rm(settings.keyFile);
  (await open()).close();
  await rm(settings.keyFile);
  await assert.rejects(open(), /cert\.pem is there, but .*key\.pem is not/);
});

test("network (10): a pair that does not fit, or cannot be read or written, is refused by name and without the key", async (t) => {
  const { settings, open, folder } = await prepare(t);
  (await open()).close();
  await writeFile(settings.keyFile, pairUntil(start + 1000).key);
  await assert.rejects(
    open(),
    (error: Error) => /cannot be used together/.test(error.message) && !/BEGIN/.test(error.message),
  );
  await writeFile(settings.keyFile, "not a key");
  await assert.rejects(open(), /cannot be used together/);
  await assert.rejects(open({ certFile: folder, keyFile: folder }), /cannot be read/);
  await assert.rejects(
    open({ certFile: join(settings.keyFile, "c.pem"), keyFile: join(settings.keyFile, "k.pem") }),
    /cannot be written/,
  );
});

test("network (10): files that change are taken over; what does not fit leaves the old pair in use", async (t) => {
  const { settings, open, clock, changes, logged } = await prepare(t);
  const files = await open();
  t.after(() => files.close());
  const first = files.current().fingerprint;
  await files.check();
  assert.equal(changes.length, 0);

  const next = pairUntil(start + 1_000_000);
  await replace(settings.certFile, next.cert);
  await files.check();
  assert.equal(files.current().fingerprint, first, "half replaced is not used");
  assert.match(logged.at(-1) ?? "", /error the new TLS certificate cannot be used; the old one stays/);
  await replace(settings.keyFile, next.key);
  clock.pass(5000);
  await files.check();
  assert.equal(changes.length, 1);
  assert.notEqual(files.current().fingerprint, first);
  assert.equal(changes[0]?.fingerprint, files.current().fingerprint);

  await replace(settings.certFile, next.cert);
  await files.check();
  assert.equal(changes.length, 1, "the same again is no change");

  const expired = pairUntil(start - 500);
  await replace(settings.keyFile, expired.key);
  await replace(settings.certFile, expired.cert);
  await files.check();
  assert.equal(changes.length, 1);
  assert.match(logged.at(-1) ?? "", /expired/);
  await rm(settings.certFile);
  await files.check();
  assert.equal(changes.length, 1);
  assert.doesNotMatch(logged.join(), /PRIVATE/);
});

test("network (10): the chain's file is part of it; an expired pair starts with a warning; no timer stays behind", async (t) => {
  const { settings, folder, open, clock, logged } = await prepare(t);
  const old = pairUntil(start - 500);
  (await open()).close();
  await replace(settings.certFile, old.cert);
  await replace(settings.keyFile, old.key);
  const caFile = join(folder, "ca.pem");
  await assert.rejects(open({ caFile }), /ca\.pem cannot be read/);
  await writeFile(caFile, old.cert);
  await chmod(caFile, 0o600);
  const files = await open({ caFile });
  assert.equal(files.current().ca, old.cert);
  assert.match(logged.join(), /has expired/);
  assert.equal(clock.timers, 1);
  files.close();
  assert.equal(clock.timers, 0);
  const paused = await open({ renews: false });
  assert.equal(clock.timers, 0);
  paused.close();
});

test("network (10): the files are looked at again and again until closed", async (t) => {
  const { open, clock } = await prepare(t);
  const files = await open();
  for (let round = 0; round < 2; round += 1) {
    clock.pass(5000);
    // The look at the files is under way; the next one is set when it ends.
    while (clock.timers === 0) await files.check();
  }
  clock.pass(5000);
  files.close();
  await files.check();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.timers, 0);
});
