import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { handClock } from "../../test/support/device-bench.ts";
import { systemRandom } from "../kernel/mod.ts";
import { apiTokenParts, parseApiTokens } from "./api-token-records.ts";
import { openApiTokens, type TokenMaker, type WantedToken } from "./api-tokens.ts";
import { makePrincipal } from "./principal.ts";

const owner: TokenMaker = { id: "cli", scopes: ["operator.admin"], limits: {} };
const reader = { name: "reader", scopes: ["operator.read"] };
const day = 24 * 3600 * 1000;

async function setUp(content?: unknown) {
  const { clock, forward } = handClock();
  const disk = { content, failsToWrite: false, writes: 0 };
  const ended: string[] = [];
  const logged: string[] = [];
  const recorded: (readonly string[])[] = [];
  const hand = { changed: () => {} };
  const tokens = await openApiTokens({
    file: {
      async read() {
        if (disk.content instanceof Error) throw disk.content;
        return disk.content === undefined ? undefined : structuredClone(disk.content);
      },
      async write(value) {
        if (disk.failsToWrite) throw new Error("disk full");
        disk.content = structuredClone(value);
        disk.writes += 1;
      },
      watch(changed) {
        hand.changed = changed;
        return () => {
          hand.changed = () => {};
        };
      },
    },
    clock,
    random: systemRandom,
    log: (_level, message) => void logged.push(message),
    ended: (id) => void ended.push(id),
    record: async (action, facts) => void recorded.push([action, ...(facts.ids as string[])]),
  });
  const make = async (wanted: WantedToken, maker = owner) => {
    const made = await tokens.create(maker, wanted);
    assert.ok(made.ok, JSON.stringify(made));
    const text = made.value.token.reveal();
    return { text, id: made.value.view.id, name: `token:${made.value.view.id}` };
  };
  const entries = () => (disk.content as { tokens: Record<string, unknown>[] }).tokens;
  return { tokens, make, disk, ended, logged, recorded, forward, clock, hand, entries };
}

test("auth (16): a token is shown once, kept as a hash, and found by its id", async () => {
  const { tokens, make, disk } = await setUp();
  const { text, id } = await make({ ...reader, tools: ["read"], agents: ["main"] });
  assert.match(text, /^oc_[0-9a-f]{12}_[\w-]{43}$/);
  const secret = apiTokenParts(text)?.secret ?? "";
  assert.doesNotMatch(JSON.stringify(disk.content), new RegExp(secret));
  assert.doesNotMatch(JSON.stringify(tokens.list(owner)), /hash/);
  const principal = tokens.find(text);
  assert.equal(principal?.id, `token:${id}`);
  assert.equal(principal?.method, "api-token");
  assert.deepEqual(principal?.scopes, ["operator.read"]);
  assert.deepEqual(principal?.limits, { tools: ["read"], agents: ["main"] });
  for (const wrong of [
    "",
    "oc_",
    text.slice(0, -1),
    `${text}A`,
    `oc_000000000000_${secret}`,
    text.toUpperCase(),
  ])
    assert.equal(tokens.find(wrong), undefined, wrong);
  const other = await make({ ...reader, name: "other" });
  assert.equal(tokens.find(`oc_${id}_${apiTokenParts(other.text)?.secret}`), undefined);
});

test("auth (16): for every change of one character, a token is no token", async () => {
  const { tokens, make } = await setUp();
  const { text } = await make(reader);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const changed = `${text.slice(0, at)}${character}${text.slice(at + 1)}`;
      assert.equal(tokens.find(changed) !== undefined, changed === text);
    }),
  );
});

test("auth (16): a token ends at its time, and at once when it is revoked or a hand takes something from it", async () => {
  const { tokens, make, ended, forward, hand, entries, disk, recorded, clock } = await setUp();
  const brief = await make({ ...reader, name: "brief", expiresAtMs: clock.now() + 90_000 });
  const second = await make({ ...reader, name: "second" });
  const third = await make({ ...reader, name: "third", methods: ["health"] });
  const principal = tokens.find(brief.text);
  assert.ok(principal && tokens.stands(principal));
  forward(60_000);
  assert.deepEqual(ended, []);
  forward(29_999);
  assert.deepEqual(ended, []);
  forward(1);
  assert.deepEqual(ended, [brief.name]);
  assert.equal(tokens.stands(principal), false);
  assert.equal(tokens.find(brief.text), undefined);
  forward(120_000);
  assert.deepEqual(ended, [brief.name], "told once");

  assert.equal((await tokens.revoke(owner, "second")).ok, true);
  assert.deepEqual(ended, [brief.name, second.name]);
  assert.equal(tokens.find(second.text), undefined);

  const change = async (tokensNow: unknown) => {
    disk.content = { version: 1, tokens: tokensNow };
    hand.changed();
    await tokens.reload();
  };
  await change(entries().map((item) => ({ ...item, lastUsedAtMs: 5 })));
  assert.deepEqual(ended, [brief.name, second.name], "when it was used is no right");
  const others = entries().filter((item) => item.id !== third.id);
  await change(entries().map((item) => (item.id === third.id ? { ...item, methods: [] } : item)));
  assert.equal(ended.at(-1), third.name);
  await change(others);
  assert.deepEqual(ended, [brief.name, second.name, third.name, third.name]);
  assert.deepEqual(recorded, [
    ["tokens.file-changed", third.id],
    ["tokens.file-changed", third.id],
  ]);
  await change(entries().map((item) => ({ ...item, expiresAtMs: clock.now() + day })));
  assert.ok(tokens.find(brief.text), "a hand gave it more time");
  assert.equal(ended.at(-1), brief.name, "what it was before does not go on");
  forward(day);
  assert.equal(ended.filter((name) => name === brief.name).length, 3);
  await tokens.close();
});

test("auth (17): what somebody made ends with him, however it ends", async () => {
  const { tokens, make, forward, clock, ended, disk, entries } = await setUp();
  const parent = await make({ name: "parent", scopes: ["operator.admin"], expiresAtMs: clock.now() + day });
  const maker = tokens.find(parent.text);
  assert.ok(maker);
  const child = await make({ name: "child", scopes: ["operator.write"] }, maker);
  const childMaker = tokens.find(child.text);
  assert.ok(childMaker);
  const grandchild = await make(reader, childMaker);
  assert.ok(tokens.find(grandchild.text));
  const saved = structuredClone(disk.content);
  forward(day);
  for (const { text } of [parent, child, grandchild]) assert.equal(tokens.find(text), undefined);
  assert.deepEqual(
    tokens.list(owner).map((item) => item.state),
    ["expired", "orphaned", "orphaned"],
  );
  assert.deepEqual([...ended].sort(), [parent.name, child.name, grandchild.name].sort());
  forward(-day);
  disk.content = saved;
  await tokens.reload();
  const revoked = await tokens.revoke(owner, "child");
  assert.ok(revoked.ok);
  assert.deepEqual(
    revoked.value.map((item) => item.name),
    ["child", "reader"],
  );
  assert.equal(entries().length, 1);
  disk.content = {
    version: 1,
    tokens: entries().map((item) => ({ ...item, createdBy: "token:ffffffffffff" })),
  };
  await tokens.reload();
  assert.equal(tokens.find(parent.text), undefined, "who made it is not there");
  disk.content = { version: 1, tokens: entries().map((item) => ({ ...item, createdBy: parent.name })) };
  await tokens.reload();
  assert.equal(tokens.find(parent.text), undefined, "a circle has nobody at its beginning");
});

test("auth (17): nobody makes a token that reaches further than he does", async () => {
  const { tokens, make } = await setUp();
  const viewer = { id: "device:x", scopes: ["operator.read"], limits: {} };
  const outcome = async (maker: TokenMaker, wanted: WantedToken) => {
    const made = await tokens.create(maker, wanted);
    return made.ok ? "ok" : `${made.reason} ${made.detail}`;
  };
  assert.equal(
    await outcome(viewer, { name: "a", scopes: ["operator.write"] }),
    "auth.token_too_wide operator.write",
  );
  const limited = tokens.find((await make({ name: "p", scopes: ["operator.admin"], agents: ["main"] })).text);
  assert.ok(limited);
  assert.equal(await outcome(limited, { ...reader }), "auth.token_too_wide agents: any");
  assert.equal(await outcome(limited, { ...reader, agents: ["work"] }), "auth.token_too_wide agents: work");
  assert.equal(await outcome(limited, { ...reader, agents: ["main"] }), "ok");
  const all = { methods: ["*"], except: ["config.*"], tools: ["*"], agents: ["*"], channels: ["*"] };
  const full = await make({ ...reader, name: "full", ...all });
  assert.deepEqual(tokens.find(full.text)?.limits, all);
  await tokens.revoke(owner, "full");
  assert.equal(await outcome(owner, reader), "auth.token_name_taken reader");
  assert.equal(await outcome(owner, { name: "x", scopes: ["operator.everything"] }), "ok");
  assert.deepEqual(tokens.list(owner).at(-1)?.scopes, [], "a scope that there is none of gives nothing");
  // A limited one sees itself and what it made.
  assert.deepEqual(
    tokens.list(limited).map((item) => item.name),
    ["p", "reader"],
  );
  assert.equal((await tokens.revoke(limited, "x")).ok, false);
  assert.equal((await tokens.revoke(limited, "reader")).ok, true);
});

test("auth (16): a file that cannot be read gives nothing, is said once, and is never overwritten", async () => {
  const { tokens, make, disk, ended, logged } = await setUp();
  const { text, name } = await make(reader);
  const good = disk.content as { version: number; tokens: object[] };
  for (const broken of [
    new Error("not JSON"),
    [],
    { version: 2, tokens: [] },
    { version: 1, tokens: good.tokens.map((item) => ({ ...item, method: ["chat.send"] })) },
    { version: 1, tokens: [...good.tokens, ...good.tokens] },
  ]) {
    disk.content = broken;
    await tokens.reload();
    await tokens.reload();
    assert.equal(tokens.find(text), undefined);
    await assert.rejects(tokens.create(owner, { ...reader, name: "more" }), /api-tokens\.json/);
    await assert.rejects(tokens.revoke(owner, "reader"), /api-tokens\.json/);
    assert.equal(disk.content, broken);
  }
  assert.equal(logged.filter((line) => line.startsWith("no API token is good")).length, 5);
  assert.deepEqual(ended, [name]);
  disk.content = good;
  await tokens.reload();
  assert.ok(tokens.find(text));
  disk.failsToWrite = true;
  await assert.rejects(tokens.revoke(owner, "reader"), /disk full/);
  assert.ok(tokens.find(text), "a change that cannot be written does not count");
  assert.deepEqual([...parseApiTokens(undefined)], []);
});

test("when a token was used is written later, not for each use, and at the latest when the gateway stops", async () => {
  const { tokens, make, disk, forward, entries, logged } = await setUp();
  const { text } = await make(reader);
  const { writes } = disk;
  for (let count = 0; count < 100; count++) tokens.find(text);
  assert.equal(disk.writes, writes);
  assert.equal(tokens.list(owner)[0]?.lastUsedAtMs, 1_000_000);
  forward(30_000);
  await tokens.reload();
  assert.equal(disk.writes, writes + 1);
  assert.equal(entries()[0]?.lastUsedAtMs, 1_000_000);
  tokens.find(text);
  disk.failsToWrite = true;
  await tokens.close();
  assert.equal(logged.length, 1);
});

test("auth (16): what an author may have done follows its token; other authors are not kept to one", async () => {
  const { tokens, make } = await setUp();
  const { name } = await make({ ...reader, tools: ["read"] });
  assert.deepEqual(tokens.limitsOf(name), { tools: ["read"] });
  assert.deepEqual(tokens.limitsOf("telegram:1"), {});
  assert.deepEqual(tokens.limitsOf(`operator,${name},tool:exec`), { tools: ["read"] });
  await tokens.revoke(owner, "reader");
  assert.deepEqual(tokens.limitsOf(`${name},operator`).agents, []);
  assert.deepEqual(tokens.limitsOf(name).tools, []);
  assert.deepEqual(tokens.limitsOf(name).agents, []);
  assert.ok(tokens.stands(makePrincipal("operator", [], "token")));
});

test("no more than five hundred tokens", async () => {
  const { tokens, make, disk, entries } = await setUp();
  await make(reader);
  const [first] = entries();
  const many = Array.from({ length: 500 }, (_, index) => ({
    ...first,
    id: index.toString(16).padStart(12, "0"),
    name: `n${index}`,
  }));
  disk.content = { version: 1, tokens: many };
  const made = await tokens.create(owner, { ...reader, name: "one more" });
  assert.equal(!made.ok && made.reason, "auth.token_full");
});

test("auth (16): a change by hand that cannot be recorded still ends what it took", async () => {
  const ended: string[] = [];
  const logged: string[] = [];
  const hand = { changed: () => {} };
  const entry = {
    id: "0".repeat(12),
    name: "n",
    hash: "0".repeat(64),
    scopes: [],
    createdAtMs: 1,
    createdBy: "cli",
  };
  let content: unknown = { version: 1, tokens: [entry] };
  const tokens = await openApiTokens({
    file: {
      read: async () => content,
      write: async () => {},
      watch(changed) {
        hand.changed = changed;
        return () => {};
      },
    },
    clock: handClock().clock,
    random: systemRandom,
    log: (_level, message) => void logged.push(message),
    ended: (id) => void ended.push(id),
    record: async () => {
      throw new Error("disk full");
    },
  });
  content = { version: 1, tokens: [] };
  hand.changed();
  await tokens.close();
  assert.deepEqual(ended, [`token:${entry.id}`]);
  assert.equal(logged.length, 1);
});
