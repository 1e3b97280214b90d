import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { SecretProvider, SecretReference } from "../../config/mod.ts";
import { createSecretReferences } from "./mod.ts";

const value = "value-of-the-secret-0123456789";
const canary = "canary-0123456789";
/** Short times pass at once, long ones never. */
function after(delayMs: number, action: () => void): () => void {
  const timer = delayMs < 1000 ? setImmediate(action) : undefined;
  return () => clearImmediate(timer);
}
const uid = process.getuid?.() ?? -1;

function scene(t: TestContext, more: { readonly uid?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "secret-references-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    TOKEN: value,
    PASSED: "passed",
    EMPTY: " ",
    CANARY: canary,
  };
  const follow = createSecretReferences({ env, uid, after, ...more });
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(folder, name), text, { mode });
    chmodSync(join(folder, name), mode);
    return join(folder, name);
  };
  /** A program that is node with this text. */
  const program = (name: string, text: string, mode = 0o700) =>
    write(name, `#!${process.execPath}\n${text}`, mode);
  /** The value, or why there is none. */
  async function ask(reference: SecretReference, provider: SecretProvider): Promise<string> {
    const answer = await follow(reference, provider);
    return answer.ok ? answer.value : `not followed: ${answer.why}`;
  }
  return { folder, write, program, ask };
}

const ofFile = (id: string): SecretReference => ({ source: "file", provider: "f", id });
const ofExec = (id = "a/token"): SecretReference => ({ source: "exec", provider: "vault", id });

test("secret references (1): a variable counts when it is set and its provider lets it", async (t) => {
  const { ask } = scene(t);
  const env = (id: string): SecretReference => ({ source: "env", id });
  assert.equal(await ask(env("TOKEN"), { source: "env" }), value);
  assert.equal(await ask(env("TOKEN"), { source: "env", allowlist: ["TOKEN"] }), value);
  assert.match(
    await ask(env("TOKEN"), { source: "env", allowlist: [] }),
    /TOKEN is not in its provider's allowlist/,
  );
  assert.match(await ask(env("MISSING"), { source: "env" }), /MISSING is not set/);
  assert.match(await ask(env("EMPTY"), { source: "env" }), /is empty/);
  assert.match(await ask(env("__proto__"), { source: "env" }), /is not set/);
  assert.match(await ask({ source: "store", id: "X" }, { source: "store" }), /not available yet/);
});

test("secret references (2): a file is its owner's alone, whole or at a place in it (A-231)", async (t) => {
  const { ask, write, folder } = scene(t);
  const json = write("s.json", JSON.stringify({ a: { "b/c": value, list: [value], number: 1, empty: "" } }));
  const file = (path: string, more = {}): SecretProvider => ({ source: "file", path, ...more });
  assert.equal(await ask(ofFile("/a/b~1c"), file(json)), value);
  assert.equal(await ask(ofFile("/a/list/0"), file("~/s.json")), value);
  const single = write("single", `${value}\n`);
  assert.equal(await ask(ofFile("value"), file(single, { mode: "singleValue" })), value);
  for (const [reference, provider, why] of [
    [ofFile("/a/number"), file(json), /holds no text/],
    [ofFile("/a/none"), file(json), /holds no text/],
    [ofFile("/a/b~1c/length"), file(json), /holds no text/],
    [ofFile("/a/empty"), file(json), /is empty/],
    [ofFile("value"), file(json), /a JSON pointer/],
    [ofFile("/x"), file(single, { mode: "singleValue" }), /the id is "value"/],
    [ofFile("/x"), file(single), /is not JSON/],
    [ofFile("/x"), file("s.json"), /not an absolute path/],
    [ofFile("/x"), file(join(folder, "none")), /cannot be opened \(ENOENT\)/],
    [ofFile("/x"), file(folder), /is not a regular file/],
    [ofFile("/a/list/0"), file(json, { maxBytes: 10 }), /larger than 10 bytes/],
  ] as const) {
    const said = await ask(reference, provider);
    assert.match(said, why);
    assert.ok(!said.includes(value), said);
  }
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(json, mode);
    assert.match(await ask(ofFile("/a/b~1c"), file(json)), /make it mode 600/);
  }
  chmodSync(json, 0o600);
  symlinkSync(json, join(folder, "link"));
  assert.match(await ask(ofFile("/a/b~1c"), file(join(folder, "link"))), /is a symbolic link/);
  linkSync(json, join(folder, "hard"));
  assert.match(await ask(ofFile("/a/b~1c"), file(json)), /a hard link/);
  const others = scene(t, { uid: uid + 1 });
  const foreign = others.write("s", value);
  const said = await others.ask(ofFile("value"), file(foreign, { mode: "singleValue" }));
  assert.match(said, uid === 0 ? /value-of/ : /belongs to somebody else/);
});

const answers = (values: object, more = {}) =>
  `process.stdout.write(JSON.stringify(${JSON.stringify({ protocolVersion: 1, values, ...more })}))`;

test("secret references (3): a program is asked by the documented exchange, with the variables that are named", async (t) => {
  const { ask, program } = scene(t);
  const echo = program(
    "echo",
    `let text = ""; process.stdin.on("data", (d) => (text += d)).on("end", () => {
      const asked = JSON.parse(text);
      const seen = [process.argv.slice(2), asked, Object.keys(process.env).filter((name) => !/^(PATH|LANG|NODE_|_$)/.test(name)).sort(), process.env.PASSED];
      process.stdout.write(JSON.stringify({ protocolVersion: 1, values: { [asked.ids[0]]: JSON.stringify(seen) } }));
    });`,
  );
  const said = await ask(ofExec(), {
    source: "exec",
    command: echo,
    args: ["--field", "$(touch x)"],
    env: { OWN: "1" },
    passEnv: ["PASSED", "NOT_SET"],
  });
  assert.deepEqual(JSON.parse(said), [
    ["--field", "$(touch x)"],
    { protocolVersion: 1, provider: "vault", ids: ["a/token"] },
    ["OWN", "PASSED"],
    "passed",
  ]);
  const plain = program("plain", `process.stdout.write(${JSON.stringify(`${value}\n`)})`);
  assert.equal(await ask(ofExec(), { source: "exec", command: plain, jsonOnly: false }), value);
  // One that does not read what it is asked answers all the same.
  const deaf = program("deaf", `process.stdin.destroy(); ${answers({ "a/token": value })}`);
  assert.equal(await ask(ofExec(), { source: "exec", command: deaf }), value);
});

test("secret references (3, 4): what a program does wrong is told without its words (A-231)", async (t) => {
  const { ask, program } = scene(t);
  const command = (name: string, text: string, more = {}): SecretProvider => ({
    source: "exec",
    command: program(name, text),
    ...more,
  });
  for (const [provider, why] of [
    [command("a", `process.stdout.write("${value}")`), /did not answer in JSON/],
    [
      command("b", answers({}, { errors: { "a/token": { code: "NOT_FOUND" } } })),
      /no value for a\/token \(NOT_FOUND\)$/,
    ],
    [command("c", answers({}, { errors: { "a/token": { code: value } } })), /no value for a\/token$/],
    [command("d", answers({ "a/token": 7 })), /no value for/],
    [command("e", answers({ "a/token": value }, { protocolVersion: 2 })), /another protocol/],
    [command("f", `process.stdout.write("null")`), /another protocol/],
    [command("g", `console.log("${value}"); process.exit(3)`), /ended with 3/],
    [
      command("h", "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)"),
      /ended with a signal/,
    ],
    [command("i", "setInterval(() => {}, 1000)", { timeoutMs: 300 }), /did not end within 300 ms/],
    [
      command("j", "setInterval(() => {}, 1000)", { timeoutMs: 60_000, noOutputTimeoutMs: 300 }),
      /said nothing for 300 ms/,
    ],
    [
      command("k", `process.stdout.write("x".repeat(5000))`, { maxOutputBytes: 1000 }),
      /more than 1000 bytes/,
    ],
    [command("l", "", {}), /did not answer in JSON/],
  ] as const) {
    const said = await ask(ofExec(), provider);
    assert.match(said, why);
    assert.ok(!said.includes(value), said);
  }
});

test("secret references (3): a program that others could replace is not run (A-231)", async (t) => {
  const { ask, program, write, folder } = scene(t);
  const good = program("good", answers({ "a/token": value }));
  const exec = (command: string, more = {}): SecretProvider => ({ source: "exec", command, ...more });
  assert.equal(await ask(ofExec(), exec(good, { trustedDirs: [`${folder}/`] })), value);
  assert.equal(
    await ask(ofExec(), exec("~/good", { trustedDirs: ["~"] })),
    "not followed: ~/good lies in none of trustedDirs",
  );
  assert.equal(await ask(ofExec(), exec("~/good")), value);
  mkdirSync(join(folder, "dir"));
  symlinkSync(good, join(folder, "link"));
  program("shared", answers({ "a/token": value }), 0o770);
  write("data", "x");
  for (const [provider, why] of [
    [exec(join(folder, "link")), /is a symbolic link/],
    [exec(join(folder, "dir")), /is not a regular file/],
    [exec(join(folder, "none")), /is not there/],
    [exec(`${folder}/dir/../good`), /is not an absolute path/],
    [exec("good"), /is not an absolute path/],
    [exec(join(folder, "shared")), /may be written by others/],
    [exec(good, { trustedDirs: [join(folder, "dir")] }), /none of trustedDirs/],
    [exec(good, { trustedDirs: ["relative"] }), /none of trustedDirs/],
    [exec(join(folder, "data")), /could not be started \(EACCES\)/],
  ] as const)
    assert.match(await ask(ofExec(), provider), why);
});
