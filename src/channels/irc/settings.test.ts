import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../../kernel/mod.ts";
import { irc, ircSettings } from "./settings.ts";

const base = { host: "irc.example", nick: "house" };

function read(config: unknown, env: Record<string, string> = {}) {
  const { accounts, problems } = ircSettings(config, { env, readSecretFile: (path) => `from ${path}` });
  return {
    accounts,
    problems: problems.map((problem) => `${problem.path.slice(2).join(".")}: must ${problem.message}`),
  };
}

function only(config: object, env: Record<string, string> = {}) {
  const { accounts, problems } = read({ ...base, ...config }, env);
  assert.deepEqual(problems, []);
  assert.equal(accounts.length, 1);
  return accounts[0]!;
}

test("no block gives no account; a server and a nick are needed", () => {
  assert.deepEqual(read(undefined).accounts, []);
  assert.deepEqual(read({ enabled: false, ...base }).accounts, []);
  assert.match(read({}).problems.join("\n"), /^host: must be set[\s\S]*nick: must be set/);
  assert.deepEqual(read({ host: "irc.example" }).accounts, []);
});

test("TLS is on; without it a server must be near, because passwords and accounts travel there", () => {
  assert.deepEqual([only({}).tls, only({}).port], [true, 6697]);
  assert.deepEqual(
    [only({ host: "127.0.0.1", tls: false }).tls, only({ host: "10.0.0.2", tls: false }).port],
    [false, 6667],
  );
  const { accounts, problems } = read({ ...base, tls: false });
  assert.deepEqual(accounts, []);
  assert.match(problems[0] ?? "", /^tls: must be true/);
});

test("passwords come from the key, a file or the environment, and never print", () => {
  const sasl = { username: "bot", password: "p1" };
  assert.equal(only({ sasl }).sasl?.password.reveal(), "p1");
  assert.equal(only({ sasl }).sasl?.username, "bot");
  assert.equal(only({ sasl: { password: new Secret("p2") } }).sasl?.username, "house");
  assert.equal(only({ sasl: { passwordFile: "/f" } }).sasl?.password.reveal(), "from /f");
  assert.equal(only({ sasl: {} }, { IRC_SASL_PASSWORD: "p3" }).sasl?.password.reveal(), "p3");
  assert.match(read({ ...base, sasl: {} }).problems[0] ?? "", /^sasl\.password: must be set/);
  assert.equal(only({ nickserv: { password: "p4" } }).nickserv?.service, "NickServ");
  assert.equal(only({ password: "p5" }).serverPassword?.reveal(), "p5");
  const { accounts } = irc.read(
    { ...base, sasl, password: "p5", nickserv: { password: "p4" } },
    { env: {}, readSecretFile: () => "" },
  );
  assert.deepEqual(accounts[0]?.secrets, ["p5", "p1", "p4"]);
  assert.doesNotMatch(accounts[0]?.fingerprint ?? "", /p1|p4|p5/);
});

test("a named account never takes over the channel's passwords", () => {
  const { accounts } = read({
    host: "irc.example",
    sasl: { password: "p1" },
    accounts: { work: { nick: "work" }, home: { nick: "home", sasl: { password: "p2" } } },
  });
  assert.deepEqual(
    accounts.map((account) => [account.accountId, account.sasl?.password.reveal()]),
    [
      ["work", undefined],
      ["home", "p2"],
    ],
  );
});

test("irc (4): no setting becomes a command of its own", () => {
  for (const bad of [
    { nick: "a b" },
    { nick: "a\r\nQUIT" },
    { nick: "9a" },
    { nick: "#a" },
    { realname: "x\r\nJOIN #y" },
    { username: "a\nb" },
    { nickserv: { password: "x\r\nQUIT" } },
    { nickserv: { password: "x", service: "a b" } },
    { channels: ["#a,#b"] },
    { channels: ["#a\r\nQUIT"] },
    { host: "a b" },
    { channels: "#a" },
  ]) {
    const { accounts, problems } = read({ ...base, ...bad });
    assert.deepEqual(accounts, [], JSON.stringify(bad));
    assert.ok(problems.length > 0);
  }
});

test("channels are joined when listed or named as groups, in one spelling", () => {
  assert.deepEqual(only({ channels: ["#A", "#b"], groups: { "#C": {}, "*": {}, "#a": {} } }).channels, [
    "#a",
    "#b",
    "#c",
  ]);
});

test("channels (5): a sender is an account; masks and nicks with an address are none (attacks A-055, A-057)", () => {
  assert.deepEqual(irc.ids.sender("irc:Ada"), { id: "ada" });
  assert.deepEqual(irc.ids.sender("ben[x]"), { id: "ben[x]" });
  for (const bad of ["ada!*@*", "ada!u@h", "nick:ada", "#lounge", "", "a b", "@ada"])
    assert.ok("problem" in irc.ids.sender(bad), bad);
});

test("two accounts with one nick on one server are a problem (attack A-181)", () => {
  const { problems } = read({
    host: "irc.example",
    accounts: { a: { nick: "House" }, b: { nick: "house" } },
  });
  assert.match(problems[0] ?? "", /^accounts: must have one nick per server/);
});

test("lines leave one in two seconds, or as the settings say", () => {
  assert.equal(only({}).lineIntervalMs, 2_000);
  assert.equal(only({ lineIntervalMs: 0 }).lineIntervalMs, 0);
  assert.equal(read({ ...base, lineIntervalMs: 60_001 }).problems.length, 1);
});
