import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../kernel/mod.ts";
import { discord, discordSettings } from "./settings.ts";

const token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GfakeT.test-token-of-the-fake-server-0123456";
const sources = {
  env: {},
  readSecretFile: () => {
    throw new InputError("no file");
  },
};
const read = (section: unknown, env: Record<string, string> = {}) =>
  discordSettings(section, { ...sources, env });
const paths = (problems: readonly { readonly path: readonly (string | number)[] }[]) =>
  problems.map(({ path }) => path.slice(2).join("."));

test("channels (9): the token is a secret, comes from the config or, for the default account, the environment", () => {
  const { accounts, problems } = read({ token });
  assert.deepEqual(problems, []);
  assert.equal(accounts[0]?.token.reveal(), token);
  assert.equal(discord.read({ token }, sources).accounts[0]?.fingerprint.includes("GfakeT"), false);
  assert.equal(read({}, { DISCORD_BOT_TOKEN: token }).accounts.length, 1);
  assert.equal(read({ accounts: { work: {} } }, { DISCORD_BOT_TOKEN: token }).accounts.length, 0);
  assert.deepEqual(read(undefined, { DISCORD_BOT_TOKEN: token }).accounts, []);
  assert.deepEqual(paths(read({ token: `Bot ${token}` }).problems), ["token"]);
  assert.deepEqual(paths(read({ token: "x\r\nhost: evil" }).problems), ["token"]);
  assert.deepEqual(read({ token, enabled: false }).accounts, []);
});

test("settings that are not given are the safe ones", () => {
  const [account] = read({ token }).accounts;
  assert.equal(account?.suppressEmbeds, true);
  assert.equal(account?.textChunkLimit, 2000);
  assert.equal(account?.apiRoot, "https://discord.com/api/v10");
  assert.equal(read({ token, intents: { messageContent: false } }).accounts[0]?.messageContent, false);
});

test("discord (6): the API's root is https, or this machine", () => {
  assert.equal(
    read({ token, apiRoot: "http://127.0.0.1:1/api/v10/" }).accounts[0]?.apiRoot,
    "http://127.0.0.1:1/api/v10",
  );
  for (const apiRoot of [
    "http://discord.example/api",
    "https://u:p@discord.com/api",
    "ftp://discord.com",
    "x",
  ]) {
    assert.deepEqual(paths(read({ token, apiRoot }).problems), ["apiRoot"], apiRoot);
  }
});

test("channels (5): a sender is an id in one spelling, and never a name (attacks A-055, A-056)", () => {
  const id = "100000000000000042";
  for (const text of [id, `discord:${id}`, `user:${id}`, `<@${id}>`])
    assert.deepEqual(discord.ids.sender(text), { id });
  for (const text of ["ada", "ada#0001", "@ada", "", "general"]) {
    assert.ok("problem" in discord.ids.sender(text), text);
    assert.ok("problem" in discord.ids.group(text), text);
  }
  for (const text of ["０１２３４５６７", "0123456789", "-123456789", "123456789012345678901"]) {
    assert.ok("problem" in discord.ids.sender(text), text);
    assert.ok("problem" in discord.ids.group(text), text);
  }
});

test("an audience is asked for by ids alone: they become part of a path", () => {
  const good = { guildId: "500000000000000001", channelId: "200000000000000001" };
  const audiences = [good, { ...good, guildId: "1/../2" }, { ...good, channelId: "general" }];
  const { accounts } = discordSettings({ token }, { env: {}, readSecretFile: () => "", audiences });
  assert.deepEqual(accounts[0]?.audiences, [good]);
});

test("two accounts with one token are refused, not guessed (attack A-181)", () => {
  const { problems } = read({ accounts: { a: { token }, b: { token } } });
  assert.match(problems[0]?.message ?? "", /one bot per account: b/);
});
