import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InputError, Secret } from "../../kernel/mod.ts";
import { readSecretFile } from "../secret-file.ts";
import { telegram, telegramSettings } from "./settings.ts";

const token = "123456:AAF-abcdefghijklmnopqrstuvwxyz012345";
const other = "654321:AAF-abcdefghijklmnopqrstuvwxyz012345";

function read(config: unknown, env: Record<string, string> = {}) {
  const { accounts, problems } = telegramSettings(config, { env, readSecretFile });
  return {
    accounts,
    problems: problems.map((problem) => `${problem.path.slice(2).join(".")}: must ${problem.message}`),
  };
}

/** The single account of a config without problems. */
function only(config: object) {
  const { accounts, problems } = read({ botToken: token, ...config });
  assert.deepEqual(problems, []);
  assert.equal(accounts.length, 1);
  return accounts[0]!;
}

test("no block gives no account, whatever the environment holds", () => {
  assert.deepEqual(read(undefined, { TELEGRAM_BOT_TOKEN: token }).accounts, []);
  assert.deepEqual(read({ enabled: false, botToken: token }).accounts, []);
});

test("the token comes from botToken, tokenFile or, for the default account only, the environment", () => {
  assert.equal(only({}).botToken.reveal(), token);
  assert.equal(read({ botToken: new Secret(token) }).accounts[0]?.botToken.reveal(), token);
  assert.equal(read({}, { TELEGRAM_BOT_TOKEN: other }).accounts[0]?.botToken.reveal(), other);
  assert.equal(
    telegramSettings(
      { tokenFile: "/t" },
      { env: {}, readSecretFile: () => other },
    ).accounts[0]?.botToken.reveal(),
    other,
  );
  assert.match(read({}).problems[0] ?? "", /^botToken: must be set/);
  const named = read({ accounts: { work: {} } }, { TELEGRAM_BOT_TOKEN: token });
  assert.deepEqual(named.accounts, []);
  assert.match(named.problems[0] ?? "", /^accounts\.work\.botToken: must be set/);
});

test("channels (9): a token that is none is a problem that does not repeat it", () => {
  for (const botToken of [
    "123:abc/../../getMe",
    "no token",
    "123:abc?x",
    "123:abc def",
    { source: "env" },
    7,
  ]) {
    const { accounts, problems } = read({ botToken });
    assert.deepEqual(accounts, []);
    assert.equal(problems.length > 0, true);
    assert.equal(JSON.stringify(problems).includes("abc"), false);
  }
});

test("channels (5): a sender is a numeric id; prefixes are cut off, names are none (attack A-055)", () => {
  for (const text of ["1", "tg:1", "telegram:1", "TG:1"])
    assert.deepEqual(telegram.ids.sender(text), { id: "1" });
  for (const bad of ["@ada", "ada", "-100123", "1.5", "", "0", "1e3", "4 2"])
    assert.ok("problem" in telegram.ids.sender(bad), bad);
  assert.deepEqual(telegram.ids.group("-1001"), { id: "-1001" });
  for (const bad of ["My group", "1001", "@group", ""]) assert.ok("problem" in telegram.ids.group(bad), bad);
});

test("who may talk is no business of the connection: a changed list opens nothing again", () => {
  const fingerprint = (section: object) =>
    telegram.read({ botToken: token, ...section }, { env: {}, readSecretFile }).accounts[0]?.fingerprint;
  const access = {
    dmPolicy: "open",
    allowFrom: ["*"],
    groupPolicy: "open",
    groupAllowFrom: [5],
    groups: { "-1": { allowFrom: [7] } },
  };
  assert.equal(fingerprint(access), fingerprint({}));
  assert.notEqual(fingerprint({ textChunkLimit: 100 }), fingerprint({}));
});

test("an account overrides the channel's values", () => {
  const { accounts, problems } = read({
    textChunkLimit: 2000,
    accounts: {
      work: { botToken: token, textChunkLimit: 1000 },
      home: { botToken: other },
      off: { enabled: false },
    },
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(
    accounts.map((account) => [account.accountId, account.textChunkLimit]),
    [
      ["work", 1000],
      ["home", 2000],
    ],
  );
});

test("a default account stands beside named ones when the channel has a token of its own", () => {
  const { accounts } = read({ botToken: token, accounts: { work: { botToken: other } } });
  assert.deepEqual(
    accounts.map((account) => account.accountId),
    ["default", "work"],
  );
  const { accounts: explicit } = read({ accounts: { default: {} } }, { TELEGRAM_BOT_TOKEN: token });
  assert.equal(explicit[0]?.botToken.reveal(), token);
});

test("two accounts with one bot or one webhook path are a problem (attack A-181)", () => {
  const hook = { webhookUrl: "https://a.example/x", webhookSecret: "s" };
  const { problems } = read({
    accounts: { a: { botToken: token, ...hook }, b: { botToken: token, ...hook } },
  });
  assert.equal(problems.length, 2);
  assert.match(problems.join("\n"), /repeats another one's token[\s\S]*one webhookPath per account/);
  assert.match(
    read({ accounts: { "a:b": { botToken: token } } }).problems[0] ?? "",
    /have a name of letters/,
  );
});

test("a webhook needs https and a secret (attack A-171)", () => {
  const mode = only({ webhookUrl: "https://a.example/telegram-webhook", webhookSecret: "s3cret_-" }).mode;
  assert.ok(mode !== "polling");
  assert.equal(mode.path, "/telegram-webhook");
  assert.equal(JSON.stringify(mode).includes("s3cret"), false);
  const bad = (more: object) =>
    read({ botToken: token, webhookUrl: "https://a.example/x", ...more }).problems[0] ?? "";
  assert.match(bad({}), /^webhookSecret: must be set/);
  assert.match(bad({ webhookSecret: "" }), /^webhookSecret/);
  assert.match(bad({ webhookSecret: "with space" }), /^webhookSecret: must have 1 to 256/);
  assert.match(
    bad({ webhookSecret: "s", webhookUrl: "http://a.example/x" }),
    /^webhookUrl: must be an https/,
  );
  assert.match(bad({ webhookSecret: "s", webhookPath: "no-slash" }), /^webhookPath/);
});

test("the token travels in clear text only to this machine or a private network", () => {
  for (const apiRoot of [
    "http://127.0.0.1:8081/",
    "http://localhost:1",
    "http://bot-api:8081",
    "http://10.0.0.2",
    "http://[::1]:1",
  ]) {
    assert.equal(only({ apiRoot }).apiRoot, apiRoot.replace(/\/$/, ""));
  }
  for (const apiRoot of [
    "http://api.telegram.org",
    "http://8.8.8.8",
    "ftp://x",
    "https://u:p@x.example",
    "nonsense",
    "https://x/?a",
  ]) {
    const { accounts, problems } = read({ botToken: token, apiRoot });
    assert.match(problems[0] ?? "", /^apiRoot: must/, apiRoot);
    assert.equal(accounts[0]?.apiRoot, "https://api.telegram.org");
  }
});

test("values of a wrong type are named, not guessed", () => {
  const { problems } = read({
    botToken: token,
    textChunkLimit: 5000,
    linkPreview: "no",
  });
  assert.deepEqual(problems.map((problem) => problem.split(":")[0]).sort(), [
    "linkPreview",
    "textChunkLimit",
  ]);
  assert.match(read([]).problems[0] ?? "", /be object/);
});

test("a token file is a small regular file, never a link or a pipe (attack A-200)", () => {
  const folder = mkdtempSync(join(tmpdir(), "token-file-"));
  try {
    const file = join(folder, "token");
    writeFileSync(file, `${token}\n`);
    assert.equal(readSecretFile(file), token);
    symlinkSync(file, join(folder, "link"));
    writeFileSync(join(folder, "large"), "x".repeat(16_385));
    writeFileSync(join(folder, "key"), "x".repeat(16_384));
    assert.equal(readSecretFile(join(folder, "key")).length, 16_384);
    writeFileSync(join(folder, "empty"), " \n");
    const cases = [
      ["link", /symbolic link/],
      ["large", /larger than 16384 bytes/],
      ["empty", /is empty/],
      ["../../dev/null", /not a regular file/],
      ["missing", /ENOENT/],
      ["", /not a regular file/],
    ] as const;
    for (const [name, expected] of cases) {
      assert.throws(
        () => readSecretFile(join(folder, name)),
        (error) =>
          error instanceof InputError && expected.test(error.message) && !error.message.includes(token),
      );
    }
    const { problems } = read({ tokenFile: join(folder, "link") });
    assert.match(problems[0] ?? "", /^tokenFile: must be readable: .*symbolic link/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
