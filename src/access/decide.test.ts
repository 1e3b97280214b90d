import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Facts, factsOf, type message, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { admitted } from "../kernel/mod.ts";
import { closedAccess, decide } from "./mod.ts";

const group = { conversation: { kind: "group", id: "-100" } } as const;
const mentioned = { ...group, mentionsBot: true } as const;
const none: ReadonlySet<string> = new Set();
const ada: ReadonlySet<string> = new Set(["42"]);

const decisions: readonly (readonly [
  name: string,
  telegram: object,
  message: Parameters<typeof message>[0],
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
    "access (3): a claimed id, although it is listed",
    { dmPolicy: "allowlist", allowFrom: ["42"] },
    { sender: { id: "42", proof: "claimed" } },
    ada,
    "access.sender_unidentified",
  ],
  ["direct, off", { dmPolicy: "disabled", allowFrom: ["42", "*"] }, {}, ada, "access.dm_disabled"],
  [
    "direct, off in the older spelling",
    { dm: { enabled: false }, allowFrom: ["42"] },
    {},
    ada,
    "access.dm_disabled",
  ],
  ["direct, a policy nobody knows", { dmPolicy: "OPEN", allowFrom: ["*"] }, {}, ada, "access.dm_disabled"],
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
  [
    "direct, listed with the channel's name",
    { dmPolicy: "allowlist", allowFrom: ["telegram:42"] },
    {},
    none,
    "admit",
  ],
  ["direct, listed as a number", { dmPolicy: "allowlist", allowFrom: [42] }, {}, none, "admit"],
  ["direct, the older spelling", { dm: { policy: "allowlist", allowFrom: ["42"] } }, {}, none, "admit"],
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
  ["direct, this chat off", { direct: { "42": { enabled: false } } }, {}, ada, "access.dm_disabled"],
  [
    "direct, this chat has a policy of its own",
    { direct: { "42": { dmPolicy: "disabled" } } },
    {},
    ada,
    "access.dm_disabled",
  ],
  [
    "direct, this chat has a list of its own",
    { dmPolicy: "allowlist", allowFrom: ["42"], direct: { "42": { allowFrom: ["7"] } } },
    {},
    ada,
    "access.sender_not_listed",
  ],
  [
    "group, off",
    { groupPolicy: "disabled", groups: { "*": {} }, allowFrom: ["*"] },
    mentioned,
    ada,
    "access.group_disabled",
  ],
  [
    "group, off for the channel wins over a room",
    { groupPolicy: "disabled", groups: { "-100": { groupPolicy: "open" } } },
    mentioned,
    ada,
    "access.group_disabled",
  ],
  [
    "group, a policy nobody knows",
    { groupPolicy: "all", groups: { "*": {} }, allowFrom: ["*"] },
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
    "group, the list for all groups before the channel's",
    { groups: { "-100": {}, "*": { allowFrom: ["7"] } }, allowFrom: ["42"] },
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
  [
    "group, one room open to all its members",
    { groupAllowFrom: ["7"], groups: { "-100": { groupPolicy: "open" } } },
    mentioned,
    none,
    "admit",
  ],
  [
    "group, one room off",
    { groupPolicy: "open", groups: { "-100": { groupPolicy: "disabled" } } },
    mentioned,
    none,
    "access.group_disabled",
  ],
  ["group, not mentioned", { groupPolicy: "open" }, group, none, "access.not_mentioned"],
  [
    "group, mention not needed",
    { groupPolicy: "open", groups: { "*": { requireMention: false } } },
    group,
    none,
    "admit",
  ],
  [
    "group, mention not needed on the channel",
    { groupPolicy: "open", requireMention: false },
    group,
    none,
    "admit",
  ],
  [
    "group, needed here, though not elsewhere",
    { groupPolicy: "open", groups: { "-100": { requireMention: true }, "*": { requireMention: false } } },
    group,
    none,
    "access.not_mentioned",
  ],
  [
    "topic, its own rules first",
    { groupPolicy: "open", groups: { "-100": { topics: { "5": { requireMention: false } } } } },
    { conversation: { kind: "group", id: "-100", threadId: "5" } },
    none,
    "admit",
  ],
  [
    "topic, its list",
    { groups: { "-100": { allowFrom: ["42"], topics: { "5": { allowFrom: ["7"] } } } } },
    { conversation: { kind: "group", id: "-100", threadId: "5" }, mentionsBot: true },
    none,
    "access.group_sender_not_listed",
  ],
  [
    "topic, off alone",
    { groupPolicy: "open", groups: { "-100": { topics: { "5": { enabled: false } } } } },
    { conversation: { kind: "group", id: "-100", threadId: "5" }, mentionsBot: true },
    none,
    "access.group_disabled",
  ],
  [
    "a topic of another group has no say",
    { groupPolicy: "open", groups: { "-7": { topics: { "5": { requireMention: false } } } } },
    { conversation: { kind: "group", id: "-100", threadId: "5" } },
    none,
    "access.not_mentioned",
  ],
  [
    "group, calls somebody else",
    { groupPolicy: "open", groups: { "*": { requireMention: false, ignoreOtherMentions: true } } },
    { ...group, mentionsOthers: true },
    none,
    "access.not_mentioned",
  ],
  [
    "group, calls somebody else and us",
    { groupPolicy: "open", groups: { "*": { ignoreOtherMentions: true } } },
    { ...mentioned, mentionsOthers: true },
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
  [
    "a kind of conversation nobody knows (attack A-069)",
    { dmPolicy: "open", allowFrom: ["*"], groupPolicy: "open" },
    { conversation: { kind: "p2p" as never, id: "42" }, mentionsBot: true },
    ada,
    "access.conversation_unknown",
  ],
  ["a bot", { allowFrom: ["42"] }, { isBot: true }, ada, "access.bot_refused"],
  ["a bot that is welcome", { allowFrom: ["42"], allowBots: true }, { isBot: true }, ada, "admit"],
  [
    "a bot that must mention us, in a chat of two",
    { allowFrom: ["42"], allowBots: "mentions" },
    { isBot: true },
    ada,
    "access.bot_refused",
  ],
  [
    "a bot that must mention us, and answers us",
    { groupPolicy: "open", allowBots: "mentions" },
    { ...group, isBot: true, repliesToBot: true },
    none,
    "access.bot_refused",
  ],
  [
    "a bot that mentions us",
    { groupPolicy: "open", allowBots: "mentions" },
    { ...mentioned, isBot: true },
    none,
    "admit",
  ],
];

test("who may reach an agent, and why not", () => {
  for (const [name, telegram, more, paired, outcome] of decisions) {
    const settings = settingsOf({ channels: { telegram } });
    assert.equal(outcomeOf(factsOf(more, { paired }), settings), outcome, name);
  }
});

test("without a config nobody may talk, and no tool is there for a turn that is left over", () => {
  const facts = factsOf({}, { paired: ada });
  assert.equal(outcomeOf(facts, closedAccess), "access.channel_disabled");
  assert.equal(outcomeOf(facts, settingsOf({})), "access.channel_disabled");
  assert.deepEqual(closedAccess.tools.bySender.others?.deny, ["*"]);
});

test("an account's values come before the channel's, and the channel's before the defaults", () => {
  const config = {
    channels: {
      defaults: { groupPolicy: "open", dmPolicy: "disabled", implicitMentions: { replyToBot: false } },
      telegram: {
        allowFrom: ["1", "2"],
        dmPolicy: "allowlist",
        accounts: { work: { allowFrom: ["2", "3"] }, home: { allowFrom: ["*"] }, off: { enabled: false } },
      },
    },
  };
  const ids = (account: string) => [...settingsOf(config, account).allowFrom.ids.keys()];
  // A list of an account may narrow the channel's, never widen it.
  assert.deepEqual(
    [ids("work"), ids("home"), ids("off"), ids("default")],
    [["2"], ["1", "2"], ["1", "2"], ["1", "2"]],
  );
  const work = settingsOf(config, "work");
  assert.deepEqual([work.dmPolicy.value, work.groupPolicy.value], ["allowlist", "open"]);
  assert.deepEqual(work.groupPolicy.at, ["channels", "defaults", "groupPolicy"]);
  assert.equal(work.implicitMentions.replyToBot.value, false);
  assert.equal(settingsOf(config, "off").enabled.value, false);
  assert.deepEqual(settingsOf(config, "off").enabled.at, [
    "channels",
    "telegram",
    "accounts",
    "off",
    "enabled",
  ]);
  const open = settingsOf(
    {
      channels: { telegram: { allowFrom: ["*"], accounts: { work: { allowFrom: ["7"] } } } },
    },
    "work",
  );
  assert.deepEqual([[...open.allowFrom.ids.keys()], open.allowFrom.anybody], [["7"], undefined]);
  const alone = settingsOf({ channels: { telegram: { accounts: { work: { allowFrom: ["7"] } } } } }, "work");
  assert.deepEqual([...alone.allowFrom.ids.keys()], ["7"]);
  assert.equal(
    settingsOf({ channels: { defaults: { dmPolicy: "disabled" }, telegram: {} } }).dmPolicy.value,
    "disabled",
  );
});

test("access (7): an owner is named by channel and id; nothing else makes one (attacks A-054, A-063)", () => {
  const owner = (commands: object, telegram: object, more = {}) => {
    const settings = settingsOf({ channels: { telegram: { allowFrom: ["42"], ...telegram } }, commands });
    const verdict = decide(factsOf(more, { paired: ada }), settings);
    assert.ok(admitted(verdict));
    assert.equal(verdict.value.isOwner, verdict.value.source.trust === "owner");
    return verdict.value.isOwner;
  };
  assert.equal(owner({ ownerAllowFrom: ["telegram:42"] }, {}), true);
  assert.equal(owner({ ownerAllowFrom: [" Telegram:42 "] }, {}), true);
  for (const ownerAllowFrom of [
    ["42"],
    [42],
    ["*"],
    ["telegram:*"],
    ["discord:42"],
    ["telegram:"],
    ["telegram:chat:42"],
    [],
  ])
    assert.equal(
      owner({ ownerAllowFrom }, { dmPolicy: "open", allowFrom: ["*"] }),
      false,
      String(ownerAllowFrom),
    );
  assert.equal(owner({}, {}), false, "paired, listed, and no owner");
  const named = { dangerouslyAllowNameMatching: true, dmPolicy: "allowlist", allowFrom: ["ada"] };
  const sender = { id: "7", proof: "platform", claimedHandle: "ada" } as const;
  assert.equal(owner({ ownerAllowFrom: ["telegram:ada"] }, named, { sender }), false, "by a name");
  const commands = { allowFrom: { telegram: ["ada"] } };
  const status = factsOf({ sender, text: "/status" });
  assert.equal(
    outcomeOf(status, settingsOf({ channels: { telegram: named }, commands })),
    "access.command_not_allowed",
    "nor does a name give commands",
  );
});

test("what is admitted is labelled with who wrote it, in one spelling", () => {
  const settings = settingsOf({ channels: { telegram: { allowFrom: ["42"] } } });
  const verdict = decide(factsOf({ sender: { id: "tg:42", proof: "platform" } }), settings);
  assert.ok(admitted(verdict));
  assert.deepEqual(verdict.value.source, {
    author: "telegram:42",
    proof: "platform",
    trust: "known",
    sensitivity: "private",
  });
  assert.equal(verdict.value.message.sender.id, "42");
});

test("access (6): a decision is told step by step, and ends with the step that refused", () => {
  fc.assert(
    fc.property(fc.constantFrom(...decisions), ([, telegram, more, paired, outcome]) => {
      const settings = settingsOf({ channels: { telegram } });
      const steps: string[] = [];
      const facts: Facts = factsOf(more, { paired });
      decide(facts, settings, (step) => steps.push(step.reason ?? step.outcome));
      assert.equal(steps.filter((step) => step.startsWith("access.")).length, outcome === "admit" ? 0 : 1);
      if (outcome !== "admit") assert.equal(steps.at(-1), outcome);
    }),
  );
});

test("access (10): what an owner chose with /activation opens and closes the mention gate of that group, and nothing else", () => {
  const settings = (requireMention: boolean) =>
    settingsOf({ channels: { telegram: { groups: { "-1": { requireMention, allowFrom: ["42"] } } } } });
  const ask = (requireMention: boolean, activation: "mention" | "always" | undefined, more: object = {}) =>
    outcomeOf(
      factsOf({ conversation: { kind: "group", id: "-1" }, ...more }, { activation }),
      settings(requireMention),
    );
  assert.equal(ask(true, "always"), "admit");
  assert.equal(ask(false, "mention"), "access.not_mentioned");
  assert.equal(ask(false, "mention", { mentionsBot: true }), "admit");
  assert.equal(ask(true, undefined), "access.not_mentioned");
  assert.equal(
    ask(true, "always", { sender: { id: "7", proof: "platform" } }),
    "access.group_sender_not_listed",
  );
  assert.equal(ask(true, "always", { conversation: { kind: "group", id: "-2" } }), "access.group_not_listed");
  const steps: string[] = [];
  const facts = factsOf({ conversation: { kind: "group", id: "-1" } }, { activation: "always" });
  decide(facts, settings(true), (step) => steps.push(`${step.rule}: ${step.facts} ${step.at.join(".")}`));
  assert.ok(steps.includes("mention: not called, and need not be (/activation always) "), steps.join("\n"));
});
