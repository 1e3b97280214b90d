import assert from "node:assert/strict";
import { test } from "node:test";
import { factsOf, type message, outcomeOf, settingsOf } from "../../test/support/access.ts";

type More = Parameters<typeof message>[0];
const group = { conversation: { kind: "group", id: "-100" } } as const;

function called(
  more: More,
  config: object = {},
  telegram: object = {},
  agentId: string | null = "main",
): boolean {
  const settings = settingsOf({ channels: { telegram: { groupPolicy: "open", ...telegram } }, ...config });
  const outcome = outcomeOf(factsOf({ ...group, ...more }, { agentId: agentId ?? undefined }), settings);
  assert.match(outcome, /^(?:admit|access\.not_mentioned)$/);
  return outcome === "admit";
}

test("access (10): a reply, a quotation and a thread of ours call the agent, each while its key says so", () => {
  const facts: readonly (readonly [string, More])[] = [
    ["replyToBot", { repliesToBot: true }],
    ["quotedBot", { quotesBot: true }],
    ["threadParticipation", { inBotThread: true }],
  ];
  for (const [key, more] of facts) {
    assert.equal(called(more), true, key);
    assert.equal(called(more, {}, { implicitMentions: { [key]: false } }), false, `${key} off`);
    const defaults = {
      channels: { defaults: { implicitMentions: { [key]: false } }, telegram: { groupPolicy: "open" } },
    };
    assert.equal(outcomeOf(factsOf({ ...group, ...more }), settingsOf(defaults)), "access.not_mentioned");
    for (const [other] of facts.filter(([name]) => name !== key))
      assert.equal(
        called(more, {}, { implicitMentions: { [other]: false } }),
        true,
        `${key} without ${other}`,
      );
  }
  assert.equal(called({}), false);
});

test("access (10): to be called never stands in for being listed (attack A-070)", () => {
  const settings = settingsOf({ channels: { telegram: { groups: { "-100": {} }, groupAllowFrom: ["7"] } } });
  for (const more of [
    { repliesToBot: true },
    { mentionsBot: true },
    { quotesBot: true },
    { inBotThread: true },
  ])
    assert.equal(outcomeOf(factsOf({ ...group, ...more }), settings), "access.group_sender_not_listed");
});

test("patterns call an agent: its own, else those of all, else its name and emoji", () => {
  const messages = { groupChat: { mentionPatterns: ["\\bhelper\\b"] } };
  const agents = {
    list: [
      { id: "main", identity: { name: "Ada", emoji: "🦞" } },
      { id: "own", groupChat: { mentionPatterns: ["\\bmine\\b"] } },
      { id: "mute", identity: { name: "Mute" }, groupChat: { mentionPatterns: [] } },
      { id: "bare", identity: { name: " " } },
    ],
  };
  assert.equal(called({ text: "hello helper" }, { messages }), true);
  assert.equal(called({ text: "hello helpers" }, { messages }), false);
  assert.equal(called({ text: "hi ada" }, { agents }), true);
  assert.equal(called({ text: "hi 🦞" }, { agents }), true);
  assert.equal(called({ text: "hi ada" }, { agents, messages }), false, "patterns of all replace the name");
  assert.equal(called({ text: "hi helper" }, { agents, messages }), true);
  assert.equal(called({ text: "this is mine" }, { agents, messages }, {}, "own"), true);
  assert.equal(called({ text: "hi helper" }, { agents, messages }, {}, "own"), false);
  assert.equal(called({ text: "hi mute" }, { agents }, {}, "mute"), false, "[] means none at all");
  assert.equal(called({ text: "hi" }, { agents }, {}, "bare"), false);
  assert.equal(called({ text: "hi helper" }, { messages }, {}, null), true, "no agent is bound");
  const entries = {
    entries: { main: { identity: { name: "Bo" } } },
    defaults: { groupChat: { mentionPatterns: ["zed"] } },
  };
  assert.equal(called({ text: "zed" }, { agents: entries }), true);
  assert.equal(called({ text: "Bo" }, { agents: entries }), false);
});

test("a name in code or in somebody else's words calls nobody (attack A-070)", () => {
  const messages = { groupChat: { mentionPatterns: ["@bot"] } };
  for (const text of ["`@bot`", "```\n@bot\n```", "```@bot", "> @bot said", "look\n  > hi @bot"])
    assert.equal(called({ text }, { messages }), false, text);
  for (const text of ["@bot `x`", "> quoted\n@bot", "a > b @bot"])
    assert.equal(called({ text }, { messages }), true, text);
  assert.equal(
    called({ text: "@bot do", ownText: " do" }, { messages }),
    false,
    "the platform marks what is the sender's",
  );
  assert.equal(called({ text: "x", ownText: "@bot" }, { messages }), true);
  // Many line breaks and marks, in a text that is longer than what is looked at.
  assert.equal(called({ text: "\n> `".repeat(20_000) }, { messages }), false);
});

test("patterns count where mentionPatterns says, and never where it denies them", () => {
  const messages = { groupChat: { mentionPatterns: ["bot"] } };
  const here = (mentionPatterns: object) => called({ text: "bot" }, { messages }, { mentionPatterns });
  assert.equal(here({}), true);
  assert.equal(here({ denyIn: ["-100"] }), false);
  assert.equal(here({ denyIn: [-100] }), false);
  assert.equal(here({ denyIn: ["-7"] }), true);
  assert.equal(here({ mode: "deny" }), false);
  assert.equal(here({ mode: "deny", allowIn: ["-100"] }), true);
  assert.equal(here({ mode: "deny", allowIn: ["-100"], denyIn: ["-100"] }), false);
  assert.equal(
    called({ mentionsBot: true }, {}, { mentionPatterns: { mode: "deny" } }),
    true,
    "a real mention",
  );
});

test("a pattern that is refused calls nobody", () => {
  assert.equal(
    called({ text: "aa" }, { messages: { groupChat: { mentionPatterns: ["(a)\\1", "zz"] } } }),
    false,
  );
});
