import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../kernel/mod.ts";
import { slack, slackSettings } from "./settings.ts";

const botToken = "xoxb-1234567890-test-token";
const appToken = "xapp-1-A0TEST-1234567890-test";
const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5";
const sources = {
  env: {},
  readSecretFile: () => {
    throw new InputError("no file");
  },
};
const read = (section: unknown, env: Record<string, string> = {}) =>
  slackSettings(section, { ...sources, env });
const paths = (problems: readonly { readonly path: readonly (string | number)[] }[]) =>
  problems.map(({ path }) => path.slice(2).join("."));

test("Socket Mode needs an app token, posted events a signing secret; each is of its own kind", () => {
  const socket = read({ botToken, appToken });
  assert.deepEqual(socket.problems, []);
  assert.equal(socket.accounts[0]?.mode.kind, "socket");
  const http = read({ botToken, signingSecret, mode: "http" });
  assert.deepEqual(http.problems, []);
  assert.deepEqual(
    { ...http.accounts[0]?.mode, signingSecret: "" },
    { kind: "http", path: "/slack/events", signingSecret: "" },
  );
  for (const [section, path] of [
    [{ botToken }, "appToken"],
    [{ botToken, appToken: botToken }, "appToken"],
    [{ botToken: appToken, appToken }, "botToken"],
    [{ botToken: "xoxp-user-token-1234", appToken }, "botToken"],
    [{ botToken: `${botToken}\r\nx: y`, appToken }, "botToken"],
    [{ botToken, mode: "http" }, "signingSecret"],
    [{ botToken, mode: "http", signingSecret: "short" }, "signingSecret"],
    [{ botToken, mode: "http", signingSecret, webhookPath: "/a b" }, "webhookPath"],
    [{ botToken, mode: "relay" }, "mode"],
  ] as const) {
    const { accounts, problems } = read(section);
    assert.deepEqual(paths(problems), [path]);
    assert.equal(accounts.length, 0, path);
  }
});

test("channels (9): the secrets are known to the redactor and in no fingerprint", () => {
  const { accounts } = slack.read({ botToken, appToken }, sources);
  assert.deepEqual(accounts[0]?.secrets, [botToken, appToken]);
  assert.equal(/xoxb|xapp/.test(accounts[0]?.fingerprint ?? ""), false);
  const env = { SLACK_BOT_TOKEN: botToken, SLACK_APP_TOKEN: appToken };
  assert.equal(read({}, env).accounts.length, 1);
  assert.equal(read({ accounts: { work: {} } }, env).accounts.length, 0);
  assert.deepEqual(read(undefined, env).accounts, []);
  assert.deepEqual(read({ botToken, appToken, enabled: false }).accounts, []);
});

test("channels (5): a sender is an id in one spelling, and never a name (attacks A-055 to A-057)", () => {
  for (const text of ["U012AB3CD", "slack:U012AB3CD", "user:U012AB3CD", "<@U012AB3CD>"])
    assert.deepEqual(slack.ids.sender(text), { id: "U012AB3CD" });
  assert.deepEqual(slack.ids.group("<#C012AB3CD>"), { id: "C012AB3CD" });
  for (const text of ["u012ab3cd", "@ada", "ada@example.org", "C012AB3CD", ""])
    assert.ok("problem" in slack.ids.sender(text), text);
  for (const text of ["#general", "c012ab3cd", "general", "U012AB3CD", ""])
    assert.ok("problem" in slack.ids.group(text), text);
});

test("slack (6): the API's root is https, or this machine", () => {
  const apiRoot = "http://127.0.0.1:1/api";
  assert.equal(read({ botToken, appToken, apiRoot: `${apiRoot}/` }).accounts[0]?.apiRoot, apiRoot);
  for (const bad of ["http://slack.example/api", "https://u:p@slack.com/api", "x"]) {
    assert.deepEqual(paths(read({ botToken, appToken, apiRoot: bad }).problems), ["apiRoot"], bad);
  }
});

test("two accounts that cannot be told apart are refused (attack A-181)", () => {
  const { problems } = read({ accounts: { a: { botToken, appToken }, b: { botToken, appToken } } });
  assert.match(problems[0]?.message ?? "", /one app per account: b/);
  const http = { mode: "http", signingSecret };
  const two = { a: { ...http, botToken }, b: { ...http, botToken: `${botToken}-2` } };
  assert.match(read({ accounts: two }).problems[0]?.message ?? "", /one webhookPath per account: b/);
});
