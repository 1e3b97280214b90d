import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { InputError } from "../../kernel/mod.ts";
import { github, githubSettings } from "./settings.ts";

const pemOf = (bits: number) =>
  generateKeyPairSync("rsa", { modulusLength: bits })
    .privateKey.export({ type: "pkcs1", format: "pem" })
    .toString();
const privateKey = pemOf(2048);
const token = "github_pat_11ABCDEFG0_abcdefghijkl";
const webhookSecret = "0123456789abcdef0123456789abcdef";
const sources = {
  env: {},
  readSecretFile: (path: string) => {
    if (path === "/run/token") return token;
    if (path === "/run/key.pem") return privateKey;
    throw new InputError("no file");
  },
};
const read = (section: unknown) => githubSettings(section, sources);
const paths = (problems: readonly { readonly path: readonly (string | number)[] }[]) =>
  problems.map(({ path }) => path.slice(2).join("."));

test("an App needs its id and key, a user a token; each with a webhook's secret", () => {
  const app = read({ appId: 123456, privateKey, webhookSecret, installationId: 7 });
  assert.deepEqual(app.problems, []);
  const { auth, webhookPath, apiRoot } = app.accounts[0]!;
  assert.deepEqual([auth.kind, webhookPath, apiRoot], ["app", "/github/events", "https://api.github.com"]);
  const base64 = Buffer.from(privateKey).toString("base64");
  for (const key of [privateKey.replaceAll("\n", "\\n"), base64, `\n${privateKey}\n`]) {
    assert.deepEqual(read({ appId: "Iv1.abc", privateKey: key, webhookSecret }).problems, []);
  }
  const inFile = read({ appId: 123456, privateKeyFile: "/run/key.pem", webhookSecret });
  assert.deepEqual([inFile.problems, inFile.accounts[0]?.auth.kind], [[], "app"]);
  assert.deepEqual(paths(read({ appId: 1, privateKeyFile: "/run/none", webhookSecret }).problems), [
    "privateKeyFile",
  ]);
  const user = read({ tokenFile: "/run/token", webhookSecret, repositories: ["House/Repo"] });
  assert.deepEqual(user.problems, []);
  assert.deepEqual(
    { ...user.accounts[0]!.auth, token: "" },
    { kind: "token", token: "", repositories: ["house/repo"] },
  );
  for (const [section, path] of [
    [{ webhookSecret }, "token"],
    [{ token }, "webhookSecret"],
    [{ token, webhookSecret: "short" }, "webhookSecret"],
    [{ token: `${token}\r\nx: y`, webhookSecret }, "token"],
    [{ token, appId: 1, privateKey, webhookSecret }, "appId"],
    [{ appId: "1/2", privateKey, webhookSecret }, "appId"],
    [{ appId: 1, webhookSecret }, "privateKey"],
    [{ appId: 1, privateKey: "no key", webhookSecret }, "privateKey"],
    [{ appId: 1, privateKey: pemOf(1024), webhookSecret }, "privateKey"],
    [{ appId: 1, privateKey, webhookSecret, installationId: "7" }, "installationId"],
    [{ token, webhookSecret, webhookPath: "/a b" }, "webhookPath"],
  ] as const) {
    const { accounts, problems } = read(section);
    assert.deepEqual(paths(problems), [path]);
    assert.equal(accounts.length, 0, path);
  }
});

test("channels (9): the secrets are known to the redactor and in no fingerprint or problem", () => {
  const { accounts } = github.read({ appId: 1, privateKey, webhookSecret }, sources);
  assert.deepEqual(accounts[0]?.secrets, [privateKey, webhookSecret]);
  assert.equal(/PRIVATE|0123456789abcdef/.test(accounts[0]?.fingerprint ?? ""), false);
  const user = github.read({ token, webhookSecret }, sources);
  assert.deepEqual(user.accounts[0]?.secrets, [token, webhookSecret]);
  const broken = read({ appId: 1, privateKey: privateKey.slice(0, 900), webhookSecret: "hunter2" });
  assert.equal(/hunter2|MII/.test(JSON.stringify(broken.problems)), false);
  assert.deepEqual(read(undefined).accounts, []);
  assert.deepEqual(read({ token, webhookSecret, enabled: false }).accounts, []);
  assert.equal(read({ token, webhookSecret, accounts: { work: {} } }).accounts.length, 1);
});

test("channels (5): a sender is a user's number in one spelling, and never a login (attacks A-055 to A-057)", () => {
  for (const text of ["583231", "github:583231", "user:583231"])
    assert.deepEqual(github.ids.sender(text), { id: "583231" });
  assert.deepEqual(github.ids.group("House/Repo"), { id: "house/repo" });
  for (const text of ["octocat", "@octocat", "0583231", "5.8e5", ""])
    assert.ok("problem" in github.ids.sender(text), text);
  for (const text of ["house", "house/..", ""]) assert.ok("problem" in github.ids.group(text), text);
  assert.deepEqual(paths(read({ token, webhookSecret, repositories: ["house", "house/repo"] }).problems), [
    "repositories.0",
  ]);
});

test("a token goes to no address in clear text but a near one", () => {
  const at = (apiRoot: string) => read({ token, webhookSecret, apiRoot });
  assert.equal(at("https://git.example.org/api/v3/").accounts[0]?.apiRoot, "https://git.example.org/api/v3");
  assert.equal(at("http://127.0.0.1:8080").accounts[0]?.apiRoot, "http://127.0.0.1:8080");
  for (const apiRoot of [
    "http://git.example.org",
    "https://u:p@git.example.org",
    "ftp://x",
    "no url",
    "https://x/?a",
  ]) {
    const { accounts, problems } = at(apiRoot);
    assert.deepEqual(paths(problems), ["apiRoot"], apiRoot);
    assert.equal(accounts[0]?.apiRoot, "https://api.github.com");
  }
});

test("two accounts that cannot be told apart are refused (attack A-181)", () => {
  const app = { appId: 1, privateKey, webhookSecret };
  const messages = (section: unknown) => read(section).problems.map(({ message }) => message);
  const same = messages({
    accounts: { one: { ...app, webhookPath: "/a" }, two: { ...app, webhookPath: "/b" } },
  });
  assert.match(same.join(), /two repeats another one's appId/);
  const path = messages({ accounts: { one: app, two: { token, webhookSecret } } });
  assert.match(path.join(), /two repeats one/);
  const tokens = messages({
    token,
    webhookSecret,
    accounts: { two: { token, webhookSecret, webhookPath: "/b" } },
  });
  assert.match(tokens.join(), /two repeats another one's token/);
});
