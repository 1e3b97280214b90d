import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import type { InboundMessage } from "../delivery/mod.ts";
import { admitted, systemRandom } from "../kernel/mod.ts";
import { type AccessSettings, closedAccess, createPairings, decide, type PairingFiles } from "./mod.ts";

const base: AccessSettings = {
  enabled: true,
  dmPolicy: "pairing",
  allowFrom: [],
  groupPolicy: "allowlist",
  groupAllowFrom: undefined,
  groups: {},
  owners: [],
};

function message(more: Partial<InboundMessage> = {}): InboundMessage {
  return {
    channel: "telegram",
    account: "default",
    eventId: "1",
    conversation: { kind: "direct", id: "42" },
    sender: { id: "42", proof: "platform" },
    text: "hello",
    messageId: "1",
    mentionsBot: false,
    repliesToBot: false,
    isBot: false,
    ...more,
  };
}

const group = { conversation: { kind: "group", id: "-100" } } as const;
const mentioned = { ...group, mentionsBot: true } as const;
const none: ReadonlySet<string> = new Set();
const ada: ReadonlySet<string> = new Set(["42"]);

const decisions: readonly (readonly [
  name: string,
  settings: Partial<AccessSettings>,
  message: Partial<InboundMessage>,
  paired: ReadonlySet<string>,
  outcome: string,
])[] = [
  [
    "a channel that is off",
    { enabled: false, dmPolicy: "open", allowFrom: ["*"] },
    {},
    ada,
    "access.channel_disabled",
  ],
  [
    "no id",
    { dmPolicy: "open", allowFrom: ["*"] },
    { sender: { id: "", proof: "platform" } },
    ada,
    "access.sender_unidentified",
  ],
  [
    "access (4): no proof, although anybody may",
    { dmPolicy: "open", allowFrom: ["*"] },
    { sender: { id: "42", proof: "none" } },
    ada,
    "access.sender_unidentified",
  ],
  [
    "access (3): a claimed name, although it is listed",
    { dmPolicy: "allowlist", allowFrom: ["42"] },
    { sender: { id: "42", proof: "claimed" } },
    ada,
    "access.sender_unidentified",
  ],
  ["direct, off", { dmPolicy: "disabled", allowFrom: ["42", "*"] }, {}, ada, "access.dm_disabled"],
  [
    "direct, a policy nobody knows",
    { dmPolicy: "OPEN" as never, allowFrom: ["*"] },
    {},
    ada,
    "access.dm_disabled",
  ],
  [
    "direct, open without the star",
    { dmPolicy: "open", allowFrom: ["42"] },
    {},
    ada,
    "access.open_without_wildcard",
  ],
  ["direct, open", { dmPolicy: "open", allowFrom: ["*"] }, {}, none, "admit"],
  ["access (1): direct, an empty allowlist", { dmPolicy: "allowlist" }, {}, ada, "access.sender_not_listed"],
  ["direct, listed", { dmPolicy: "allowlist", allowFrom: ["42"] }, {}, none, "admit"],
  ["direct, allowlist with the star", { dmPolicy: "allowlist", allowFrom: ["*"] }, {}, none, "admit"],
  [
    "direct, a pairing does not count on an allowlist",
    { dmPolicy: "allowlist", allowFrom: ["7"] },
    {},
    ada,
    "access.sender_not_listed",
  ],
  ["direct, unpaired", {}, {}, none, "access.sender_unpaired"],
  ["direct, the star does not pair anybody", { allowFrom: ["*"] }, {}, none, "access.sender_unpaired"],
  ["direct, paired", {}, {}, ada, "admit"],
  ["direct, listed instead of paired", { allowFrom: ["42"] }, {}, none, "admit"],
  [
    "group, off",
    { groupPolicy: "disabled", groups: { "*": {} }, allowFrom: ["*"] },
    mentioned,
    ada,
    "access.group_disabled",
  ],
  [
    "group, a policy nobody knows",
    { groupPolicy: "all" as never, groups: { "*": {} }, allowFrom: ["*"] },
    mentioned,
    ada,
    "access.group_disabled",
  ],
  ["access (1): group, none listed", { allowFrom: ["*"] }, mentioned, ada, "access.group_not_listed"],
  [
    "group, turned off alone",
    { groups: { "-100": { enabled: false }, "*": {} }, allowFrom: ["*"] },
    mentioned,
    ada,
    "access.group_disabled",
  ],
  [
    "access (2): group, paired in a direct chat",
    { groups: { "-100": {} } },
    mentioned,
    ada,
    "access.group_sender_not_listed",
  ],
  ["group, sender listed", { groups: { "-100": {} }, allowFrom: ["42"] }, mentioned, none, "admit"],
  [
    "group, its own list wins",
    { groups: { "-100": { allowFrom: ["7"] } }, allowFrom: ["42"] },
    mentioned,
    none,
    "access.group_sender_not_listed",
  ],
  [
    "group, an empty list of its own admits nobody",
    { groups: { "-100": { allowFrom: [] } }, allowFrom: ["*"] },
    mentioned,
    none,
    "access.group_sender_not_listed",
  ],
  [
    "group, groupAllowFrom before allowFrom",
    { groups: { "*": {} }, groupAllowFrom: [], allowFrom: ["42"] },
    mentioned,
    none,
    "access.group_sender_not_listed",
  ],
  ["group, groupAllowFrom", { groups: { "*": {} }, groupAllowFrom: ["42"] }, mentioned, none, "admit"],
  ["group, star among its senders", { groups: { "*": { allowFrom: ["*"] } } }, mentioned, none, "admit"],
  ["group, open", { groupPolicy: "open" }, mentioned, none, "admit"],
  [
    "group, open, with a list of senders",
    { groupPolicy: "open", groupAllowFrom: ["7"] },
    mentioned,
    none,
    "access.group_sender_not_listed",
  ],
  [
    "group, open, with a list of its own",
    { groupPolicy: "open", groups: { "-100": { allowFrom: ["7"] } } },
    mentioned,
    none,
    "access.group_sender_not_listed",
  ],
  ["group, not mentioned", { groupPolicy: "open" }, group, none, "access.not_mentioned"],
  ["group, a reply to the bot", { groupPolicy: "open" }, { ...group, repliesToBot: true }, none, "admit"],
  [
    "group, mention not needed",
    { groupPolicy: "open", groups: { "*": { requireMention: false } } },
    group,
    none,
    "admit",
  ],
  [
    "group, a name of the language's own",
    { groups: {}, allowFrom: ["*"] },
    { ...mentioned, conversation: { kind: "group", id: "constructor" } },
    none,
    "access.group_not_listed",
  ],
  [
    "channel posts are groups",
    { groupPolicy: "disabled" },
    { conversation: { kind: "channel", id: "-7" } },
    ada,
    "access.group_disabled",
  ],
];

test("who may reach an agent, and why not", () => {
  for (const [name, settings, more, paired, outcome] of decisions) {
    const verdict = decide(message(more), { ...base, ...settings }, paired);
    assert.equal(admitted(verdict) ? "admit" : verdict.reason, outcome, name);
  }
});

test("without a config nobody may talk", () => {
  const verdict = decide(message(), closedAccess, ada);
  assert.equal(admitted(verdict), false);
});

test("an owner is who is listed with channel and id; everybody else is known, and what they wrote is labelled so", () => {
  const owners = ["telegram:42"];
  const own = decide(message(), { ...base, owners }, ada);
  assert.ok(admitted(own));
  assert.deepEqual(own.value.source, {
    author: "telegram:42",
    proof: "platform",
    trust: "owner",
    sensitivity: "private",
  });
  assert.equal(own.value.isOwner, true);
  const other = decide(message({ channel: "discord" }), { ...base, owners }, ada);
  assert.ok(admitted(other));
  assert.equal(other.value.source.trust, "known");
  assert.equal(other.value.isOwner, false);
});

test("access (2)(3): neither a pairing nor a name ever changes the verdict of a group", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("allowlist", "open", "disabled", "x"),
      fc.subarray(["42", "7", "*"]),
      fc.option(fc.subarray(["42", "7", "*"]), { nil: undefined }),
      fc.boolean(),
      fc.string(),
      (groupPolicy, allowFrom, groupAllowFrom, mentionsBot, claimedName) => {
        const settings = {
          ...base,
          groupPolicy: groupPolicy as never,
          allowFrom,
          groupAllowFrom,
          groups: { "*": {} },
        };
        const plain = decide(message({ ...group, mentionsBot }), settings, none);
        const named = message({
          ...group,
          mentionsBot,
          sender: { id: "42", proof: "platform", claimedName },
        });
        assert.equal(admitted(decide(named, settings, ada)), admitted(plain));
      },
    ),
  );
});

function pairingBench(initial: { readonly pending?: unknown; readonly allowed?: unknown } = {}) {
  const clock = new ManualClock();
  const stored = new Map<string, unknown>();
  const key = (kind: string, channel: string, account: string) => `${kind} ${channel} ${account}`;
  if (initial.pending !== undefined) stored.set(key("pending", "telegram", "default"), initial.pending);
  if (initial.allowed !== undefined) stored.set(key("allowed", "telegram", "default"), initial.allowed);
  const files: PairingFiles = {
    readPending: async (channel, account) => stored.get(key("pending", channel, account)),
    writePending: async (channel, account, value) => void stored.set(key("pending", channel, account), value),
    readAllowed: async (channel, account) => stored.get(key("allowed", channel, account)),
    writeAllowed: async (channel, account, value) => void stored.set(key("allowed", channel, account), value),
  };
  return { clock, stored, pairings: createPairings({ files, clock, random: systemRandom }) };
}

test("access (5): a code is sent once per sender, works once, and only for its sender", async () => {
  const { pairings } = pairingBench();
  const first = await pairings.request(
    "telegram",
    "default",
    { id: "42", claimedName: "A".repeat(200) },
    "e1",
  );
  assert.ok(first.state === "created");
  assert.match(first.request.code, /^[A-HJ-NP-Z2-9]{8}$/);
  assert.equal(first.request.claimedName?.length, 80);
  assert.equal((await pairings.request("telegram", "default", { id: "42" }, "e2")).state, "waiting");
  const again = await pairings.request("telegram", "default", { id: "42" }, "e1");
  assert.ok(again.state === "created", "the same event, redelivered: its reply was never stored");
  assert.equal(again.request.code, first.request.code);
  const approved = await pairings.approve("telegram", "default", ` ${first.request.code.toLowerCase()} `);
  assert.equal(approved.senderId, "42");
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], ["42"]);
  assert.deepEqual([...(await pairings.allowed("telegram", "other"))], []);
  await assert.rejects(pairings.approve("telegram", "default", first.request.code), /no pairing request/);
});

test("access (5): three wait at most, for 60 minutes; dismissed ones make room and may ask again", async () => {
  const { clock, pairings } = pairingBench();
  const ids = ["1", "2", "3", "4"];
  const asked = await Promise.all(ids.map((id) => pairings.request("telegram", "default", { id }, `e${id}`)));
  assert.deepEqual(
    asked.map((item) => item.state),
    ["created", "created", "created", "full"],
  );
  const [first] = await pairings.pending("telegram", "default");
  await pairings.dismiss("telegram", "default", first?.code ?? "");
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], []);
  assert.equal((await pairings.request("telegram", "default", { id: "4" }, "e5")).state, "created");
  clock.advance(60 * 60 * 1000);
  assert.deepEqual(await pairings.pending("telegram", "default"), []);
  assert.equal((await pairings.request("telegram", "default", { id: "1" }, "e6")).state, "created");
});

test("access (1): files of an unknown shape admit nobody, and say so", async () => {
  for (const allowed of [null, "42", { allowFrom: "42" }, { allowFrom: [42] }, { allow: ["42"] }, 7])
    await assert.rejects(pairingBench({ allowed }).pairings.allowed("telegram", "default"), /unknown shape/);
  for (const pending of [null, [], { requests: [{}] }, { requests: [null] }, { requests: "x" }])
    await assert.rejects(pairingBench({ pending }).pairings.pending("telegram", "default"), /unknown shape/);
  assert.deepEqual(
    [...(await pairingBench({ allowed: ["42"] }).pairings.allowed("telegram", "default"))],
    ["42"],
  );
  const star = pairingBench({ allowed: { allowFrom: ["*", "", "42"] } });
  assert.deepEqual([...(await star.pairings.allowed("telegram", "default"))], ["42"]);
});
