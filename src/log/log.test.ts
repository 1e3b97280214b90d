import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { LogLevel } from "../kernel/mod.ts";
import { createLog, createRedactor, openLogFile, ownLogFolder, tailLog } from "./mod.ts";

const uid = process.getuid?.() ?? -1;

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "log-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function logTo(folder: string, level: LogLevel = "info", secrets: string[] = []) {
  const file = openLogFile(folder, "openclaw", uid);
  const lines: string[] = [];
  const log = createLog({
    file,
    clock: new ManualClock(),
    redact: createRedactor(() => secrets, ["internal-\\d+", "(broken"]),
    level: () => level,
    consoleLevel: () => "warn",
    toConsole: (line) => void lines.push(line),
  });
  const read = async () => {
    await file.flush();
    return readFileSync(file.path(new Date(1_700_000_000_000)), "utf8");
  };
  return { file, log, lines, read };
}

test("log (1): registered secrets and patterns reach neither file nor terminal, whatever field they came in", async (t) => {
  const secrets = ["first-secret-value"];
  const { log, lines, read } = logTo(temporary(t), "info", secrets);
  log("warn", "a first-secret-value in words", {
    field: "first-secret-value",
    deep: { list: ["x first-secret-value y"] },
  });
  secrets.push("rotated-secret-value");
  log("error", "then rotated-secret-value, internal-42 and (broken");
  const text = `${await read()}\n${lines.join("\n")}`;
  assert.doesNotMatch(text, /first-secret|rotated-secret|internal-42|\(broken/);
  assert.equal(lines.length, 2);
  for (const line of (await read()).trim().split("\n")) JSON.parse(line);
});

const shapes = [
  "Authorization: Bearer abcdefghijklmnop",
  "api_key=abcdefgh12345678",
  '"password": "hunter2hunter2"',
  "sk-abcdefghijklmnopqrstuvwx",
  "ghp_abcdefghijklmnopqrstuvwxyz",
  "xoxb-1234567890-abcdef",
  "AKIAABCDEFGHIJKLMNOP",
  "123456789:AAabcdefghijklmnopqrstuvwxyz012345",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefgh",
  "postgres://user:pass-word@host/db",
  "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
];

test("secrets are known by their shapes too", () => {
  const redact = createRedactor(() => [], []);
  for (const shape of shapes) {
    const out = redact(`before ${shape} after`);
    assert.match(out, /\[redacted\]/, shape);
    assert.match(out, /^before .* after$/s, shape);
    assert.doesNotMatch(out, /abcdefgh|hunter2|pass-word|xoxb-1|AKIAA/, shape);
  }
  assert.equal(
    redact("an ordinary sentence about tokens and keys"),
    "an ordinary sentence about tokens and keys",
  );
});

test("levels: what is below them is not written", async (t) => {
  const { log, lines, read } = logTo(temporary(t), "warn");
  for (const level of ["trace", "debug", "info", "warn", "fatal"] as const)
    log(level, `at ${level}`, { none: undefined, n: 1 });
  const levels = (await read())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).level);
  assert.deepEqual(levels, ["warn", "fatal"]);
  assert.match(lines[0] ?? "", /warn {2}at warn n=1$/);
});

test("log (2): written only where nobody else can read it, and never through a link", async (t) => {
  const folder = temporary(t);
  chmodSync(folder, 0o777);
  const { log, read, file } = logTo(folder);
  log("info", "hello");
  await read();
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(file.path(new Date(1_700_000_000_000))).mode & 0o777, 0o600);
  file.close();
  file.close();
  const target = join(folder, "target");
  writeFileSync(target, "");
  symlinkSync(target, join(folder, "link.log"));
  const link = openLogFile(folder, "x", uid, join(folder, "link.log"));
  assert.throws(() => link.append("x", new Date(0)));
  symlinkSync(folder, `${folder}-link`);
  t.after(() => rmSync(`${folder}-link`));
  assert.throws(
    () => openLogFile(`${folder}-link`, "x", uid).append("x", new Date(0)),
    /is a link or a file/,
  );
  if (uid >= 0)
    assert.throws(() => openLogFile(folder, "x", uid + 1).append("x", new Date(0)), /another user/);
  assert.equal(ownLogFolder(folder, uid + 1), `${folder}-${uid + 1}`);
  assert.equal(ownLogFolder(folder, uid), folder);
  assert.equal(ownLogFolder(`${folder}-nobody-has`, uid), `${folder}-nobody-has`);
});

test("log (3): a log that cannot be written says so once, and stops nobody", (t) => {
  const file = join(temporary(t), "a-file");
  writeFileSync(file, "");
  const broken = openLogFile(join(file, "folder"), "x", uid);
  const told: string[] = [];
  const failing = createLog({
    file: broken,
    clock: new ManualClock(),
    redact: (text) => text,
    level: () => "info",
    consoleLevel: () => "silent",
    toConsole: (line) => void told.push(line),
  });
  failing("info", "one");
  failing("info", "two");
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /cannot be written/);
});

test("the tail gives whole lines from a position on, and says when the file was changed for another", async (t) => {
  const file = join(temporary(t), "x.log");
  assert.deepEqual(await tailLog(file, undefined, 10, 1000), {
    file,
    cursor: 0,
    size: 0,
    lines: [],
    truncated: false,
    reset: false,
  });
  writeFileSync(file, "one\ntwo\nthr");
  const first = await tailLog(file, undefined, 10, 1000);
  assert.deepEqual(first.lines, ["one", "two"]);
  assert.equal(first.cursor, 8);
  appendFileSync(file, "ee\nfour\n");
  assert.deepEqual((await tailLog(file, first.cursor, 10, 1000)).lines, ["three", "four"]);
  const short = await tailLog(file, undefined, 1, 1000);
  assert.deepEqual([short.lines, short.truncated], [["four"], true]);
  const window = await tailLog(file, undefined, 10, 8);
  assert.deepEqual([window.lines, window.truncated], [["four"], true]);
  writeFileSync(file, "new\n");
  const reset = await tailLog(file, 19, 10, 1000);
  assert.deepEqual([reset.reset, reset.lines], [true, ["new"]]);
  assert.equal((await tailLog(`${file}-none`, 5, 10, 10)).reset, true);
});
