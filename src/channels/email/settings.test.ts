import assert from "node:assert/strict";
import { test } from "node:test";
import { email, emailSettings } from "./settings.ts";

const base = {
  address: "bot@example.org",
  imap: { host: "imap.example.org" },
  smtp: { host: "smtp.example.org" },
  password: "p1",
};

function read(config: unknown, env: Record<string, string> = {}) {
  const { accounts, problems } = emailSettings(config, { env, readSecretFile: (path) => `from ${path}` });
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

test("no block gives no account; an address, both servers and a login are needed", () => {
  assert.deepEqual(read(undefined).accounts, []);
  assert.deepEqual(read({ ...base, enabled: false }).accounts, []);
  for (const key of ["address", "imap", "smtp", "password"]) {
    const { accounts, problems } = read({ ...base, [key]: undefined });
    assert.deepEqual(accounts, [], key);
    assert.match(problems.join("\n"), new RegExp(`^${key}: must be`), key);
  }
  assert.equal(only({ password: undefined }, { EMAIL_PASSWORD: "p2" }).login.with.kind, "password");
});

test("TLS is on; clear text only where nobody else is on the way", () => {
  assert.deepEqual([only({}).imap.security, only({}).imap.port, only({}).smtp.port], ["tls", 993, 465]);
  assert.equal(only({ smtp: { host: "x.org", security: "starttls" } }).smtp.port, 587);
  assert.equal(only({ imap: { host: "127.0.0.1", security: "none" } }).imap.port, 143);
  const { accounts, problems } = read({ ...base, imap: { host: "imap.example.org", security: "none" } });
  assert.deepEqual(accounts, []);
  assert.match(problems[0] ?? "", /^imap\.security: must be tls or starttls/);
});

test("OAuth2 needs an https address for its secrets, and never prints them", () => {
  const oauth2 = {
    tokenUrl: "https://login.example/token",
    clientId: "id",
    clientSecret: "s1",
    refreshToken: "s2",
  };
  const { login } = only({ password: undefined, oauth2 });
  assert.equal(login.with.kind, "oauth2");
  assert.equal(login.user, "bot@example.org");
  const { accounts } = email.read({ ...base, oauth2 }, { env: {}, readSecretFile: () => "" });
  assert.deepEqual(accounts[0]?.secrets, ["s2", "s1"]);
  assert.doesNotMatch(accounts[0]?.fingerprint ?? "", /s1|s2|p1/);
  for (const bad of [
    { tokenUrl: "http://login.example/token" },
    { tokenUrl: "x" },
    { clientId: undefined },
    { refreshToken: undefined },
  ]) {
    assert.deepEqual(read({ ...base, oauth2: { ...oauth2, ...bad } }).accounts, [], JSON.stringify(bad));
  }
});

test("channels (5): a sender is an address in one spelling; a domain or a name is none (attacks A-055, A-057)", () => {
  assert.deepEqual(email.ids.sender("mailto:ada@Example.ORG"), { id: "ada@example.org" });
  assert.deepEqual(email.ids.sender("Ben@example.org"), { id: "Ben@example.org" });
  for (const bad of [
    "@example.org",
    "example.org",
    "Ada",
    "from:ada@example.org",
    "*@example.org",
    "a b@c.d",
    "",
  ])
    assert.ok("problem" in email.ids.sender(bad), bad);
});

test("aliases are addresses; two accounts with one mailbox are a problem (attack A-181)", () => {
  assert.deepEqual(only({ aliases: ["In@Example.org"] }).aliases, ["In@example.org"]);
  assert.match(
    read({ ...base, aliases: ["x"] }).problems[0] ?? "",
    /^aliases: must be an array of addresses/,
  );
  const account = { ...base, password: "x" };
  assert.match(
    read({ accounts: { a: account, b: account } }).problems.join(),
    /one mailbox per account: b repeats/,
  );
  const { accounts } = read({ ...base, address: undefined, accounts: { a: { address: "a@example.org" } } });
  assert.deepEqual(accounts, [], "a named account never takes over the channel's password");
});

test("the server's name is compared in lower case, and no display name becomes a header", () => {
  assert.equal(only({ authservId: " MX.Example.org " }).authservId, "mx.example.org");
  assert.equal(only({}).authservId, undefined);
  assert.doesNotMatch(only({ displayName: 'a"<b>\r\nBcc: x' }).displayName, /[\r\n"<>]/);
});
