import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { InboundMessage } from "../delivery/mod.ts";
import { admitted } from "../kernel/mod.ts";
import {
  parseChatCommand,
  parseSessionKey,
  resolveSessionKey,
  route,
  type SessionSettings,
  sessionSettings,
  titleOf,
} from "./mod.ts";
import { queueSettings } from "./queue-mode.ts";
import { resetSettings } from "./reset.ts";
import { sendPolicyOf } from "./send-policy.ts";
import type { Binding, DmScope } from "./settings.ts";

const settings: SessionSettings = {
  agentIds: ["main"],
  defaultAgentId: "main",
  dmScope: "per-channel-peer",
  groupScope: "per-group",
  bindings: [],
  identities: new Map(),
  resets: resetSettings(undefined),
  resetTriggers: new Set(),
  sendPolicy: sendPolicyOf(undefined),
  queue: queueSettings(undefined),
  retention: "keep",
  perSessionWaiting: 1,
  totalWaiting: 1,
  concurrentSessions: 1,
};

function message(more: Partial<InboundMessage> = {}): InboundMessage {
  return {
    channel: "telegram",
    account: "default",
    eventId: "1",
    conversation: { kind: "direct", id: "42" },
    sender: { id: "42", proof: "platform" },
    text: "",
    messageId: "1",
    mentionsBot: false,
    repliesToBot: false,
    isBot: false,
    ...more,
  };
}

function keyOf(more: Partial<InboundMessage>, change: Partial<SessionSettings> = {}): string {
  const verdict = route(message(more), { ...settings, ...change });
  return admitted(verdict) ? verdict.value.sessionKey : verdict.reason;
}

test("session keys of conversations", () => {
  const scopes: readonly (readonly [DmScope, string])[] = [
    ["main", "agent:main:main"],
    ["per-peer", "agent:main:direct:42"],
    ["per-channel-peer", "agent:main:telegram:direct:42"],
    ["per-account-channel-peer", "agent:main:telegram:default:direct:42"],
  ];
  for (const [dmScope, key] of scopes) assert.equal(keyOf({}, { dmScope }), key);
  const group = { kind: "group", id: "-100" } as const;
  for (const [dmScope] of scopes)
    assert.equal(keyOf({ conversation: group }, { dmScope }), "agent:main:telegram:group:-100");
  assert.equal(
    keyOf({ conversation: { ...group, threadId: "7" } }),
    "agent:main:telegram:group:-100:topic:7",
  );
  assert.equal(
    keyOf({ channel: "slack", conversation: { kind: "channel", id: "C1", threadId: "9.1" } }),
    "agent:main:slack:channel:C1:thread:9.1",
  );
});

test("session: an account of several ids has the conversations of its stable one, and none of a number's earlier owner", () => {
  const [a, b, number] = ["uuid:a", "uuid:b", "+15550000042"];
  const direct = (sender: Partial<InboundMessage["sender"]>, change: Partial<SessionSettings> = {}) =>
    keyOf({ channel: "signal", sender: { id: a, proof: "platform", ...sender } }, change);
  const shown = { aliases: { proved: [number], own: [number] } };
  const hidden = { aliases: { proved: [], own: [number] } };
  const heir = { id: b, aliases: { proved: [number], own: [] } };
  const own = "agent:main:signal:direct:uuid%3Aa";
  for (const sender of [{}, shown, hidden]) assert.equal(direct(sender), own);
  assert.equal(direct(heir), "agent:main:signal:direct:uuid%3Ab");
  const before = { ...hidden, formerId: number };
  assert.equal(
    direct(before),
    `agent:main:signal:direct:${number}`,
    "its conversations were called by the number",
  );
  const linked = (...accounts: string[]) => ({
    identities: new Map(accounts.map((account) => [account, "ada"])),
  });
  const person = "agent:main:direct:person:ada";
  for (const link of [`signal:${number}`, `signal:${a}`])
    for (const sender of [shown, hidden, before]) assert.equal(direct(sender, linked(link)), person, link);
  assert.equal(direct(heir, linked(`signal:${number}`)), "agent:main:signal:direct:uuid%3Ab");
  const two = new Map([
    [`signal:${a}`, "ada"],
    [`signal:${number}`, "eve"],
  ]);
  assert.equal(direct(shown, { identities: two }), own, "an account under two names belongs to neither");
  const binding = (id: string): Binding => ({
    agentId: "main",
    channel: "signal",
    peer: { kind: "direct", id },
  });
  const bound = (id: string, sender: Partial<InboundMessage["sender"]>) =>
    direct(sender, { agentIds: ["main", "work"], bindings: [binding(id)] });
  assert.deepEqual([bound(number, shown), bound(a, shown)], [own, own]);
  assert.equal(bound(number, hidden), "session.no_agent");
});

test("no id of a platform makes its way into another conversation's key", () => {
  const id = fc.oneof(
    fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" }),
    fc.constantFrom("a:b", "42:topic:7", "42", "7", "%3A", "main", "../x"),
  );
  const place = fc.record({ id, thread: fc.option(id, { nil: undefined }) }, { noNullPrototype: true });
  fc.assert(
    fc.property(place, place, (a, b) => {
      const of = ({ id, thread }: typeof a) =>
        keyOf({ conversation: { kind: "group", id, ...(thread === undefined ? {} : { threadId: thread }) } });
      assert.equal(of(a) === of(b), a.id === b.id && a.thread === b.thread);
      assert.ok(parseSessionKey(of(a)), of(a));
    }),
  );
});

test("ids that hold a key's own signs meet no other key, whoever chose them (A-247)", () => {
  const group = (id: string, threadId?: string) =>
    keyOf({ conversation: { kind: "group", id, ...(threadId === undefined ? {} : { threadId }) } });
  const direct = (id: string, account: string, dmScope: SessionSettings["dmScope"]) =>
    keyOf({ sender: { id, proof: "platform" }, account }, { dmScope });
  const scopes = ["per-peer", "per-channel-peer", "per-account-channel-peer"] as const;
  const pairs: readonly (readonly [string, string])[] = [
    [group("42:topic:7"), group("42", "7")],
    [group("a:topic:b", "c"), group("a", "b:topic:c")],
    [group("a%3Ab"), group("a:b")],
    [group("g|main"), group("g", "main")],
    [direct("b:c", "a", "per-account-channel-peer"), direct("c", "a:b", "per-account-channel-peer")],
    [
      direct("x:direct:y", "a", "per-account-channel-peer"),
      direct("y", "a:direct:x", "per-account-channel-peer"),
    ],
    ...scopes.map(
      (scope) => [direct("bob:thread:1", "a", scope), `${direct("bob", "a", scope)}:thread:1`] as const,
    ),
    ...scopes.map((scope) => [direct("person:ada", "a", scope), "agent:main:direct:person:ada"] as const),
  ];
  for (const [one, other] of pairs) assert.notEqual(one, other);
  for (const scope of scopes) assert.match(direct("x:dm:owner@e", "a", scope), /:x%3Adm%3Aowner@e$/);
});

const bindings: readonly Binding[] = [
  { agentId: "channel", channel: "telegram" },
  { agentId: "account", channel: "telegram", account: "work" },
  { agentId: "anyGroup", channel: "telegram", peer: { kind: "group", id: "*" } },
  { agentId: "ada", channel: "telegram", peer: { kind: "direct", id: "42" } },
  { agentId: "gone", channel: "slack" },
];

test("the most special binding wins; without one only a single agent is meant", () => {
  const several = { agentIds: ["channel", "account", "anyGroup", "ada"], bindings };
  const agent = (more: Partial<InboundMessage>) => keyOf(more, several).split(":")[1];
  assert.equal(agent({}), "ada");
  assert.equal(agent({ sender: { id: "7", proof: "platform" } }), "channel");
  assert.equal(agent({ account: "work", sender: { id: "7", proof: "platform" } }), "account");
  assert.equal(agent({ account: "work", conversation: { kind: "group", id: "-1" } }), "anyGroup");
  assert.equal(keyOf({ channel: "discord" }, several), "session.no_agent");
  assert.equal(keyOf({ channel: "slack" }, several), "session.no_agent", "an agent that is not there");
});

test("settings: the default agent, and bindings that say nothing match nothing", () => {
  const read = (config: unknown) => sessionSettings(config as never);
  assert.deepEqual(read({}).agentIds, ["main"]);
  assert.equal(read({}).dmScope, "main");
  assert.equal(read({ session: { dmScope: "default" } }).dmScope, "main");
  assert.equal(read({ agents: { list: [{ id: "a" }, { id: "b", default: true }] } }).defaultAgentId, "b");
  assert.equal(read({ agents: { entries: { a: {}, main: {} } } }).defaultAgentId, "main");
  assert.equal(read({ agents: { entries: { a: {}, c: {} } } }).defaultAgentId, "a");
  const bound = read({
    bindings: [
      { agentId: "a", match: {} },
      { agentId: "a" },
      { agentId: "a", match: { channel: "telegram", peer: {} } },
      { agentId: "a", type: "acp", match: { channel: "telegram" } },
      { agentId: "a", match: { channel: "telegram", accountId: "work", peer: { kind: "dm", id: "42" } } },
    ],
  }).bindings;
  assert.deepEqual(bound, [
    { agentId: "a", channel: "telegram", account: "work", peer: { kind: "direct", id: "42" } },
  ]);
});

test("names of sessions that callers give", () => {
  const cases: readonly (readonly [string | undefined, string | undefined])[] = [
    [undefined, "agent:main:main"],
    ["", "agent:main:main"],
    ["main", "agent:main:main"],
    ["notes", "agent:main:notes"],
    ["agent:other:x", "agent:other:x"],
    ["agent:other:", undefined],
    ["agent::x", undefined],
    ["agent:../x:y", undefined],
    ["two\nlines", undefined],
    ["x".repeat(401), undefined],
  ];
  for (const [named, key] of cases) assert.equal(resolveSessionKey(named, "main"), key, String(named));
});

test("chat commands are whole messages", () => {
  const cases: readonly (readonly [string, string | undefined, readonly string[]])[] = [
    ["/new", "new", []],
    [" /STOP ", "stop", []],
    ["/approve@house_bot abc  allow-once", "approve", ["abc", "allow-once"]],
    ["/reset\nstart again", "reset", ["start", "again"]],
    ["/unknown", undefined, []],
    ["please /stop", undefined, []],
    ["/stopper", undefined, []],
    ["/usr/bin/ls", undefined, []],
    ["", undefined, []],
  ];
  for (const [text, name, args] of cases) {
    const command = parseChatCommand(text);
    assert.equal(command?.name, name, text);
    assert.deepEqual(command?.args ?? [], args, text);
  }
});

test("titles are one line, of whole characters, without anything that turns the line around", () => {
  assert.equal(titleOf("a\nb\t\u202ec"), "a b c");
  assert.equal(titleOf("😀".repeat(100), 10), `${"😀".repeat(9)}…`);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const title = titleOf(text, 20);
      assert.ok([...title].length <= 20);
      assert.doesNotMatch(title, /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});
