import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { runConfigCommand } from "./config-command.ts";

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "config-"));
  file = join(folder, "openclaw.json");
});
afterEach(() => rm(folder, { recursive: true }));

async function run(...args: string[]) {
  let out = "";
  let err = "";
  const code = await runConfigCommand(args, {
    env: {},
    configFile: file,
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
    isTTY: false,
    stdin: async () => "from-standard-input\n",
  });
  return { code, out, err };
}

test("set, get and unset work on the file, and a value is JSON5 or else text", async () => {
  assert.equal((await run("set", "gateway.port", "18790")).code, 0);
  assert.equal((await run("set", "gateway.bind", "loopback")).code, 0);
  assert.equal((await run("set", "channels.telegram.allowFrom", "['1', 2]")).code, 0);
  assert.deepEqual(JSON.parse(await readFile(file, "utf8")), {
    gateway: { port: 18790, bind: "loopback" },
    channels: { telegram: { allowFrom: ["1", 2] } },
  });
  assert.deepEqual(await run("get", "gateway.bind"), { code: 0, out: "loopback\n", err: "" });
  assert.equal((await run("get", "channels.telegram.allowFrom.1")).out, "2\n");
  assert.equal((await run("get", "gateway.bind", "--json")).out, '"loopback"\n');
  assert.equal((await run("unset", "gateway.bind")).code, 0);
  assert.equal((await run("get", "gateway.bind")).code, 1);
});

test("config (4): a secret is never printed, not even when it was just set or asked for by its path", async () => {
  const secret = "hunter2-hunter2-hunter2-hunter2";
  const printed = [
    await run("set", "gateway.auth.token", secret),
    await run("get", "gateway.auth.token"),
    await run("get", "gateway"),
    await run("get", "--json"),
    await run("set", "hooks.token", secret),
    await run("set", "gateway.port", secret),
    await run("set", "gateway.auth.token", `{"${secret}": 1}`),
  ];
  assert.equal(printed[0]?.code, 0);
  assert.match(printed[1]?.out ?? "", /^__OPENCLAW_REDACTED__\n$/);
  for (const { out, err } of printed.slice(0, 5)) assert.doesNotMatch(out + err, /hunter2/);
});

test("a token of digits is kept as text, exactly", async () => {
  assert.equal((await run("set", "gateway.auth.token", "123456789012345678901234567890")).code, 0);
  assert.match(await readFile(file, "utf8"), /"123456789012345678901234567890"/);
  assert.equal((await run("set", "channels.telegram.botToken", "12345678")).code, 0);
  assert.match(await readFile(file, "utf8"), /"botToken": "12345678"/);
  assert.equal((await run("set", "gateway.auth.token", "-")).code, 0);
  assert.match(await readFile(file, "utf8"), /"from-standard-input"/);
});

test("exit codes: 1 for what is not valid or not there, 2 for what is not understood", async () => {
  const table: [string[], number][] = [
    [["set", "gateway.port", "x"], 1],
    [["set", "gateway.prot", "1"], 1],
    [["unset", "gateway.port"], 1],
    [["get", "gateway..port"], 2],
    [["set", "gateway.port"], 2],
    [["set", "gateway.auth.mode", "token", "--strict-json"], 2],
    [["get", "a", "b"], 2],
    [["get", "--nope"], 2],
    [["constructor"], 2],
    [[], 2],
    [["--help"], 0],
    [["validate"], 0],
    [["schema"], 0],
    [["file"], 0],
  ];
  for (const [args, code] of table) assert.equal((await run(...args)).code, code, args.join(" "));
});

test("validate says where and what, for people and for scripts", async () => {
  await writeFile(file, "{\n  gateway: { prot: 1 }\n}");
  const plain = await run("validate");
  assert.equal(plain.code, 1);
  assert.match(plain.err, /^openclaw\.json:2:14: gateway\.prot: unexpected key; did you mean "port"\?/);
  const json = JSON.parse((await run("validate", "--json")).out);
  assert.deepEqual([json.valid, json.problems[0].line, json.problems[0].path], [false, 2, "gateway.prot"]);
});

test("schema prints a JSON Schema document", async () => {
  const schema = JSON.parse((await run("schema")).out);
  assert.equal(schema.additionalProperties, false);
  assert.equal(schema.properties.gateway.properties.port.type, "integer");
});
