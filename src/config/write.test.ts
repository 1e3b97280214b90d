import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Clock, systemClock, systemRandom } from "../kernel/mod.ts";
import { loadConfig } from "./load.ts";
import { redacted } from "./redact.ts";
import { saveLastGood, type WriteRequest, writeConfig } from "./write.ts";

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "config-")));
  file = join(folder, "openclaw.json");
});
afterEach(() => rm(folder, { recursive: true }));

const clock: Clock = {
  ...systemClock,
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};
const text = `{
  // keep me
  gateway: { mode: "local", port: 1, auth: { token: "stored-secret-value" } },
}
`;

function write(more: Partial<WriteRequest>) {
  return writeConfig({ file, env: {}, clock, random: systemRandom, ...more });
}

async function hashOf(): Promise<string> {
  return (await loadConfig({ file, env: {} })).hash ?? "";
}

test("config (5, 6): a write keeps comments, mode 600 and the old version, and leaves no litter", async () => {
  await writeFile(file, text);
  await chmod(file, 0o644);
  const result = await write({ edits: [{ path: ["gateway", "port"], value: 2 }], baseHash: await hashOf() });
  assert.deepEqual(result.ok && result.changedPaths, ["gateway.port"]);
  assert.equal(await readFile(file, "utf8"), text.replace("port: 1", "port: 2"));
  assert.equal(await readFile(`${file}.bak`, "utf8"), text);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await stat(`${file}.bak`)).mode & 0o777, 0o600);
  assert.deepEqual((await readdir(folder)).sort(), ["openclaw.json", "openclaw.json.bak"]);
});

test("config (6): a stale hash is refused and nothing is written", async () => {
  await writeFile(file, text);
  const baseHash = await hashOf();
  await writeFile(file, `${text}// other\n`);
  const result = await write({ edits: [{ path: ["gateway", "port"], value: 2 }], baseHash });
  assert.deepEqual(!result.ok && [result.reason, result.message], [
    "stale",
    "config changed since last load; re-run config.get and retry",
  ]);
  assert.equal(await readFile(file, "utf8"), `${text}// other\n`);
});

test("config (6): what would not load is not written", async () => {
  await writeFile(file, text);
  for (const edits of [
    [{ path: ["gateway", "port"], value: "x" }],
    [{ path: ["nonsense"], value: 1 }],
    [{ path: ["channels", "telegram", "dmPolicy"], value: "open" }],
    [{ path: ["gateway", "auth", "password"], value: redacted }],
  ]) {
    const result = await write({ edits });
    assert.equal(!result.ok && result.reason, "invalid");
  }
  assert.equal(await readFile(file, "utf8"), text);
  assert.deepEqual(await readdir(folder), ["openclaw.json"]);
});

test("config (6): a write that would lose gateway.mode or half the file is set aside, unless forced", async () => {
  await writeFile(file, text);
  const replacement = { gateway: { port: 2, auth: { token: "stored-secret-value" } } };
  const result = await write({ replacement });
  assert.equal(!result.ok && result.reason, "clobber");
  assert.equal(await readFile(file, "utf8"), text);
  const aside = (await readdir(folder)).find((name) => name.startsWith("openclaw.json.rejected."));
  assert.equal((await stat(join(folder, aside ?? ""))).mode & 0o777, 0o600);
  await writeFile(file, text);
  await write({ edits: [{ path: ["messages"], value: { responsePrefix: "y".repeat(400) } }] });
  const small = await write({ edits: [{ path: ["messages"], value: undefined }] });
  assert.equal(!small.ok && small.reason, "clobber");
  assert.ok((await write({ replacement, force: true })).ok);
});

test("a placeholder keeps the stored secret, and a replacement keeps comments", async () => {
  await writeFile(file, text);
  const replacement = { gateway: { mode: "local", port: 9, auth: { token: redacted } } };
  assert.ok((await write({ replacement })).ok);
  assert.equal(await readFile(file, "utf8"), text.replace("port: 1", "port: 9"));
});

test("what an included file holds is refused, what stands beside it is written", async () => {
  await writeFile(join(folder, "g.json"), '{"port": 1}');
  await writeFile(file, '{gateway: {$include: "g.json"}}');
  const result = await write({ edits: [{ path: ["gateway", "port"], value: 2 }] });
  assert.match(result.ok ? "" : result.message, /gateway\.port is kept in the included file g\.json/);
  assert.ok((await write({ edits: [{ path: ["logging", "level"], value: "debug" }] })).ok);
  assert.equal(await readFile(join(folder, "g.json"), "utf8"), '{"port": 1}');
});

test("config (6): writers at the same time all take effect, none over another", async () => {
  await writeFile(file, "{}\n");
  const ids = Array.from({ length: 8 }, (_, index) => `a${index}`);
  const results = await Promise.all(
    ids.map((id) => write({ edits: [{ path: ["agents", "entries", id], value: {} }] })),
  );
  assert.ok(results.every((result) => result.ok));
  const loaded = await loadConfig({ file, env: {} });
  assert.deepEqual(loaded.ok && Object.keys(loaded.config.agents?.entries ?? {}).sort(), ids);
  const kept = (await readdir(folder)).filter((name) => name.includes(".bak"));
  assert.equal(kept.length, 5);
});

test("config (6): a dead writer's lock is taken over after ten seconds, a live one's is not", async () => {
  await writeFile(file, "{}\n");
  const edits = [{ path: ["gateway", "port"], value: 2 }];
  let now = 1_000_000;
  let passed = 0;
  const fake: Clock = {
    now: () => now,
    monotonic: () => passed,
    after(delayMs, action) {
      passed += delayMs;
      queueMicrotask(action);
      return () => {};
    },
  };
  await writeFile(`${file}.lock`, JSON.stringify({ owner: "other", since: now - 9_000 }));
  const busy = await write({ edits, clock: fake });
  assert.equal(!busy.ok && busy.reason, "busy");
  now += 2_000;
  assert.ok((await write({ edits, clock: fake })).ok);
  await writeFile(`${file}.lock`, "torn");
  assert.ok((await write({ edits, clock: fake })).ok);
  assert.ok(!(await readdir(folder)).includes("openclaw.json.lock"));
});

test("a config that worked is kept with mode 600, one with placeholders is not", async () => {
  for (const [source, kept] of [
    [text, true],
    [text.replace("stored-secret-value", redacted), false],
    [text.replace("stored-secret-value", "***"), false],
  ] as const) {
    await rm(`${file}.last-good`, { force: true });
    await writeFile(file, text);
    const loaded = await loadConfig({ file, env: {} });
    assert.ok(loaded.ok);
    await saveLastGood(file, { ...loaded, raw: source }, systemRandom);
    assert.equal((await readdir(folder)).includes("openclaw.json.last-good"), kept);
  }
});
