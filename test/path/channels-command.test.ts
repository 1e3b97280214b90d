/** Setting channels up and taking them away from the command line, beside a gateway that runs. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { type TestContext, test } from "node:test";
import { type CommandLine, runCommand } from "../support/command-line.ts";
import { GatewayProcess } from "../support/gateway.ts";
import { FakeTelegram } from "../support/telegram/server.ts";

async function house(t: TestContext) {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gateway = await GatewayProcess.prepare(t);
  const text = await readFile(gateway.configFile, "utf8");
  await writeFile(gateway.configFile, text.replace("{", "{\n  // what I must remember"));
  await gateway.start();
  const run = (args: readonly string[], more: Partial<CommandLine> = {}) =>
    runCommand(["channels", ...args], { stateFolder: gateway.stateFolder, port: gateway.port, ...more });
  const config = () => readFile(gateway.configFile, "utf8");
  return { fake, gateway, run, config };
}

test("channels add, from flags: the running gateway takes it, comments stay, no secret is shown; remove takes it out", async (t) => {
  const { fake, run, config } = await house(t);
  const add = [
    "add",
    "telegram",
    "--token",
    "-",
    "--set",
    `apiRoot=${fake.url}`,
    "--set",
    'allowFrom=["42"]',
  ];
  const added = await run(add, { input: `${fake.token}\n` });
  assert.equal(added.code, 0, added.err);
  assert.match(
    added.out,
    /set +channels\.telegram\.apiRoot, .*botToken[\s\S]*pairing approve telegram <code>/,
  );
  assert.ok(!(added.out + added.err).includes(fake.token));
  assert.match(await config(), /what I must remember/);
  await fake.polled();
  assert.match((await run(["status", "--probe"])).out, /Telegram +default +connected +@/);
  const before = await config();
  const again = await run(add, { input: fake.token });
  assert.deepEqual([again.code, /has .*botToken.* already; --force/.test(again.err)], [1, true]);
  assert.equal(await config(), before);

  assert.match((await run(["stop", "telegram"])).out, /telegram:default is stopped/);
  assert.match((await run(["list"])).out, /stopped/);
  assert.equal((await run(["start", "--channel", "telegram"])).code, 0);
  await fake.polled();

  const second = [
    "add",
    "telegram",
    "--account",
    "second",
    "--token",
    "7:second",
    "--set",
    `apiRoot=${fake.url}`,
  ];
  assert.equal((await run(second)).code, 0);
  const which = await run(["remove", "telegram"]);
  assert.deepEqual([which.code, /accounts second: say --account/.test(which.err)], [1, true]);
  assert.equal((await run(["remove", "telegram", "--account", "second"])).code, 0);
  assert.ok(!(await config()).includes("7:second"));
  assert.ok((await config()).includes(fake.token));
  assert.equal((await run(["remove", "telegram", "--all"])).code, 0);
  assert.doesNotMatch(await config(), /telegram/);
  assert.match(await config(), /what I must remember/);
  assert.equal((await run(["remove", "telegram"])).code, 1);
});

test("channels add asks what the platform needs, and never echoes what is typed", async (t) => {
  const { fake, run, config } = await house(t);
  const asked = await run(["add", "telegram"], { input: `${fake.token}\n` });
  assert.equal(asked.code, 0, asked.err);
  assert.match(asked.out, /1\. Write to @BotFather[\s\S]*The bot's token \(hidden\)/);
  assert.ok(!asked.out.includes(fake.token));
  assert.ok((await config()).includes(fake.token));
});

const refused: readonly (readonly [args: readonly string[], code: number, error: RegExp])[] = [
  [[], 2, /which channel\? There are: telegram/],
  [["msn"], 2, /no channel "msn"; there are: telegram/],
  [
    ["telegram", "--token", "SECRETnotatoken"],
    1,
    /channels\.telegram\.botToken must be a token as @BotFather/,
  ],
  [["telegram", "--set", "botTokenSECRET"], 2, /--set is <key>=<value>/],
  [["telegram", "--set", "apiRoot=https://x.example"], 2, /botToken is needed too/],
  [["telegram", "--set", "__proto__=1"], 2, /"__proto__" cannot be set here/],
  [["telegram", "--token", "1:a", "--set", "nosuchkey=SECRET"], 1, /nosuchkey/],
  [["telegram", "--token", "1:a", "--account", "a:b"], 2, /--account is letters/],
  [["telegram", "--token", "-"], 2, /the value of botToken is empty/],
];
test("channels add: what does not fit is refused in a sentence, without the value, and the config stays", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const before = await readFile(gateway.configFile, "utf8");
  for (const [args, code, error] of refused) {
    const result = await runCommand(["channels", "add", ...args], { stateFolder: gateway.stateFolder });
    assert.equal(result.code, code, `${args.join(" ")}: ${result.err}`);
    assert.match(result.err, error);
    assert.doesNotMatch(result.err + result.out, /SECRET/);
  }
  assert.equal(await readFile(gateway.configFile, "utf8"), before);
});

test("channels add writes no config where there is none: it would lack the baseline", async (t) => {
  const gateway = await GatewayProcess.prepare(t, { configured: false });
  const { code, err } = await runCommand(["channels", "add", "telegram", "--token", "1:a"], {
    stateFolder: gateway.stateFolder,
  });
  assert.deepEqual([code, /begin with: openclaw onboard/.test(err)], [1, true]);
  await assert.rejects(readFile(gateway.configFile));
});
