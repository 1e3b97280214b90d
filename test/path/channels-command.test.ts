/** Setting channels up and taking them away from the command line, beside a gateway that runs. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
    "--secrets-in-arguments",
    "--no-probe",
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
  const asked = await run(["add", "telegram", "--no-probe"], { input: `${fake.token}\n` });
  assert.equal(asked.code, 0, asked.err);
  assert.match(asked.out, /1\. Write to @BotFather[\s\S]*The bot's token \(hidden\)/);
  assert.ok(!asked.out.includes(fake.token));
  assert.ok((await config()).includes(fake.token));
});

const refused: readonly (readonly [args: readonly string[], code: number, error: RegExp])[] = [
  [[], 2, /which channel\? There are: telegram/],
  [["msn"], 2, /no channel "msn"; there are: telegram/],
  [
    ["telegram", "--token", "SECRETnotatoken", "--secrets-in-arguments"],
    1,
    /channels\.telegram\.botToken must be a token as @BotFather/,
  ],
  [["telegram", "--token", "1:SECRET"], 2, /botToken is a secret: .*'\$\{NAME\}' .*--secrets-in-arguments/],
  [["telegram", "--set", "botToken=1:SECRET"], 2, /botToken is a secret/],
  [["telegram", "--set", "webhookSecret=SECRET", "--token", "-"], 2, /webhookSecret is a secret/],
  [["email", "--set", "imap.__proto__.x=1"], 2, /"imap.__proto__.x" cannot be set here/],
  [
    ["telegram", "--token", "1:a", "--secrets-in-arguments", "--set", 'allowFrom=["@ada"]', "--no-probe"],
    1,
    /channels\.telegram\.allowFrom\.0 must be a numeric user id/,
  ],
  [["telegram", "--set", "botTokenSECRET"], 2, /--set is <key>=<value>/],
  [["telegram", "--set", "apiRoot=https://x.example"], 2, /botToken is needed too/],
  [["telegram", "--set", "__proto__=1"], 2, /"__proto__" cannot be set here/],
  [
    ["telegram", "--token", "1:a", "--secrets-in-arguments", "--no-probe", "--set", "nosuchkey=SECRET"],
    1,
    /nosuchkey/,
  ],
  [["telegram", "--token", "-", "--account", "a:b"], 2, /--account is letters/],
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
  const { code, err } = await runCommand(["channels", "add", "telegram", "--token", "-"], {
    input: "1:a",
    stateFolder: gateway.stateFolder,
  });
  assert.deepEqual([code, /begin with: openclaw onboard/.test(err)], [1, true]);
  await assert.rejects(readFile(gateway.configFile));
});

test("channels add asks the platform whether it knows the credentials; what it does not take is not written", async (t) => {
  const fake = await FakeTelegram.start({ keepAlive: false });
  t.after(() => fake.close());
  const gateway = await GatewayProcess.prepare(t);
  const run = (args: readonly string[], input: string) =>
    runCommand(["channels", "add", "telegram", "--set", `apiRoot=${fake.url}`, ...args], {
      stateFolder: gateway.stateFolder,
      input,
    });
  const before = await readFile(gateway.configFile, "utf8");
  const wrong = await run(["--token", "-"], "1:SECRET");
  assert.deepEqual([wrong.code, await readFile(gateway.configFile, "utf8")], [1, before]);
  assert.match(wrong.err, /nothing was changed: token revoked: .*--no-probe writes it all the same/);
  assert.doesNotMatch(wrong.err + wrong.out, /SECRET|trying again/);
  // It may come back: what cannot be asked now is no reason not to write it.
  fake.fault("getMe", { kind: "closeBefore" });
  const away = await run(["--token", "-", "--json"], fake.token);
  assert.match(JSON.parse(away.out).tested, /^could not be tested: Telegram cannot be reached/);
  const good = await run(["--token", "-", "--force"], fake.token);
  assert.match(good.out, /tested +Telegram knows it as @house_bot/);
  // What only the gateway's environment holds is not asked about.
  const named = await run(["--token", "$" + "{BOT_TOKEN}", "--account", "later"], "");
  assert.deepEqual([named.code, named.out.includes("tested")], [0, false], named.err);
  assert.match(await readFile(gateway.configFile, "utf8"), /\$\{BOT_TOKEN\}/);
});

test("channels add writes keys within keys and lists, and asks for each platform what it needs", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const run = (channel: string, input: string) =>
    runCommand(["channels", "add", channel, "--no-probe"], { stateFolder: gateway.stateFolder, input });
  const answers: Readonly<Record<string, readonly string[]>> = {
    email: [
      "house@example.org",
      "imap.example.org",
      "smtp.example.org",
      "p1",
      "",
      "ada@example.com, b@x.org",
    ],
    irc: ["irc.example.org", "house", "p1", "#a,#b", "ada"],
    signal: ["+15550009999", "", "+15550001234"],
    imessage: ["", "+15550001234"],
    discord: ["MTIzNDU2Nzg5MDEyMzQ1Njc4.GfakeT.test-token-of-the-fake-server"],
    slack: ["xoxb-1234567890-test-token", "xapp-1-A0TEST-1234567890-test"],
    github: ["", "github_pat_11ABCDEFG0_abcdefghijkl", "", "", "0123456789abcdef0123456789abcdef"],
    whatsapp: ["+15550001234", "n"],
  };
  for (const [channel, lines] of Object.entries(answers)) {
    const { code, err, out } = await run(channel, `${lines.join("\n")}\n`);
    assert.equal(code, 0, `${channel}: ${err}`);
    assert.match(out, new RegExp(`1\\. [\\s\\S]*docs/channels/${channel}\\.md`));
  }
  const { channels } = JSON.parse(await readFile(gateway.configFile, "utf8"));
  assert.deepEqual(channels.email.imap, { host: "imap.example.org" });
  assert.deepEqual(channels.email.allowFrom, ["ada@example.com", "b@x.org"]);
  assert.deepEqual([channels.irc.sasl, channels.irc.channels], [{ password: "p1" }, ["#a", "#b"]]);
  assert.deepEqual(Object.keys(channels).sort(), Object.keys(answers).sort());
  // Each is one that the gateway starts with.
  const valid = await runCommand(["config", "validate"], { stateFolder: gateway.stateFolder });
  assert.equal(valid.code, 0, valid.err);
});

/** A program that stands for npm: it notes what it was given, and lays down what `ci` would. */
const npmText = (version: string) => `#!/bin/sh
[ "$1" = ci ] && [ "$2" = --prefix ] || exit 9
case " $* " in *" --ignore-scripts "*) ;; *) exit 8;; esac
env | grep -q '^OPENCLAW_TEST_SECRET=' && exit 7
grep -q '"sha512-' "$3/package-lock.json" || exit 6
umask 000
mkdir -p "$3/node_modules/baileys"
printf '{"version":"${version}"}' > "$3/node_modules/baileys/package.json"
`;

test("channels add whatsapp installs the library when it is told to: this version, no scripts, where nobody else may write", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const bin = join(gateway.folder, "bin");
  await mkdir(bin);
  const run = (args: readonly string[], input = "") =>
    runCommand(["channels", "add", "whatsapp", ...args], {
      stateFolder: gateway.stateFolder,
      input,
      env: { PATH: `${bin}:/usr/bin:/bin`, OPENCLAW_TEST_SECRET: "x" },
    });
  const folder = join(gateway.stateFolder, "extensions", "whatsapp");
  const declined = await run([], "+15550001234\nn\n");
  assert.equal(declined.code, 0, declined.err);
  assert.match(declined.out, /GPL 3\.0[\s\S]*is missing: openclaw channels add whatsapp --install/);
  await assert.rejects(stat(folder));
  await writeFile(join(bin, "npm"), npmText("7.0.0"), { mode: 0o755 });
  const wrong = await run(["--install"]);
  assert.match(wrong.err, /could not be installed .*Run by hand: umask 077; npm ci --prefix/);
  await writeFile(join(bin, "npm"), npmText("7.0.0-rc14"), { mode: 0o755 });
  const done = await run(["--install"]);
  assert.deepEqual([done.code, /library +Baileys 7\.0\.0-rc14 is in/.test(done.out)], [0, true], done.err);
  for (const place of [folder, join(folder, "node_modules", "baileys")])
    assert.equal((await stat(place)).mode & 0o777, 0o700);
  assert.equal((await stat(join(folder, "package-lock.json"))).mode & 0o777, 0o600);
  assert.match((await run(["--install"])).out, /library +Baileys 7\.0\.0-rc14 is there/);
  // Where others may write, it could be anybody's.
  await chmod(join(folder, "node_modules", "baileys"), 0o775);
  const open = await run(["--force", "--set", "allowFrom=+15550001234"]);
  assert.match(open.out, /is missing/);
});
