// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own ${NAME} is what is tested
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { configProblemText } from "./config-problem.ts";
import { type LoadedConfig, loadConfig } from "./load.ts";

let folder = "";
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "config-")));
});
afterEach(() => rm(folder, { recursive: true }));

type Env = Record<string, string>;

async function load(text: string | Buffer, env: Env = {}) {
  const file = join(folder, "openclaw.json");
  await writeFile(file, text);
  return loadConfig({ file, env });
}

async function loaded(text: string, env: Env = {}): Promise<LoadedConfig> {
  const result = await load(text, env);
  assert.ok(result.ok, result.ok ? "" : result.problems.map((one) => configProblemText(one)).join("\n"));
  return result;
}

async function problems(text: string | Buffer, env: Env = {}): Promise<string[]> {
  const result = await load(text, env);
  assert.equal(result.ok, false, "the config was accepted");
  return result.ok ? [] : result.problems.map((one) => configProblemText(one, folder));
}

test("config (1): an error names file, line, column, path, what was expected and the nearest key", async () => {
  const text = `{\n  // comment\n  gateway: { prot: 1,\n    mode: "locl", port: "x" },\n}`;
  const found = await problems(text);
  assert.match(
    found[0] ?? "",
    /^openclaw\.json:3:14: gateway\.prot: unexpected key; did you mean "port"\? \(expected one of "port"/,
  );
  assert.match(found[1] ?? "", /^openclaw\.json:4:11: gateway\.mode: must be one of .*did you mean "local"/);
  assert.match(found[2] ?? "", /^openclaw\.json:4:25: gateway\.port: must be integer, found "x"$/);
});

const refused: [string, string | Buffer, RegExp][] = [
  ["bad syntax", '{\n  "a": tru\n}', /^openclaw\.json:2:8: unexpected.*\n {2} {2}"a": tru\n {9}\^$/],
  [
    "a duplicate key in plain JSON",
    '{"gateway":{"port":1,\n"port":2}}',
    /:2:1: gateway\.port: the key "port" appears twice \(first on line 1\)/,
  ],
  ["a duplicate key spelled with an escape", '{"gateway":{},"g\\u0061teway":{}}', /appears twice/],
  ["a duplicate key in JSON5", "{gateway:{}, 'gateway':{}}", /appears twice/],
  ["__proto__", '{"__proto__":{"gateway":{}}}', /the key "__proto__" is not allowed/],
  ["__proto__ spelled with an escape", '{"\\u005f_proto__":{}}', /not allowed/],
  ["constructor deep inside", '{"plugins":{"entries":{"a":{"config":{"constructor":1}}}}}', /not allowed/],
  ["infinity", "{meta:{a:Infinity}}", /Infinity is not a number/],
  ["a number that overflows", '{"meta":{"a":1e999}}', /too large/],
  ["deep nesting", `{"meta":${'{"a":'.repeat(200)}1${"}".repeat(201)}`, /nested/],
  ["very deep nesting", `{"meta":${"[".repeat(100_000)}`, /nested|unexpected/],
  ["an array as the root", "[]", /must be object/],
  [
    "invalid UTF-8",
    Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]),
    /not UTF-8: the byte at offset 2 /,
  ],
  ["an unknown root key", "{chanels:{}}", /did you mean "channels"/],
];
for (const [name, text, expected] of refused) {
  test(`config (1): ${name} is refused`, async () => {
    assert.match((await problems(text)).join("\n"), expected);
  });
}

test("a file over 5 MB is refused before it is parsed", async () => {
  assert.match(
    (await problems(`{"meta":{"a":"${"x".repeat(5 * 1024 * 1024)}"}}`))[0] ?? "",
    /larger than 5 MB/,
  );
});

test("config (2): a link, a folder or a named pipe in place of the file is refused", async () => {
  const file = join(folder, "openclaw.json");
  await writeFile(join(folder, "real.json"), "{}");
  await symlink("real.json", file);
  const says = async (): Promise<string> => {
    const result = await loadConfig({ file, env: {} });
    return result.ok ? "accepted" : (result.problems[0]?.message ?? "");
  };
  assert.match(await says(), /symbolic link/);
  await rm(file);
  await mkdir(file);
  assert.match(await says(), /a directory/);
  await rm(file, { recursive: true });
  execFileSync("mkfifo", [file]);
  assert.match(await says(), /a named pipe/);
});

test("a missing file gives the empty config, frozen", async () => {
  const result = await loadConfig({ file: join(folder, "none.json"), env: {} });
  assert.ok(result.ok && !result.exists);
  assert.deepEqual(result.config, {});
  assert.ok(Object.isFrozen(result.config));
});

test("a byte order mark is dropped, and the whole config is frozen", async () => {
  const result = await loaded('\ufeff{"gateway":{"auth":{"token":"0123456789"}}}');
  assert.throws(() => Object.assign(result.config.gateway?.auth ?? {}, { token: "x" }), TypeError);
});

test("the hash is the one that sha256sum prints, and an included file changes it", async () => {
  const text = "{gateway:{$include:'g.json'}}";
  assert.equal((await loaded("{}")).hash, `sha256:${createHash("sha256").update("{}").digest("hex")}`);
  await writeFile(join(folder, "g.json"), '{"port":1}');
  const before = (await loaded(text)).hash;
  await writeFile(join(folder, "g.json"), '{"port":2}');
  assert.notEqual((await loaded(text)).hash, before);
});

test("${NAME} is replaced once, $${NAME} stays text, and what came from the environment is remembered", async () => {
  const text =
    '{gateway:{auth:{token:"${T}-x"}}, agents:{defaults:{workspace:"$${T} ${lower}"}}, env:{vars:{V:"v"}}, messages:{responsePrefix:"${V}",ackReaction:"${V2}"}}';
  const result = await loaded(text, { T: "abcd", V2: "x${V}" });
  assert.equal(result.config.gateway?.auth?.token, "abcd-x");
  assert.equal(result.config.agents?.defaults?.workspace, "${T} ${lower}");
  assert.equal(result.config.messages?.responsePrefix, "v");
  assert.equal(result.config.messages?.ackReaction, "x${V}");
  assert.deepEqual(result.fromEnvironment, [
    ["gateway", "auth", "token"],
    ["messages", "responsePrefix"],
    ["messages", "ackReaction"],
  ]);
  assert.match(JSON.stringify(result.unsubstituted), /\$\{T\}-x/);
});

test("a variable that is not set stays as text, with a warning", async () => {
  const result = await loaded('{messages:{responsePrefix:"${NOPE}"}}');
  assert.equal(result.config.messages?.responsePrefix, "${NOPE}");
  assert.match(result.warnings.join(), /messages\.responsePrefix: the variable NOPE is not set/);
});

test("config (3): an unset variable is not accepted as the gateway's secret", async () => {
  const text = '{gateway:{auth:{token:"${OPENCLAW_GATEWAY_TOKEN}"}}}';
  assert.match((await problems(text))[0] ?? "", /set OPENCLAW_GATEWAY_TOKEN/);
  const file = join(folder, "openclaw.json");
  assert.ok((await loadConfig({ file, env: {}, allowUnresolved: true })).ok);
});

test("includes merge in order, siblings win, and an error points into the file that holds it", async () => {
  await writeFile(join(folder, "a.json"), "{port: 1, bind: 'lan', auth: {token: 'abcdefgh'}}");
  await writeFile(join(folder, "b.json5"), "{port: 2, // b\n}");
  const result = await loaded(
    "{gateway: {$include: ['a.json', './b.json5'], bind: 'loopback', auth: {mode: 'token'}}}",
  );
  assert.deepEqual(result.config.gateway, {
    port: 2,
    bind: "loopback",
    auth: { token: "abcdefgh", mode: "token" },
  });
  assert.deepEqual(
    result.files,
    ["openclaw.json", "a.json", "b.json5"].map((name) => join(folder, name)),
  );
  await writeFile(join(folder, "b.json5"), "{\n  port: 'x'}");
  const found = await problems("{gateway: {$include: ['a.json', './b.json5']}}");
  assert.match(found[0] ?? "", /^b\.json5:2:9: gateway\.port|^b\.json5:2:9: port/);
});

test("config (2): an include cannot leave the config's folder, by path or by link, unless a root allows it", async () => {
  const outside = await realpath(await mkdtemp(join(tmpdir(), "outside-")));
  try {
    await writeFile(join(outside, "s.json"), '{"port": 3}');
    await symlink(join(outside, "s.json"), join(folder, "link.json"));
    for (const name of [join(outside, "s.json"), "link.json", "../../etc/passwd", "../nothing.json"]) {
      const found = await problems(JSON.stringify({ gateway: { $include: name } }));
      assert.match(found[0] ?? "", /leads outside the config folder/, name);
    }
    const text = JSON.stringify({ gateway: { $include: "link.json" } });
    assert.equal((await loaded(text, { OPENCLAW_INCLUDE_ROOTS: outside })).config.gateway?.port, 3);
  } finally {
    await rm(outside, { recursive: true });
  }
});

test("includes that are missing, circular, too deep, too large or misnamed are errors", async () => {
  await writeFile(join(folder, "loop.json"), "{$include: 'loop.json'}");
  await writeFile(join(folder, "big.json"), `{"port": 1, "x": "${"x".repeat(2 * 1024 * 1024)}"}`);
  for (let depth = 0; depth < 12; depth++) {
    await writeFile(join(folder, `d${depth}.json`), `{"$include":"d${depth + 1}.json"}`);
  }
  const cases: [unknown, RegExp][] = [
    ["none.json", /"none.json" does not exist/],
    ["loop.json", /includes itself/],
    ["openclaw.json", /includes itself/],
    ["d0.json", /more than 10 deep/],
    ["big.json", /larger than 2 MB/],
    ["x".repeat(4096), /longer than 4096/],
    ["", /empty/],
    [[], /must be a file name/],
    [7, /must be a file name/],
  ];
  for (const [name, expected] of cases) {
    assert.match((await problems(JSON.stringify({ gateway: { $include: name } })))[0] ?? "", expected);
  }
});

test("what has no effect yet is named once, as shortly as it can be", async () => {
  const result = await loaded(
    "{browser:{enabled:true}, gateway:{port:1, tls:{enabled:true}}, agents:{list:[{id:'a', skills:[]}]}}",
  );
  const warnings = result.warnings.join("\n");
  assert.match(warnings, /^browser: accepted, but it has no effect yet$/m);
  assert.doesNotMatch(warnings, /gateway\.port/);
});

test("a start with plain JSON loads no JSON5 parser", async () => {
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({ resolve(name, context, next) {
      if (name.includes("momoa")) throw new Error("momoa was loaded");
      return next(name, context);
    } });
    const { loadConfig } = await import(process.argv[1]);
    const plain = await loadConfig({ file: process.argv[2], env: {} });
    await loadConfig({ file: process.argv[3], env: {} }).then(() => process.stdout.write("not caught"), () => {});
    process.stdout.write(String(plain.ok));`;
  await writeFile(join(folder, "plain.json"), '{"gateway":{"port":1}}');
  await writeFile(join(folder, "five.json"), "{gateway:{port:1}}");
  const module = new URL("./mod.ts", import.meta.url).href;
  const args = [
    "--input-type=module",
    "-e",
    script,
    module,
    join(folder, "plain.json"),
    join(folder, "five.json"),
  ];
  assert.equal(execFileSync(process.execPath, args, { encoding: "utf8" }), "true");
});

test("config (3): a reference in a list is followed in its place, and the rest of the list stays a list", async () => {
  const file = join(folder, "openclaw.json");
  const inject = { header: "authorization", value: { source: "env", id: "TOKEN" } };
  const egress = [{ host: "a.test" }, { host: "b.test", inject }, { host: "c.test" }];
  await writeFile(
    file,
    JSON.stringify({ agents: { list: [{ id: "a" }, { id: "b", sandbox: { egress } }] } }),
  );
  const result = await loadConfig({
    file,
    env: {},
    followReference: async ({ id }) => ({ ok: true, value: `value of ${id}` }),
  });
  assert.ok(result.ok);
  const [first, second] = result.config.agents?.list ?? [];
  assert.deepEqual(first, { id: "a" });
  assert.deepEqual(second?.sandbox?.egress, [
    { host: "a.test" },
    { host: "b.test", inject: { header: "authorization", value: "value of TOKEN" } },
    { host: "c.test" },
  ]);
});
