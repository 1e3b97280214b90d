import assert from "node:assert/strict";
import { test } from "node:test";
import { factsOf, settingsOf } from "../../test/support/access.ts";
import { admitted } from "../kernel/mod.ts";
import { decide } from "./mod.ts";

const inGroup = { conversation: { kind: "group", id: "-1" }, mentionsBot: true } as const;

/** Paths of the limits that apply, widest first. */
function limits(
  config: { readonly telegram?: object; readonly tools?: object; readonly agents?: object },
  more: Parameters<typeof factsOf>[0] = inGroup,
  agentId: string | null = "main",
) {
  const telegram = { groupPolicy: "open", dmPolicy: "open", allowFrom: ["*"], ...config.telegram };
  const verdict = decide(
    factsOf(more, { agentId: agentId ?? undefined }),
    settingsOf({ ...config, channels: { telegram } }),
  );
  assert.ok(admitted(verdict));
  return verdict.value.tools;
}

const at = (...args: Parameters<typeof limits>) => limits(...args).map((limit) => limit.at.join("."));
const deny = { deny: ["exec"] };

test("access (12): a group's limit and a sender's; the most special room that says anything counts", () => {
  assert.deepEqual(limits({}), []);
  assert.deepEqual(
    limits({ telegram: { groups: { "-1": { tools: { deny: ["exec"], allow: ["read"] } } } } }),
    [{ allow: ["read"], deny: ["exec"], at: ["channels", "telegram", "groups", "-1", "tools"] }],
  );
  assert.deepEqual(at({ telegram: { groups: { "*": { tools: deny } } } }), [
    "channels.telegram.groups.*.tools",
  ]);
  assert.deepEqual(at({ telegram: { groups: { "*": { tools: deny }, "-1": {} } } }), [
    "channels.telegram.groups.*.tools",
  ]);
  assert.deepEqual(at({ telegram: { groups: { "*": { tools: deny }, "-1": { tools: deny } } } }), [
    "channels.telegram.groups.-1.tools",
  ]);
  const topic = { conversation: { kind: "group", id: "-1", threadId: "5" }, mentionsBot: true } as const;
  const topics = { groups: { "-1": { tools: deny, topics: { "5": { toolsBySender: { "id:42": deny } } } } } };
  assert.deepEqual(at({ telegram: topics }, topic), [
    "channels.telegram.groups.-1.topics.5.toolsBySender.id:42",
  ]);
  assert.deepEqual(at({ telegram: topics }), ["channels.telegram.groups.-1.tools"]);
  assert.deepEqual(at({ telegram: { direct: { "42": { tools: deny } } } }, {}), [
    "channels.telegram.direct.42.tools",
  ]);
});

test("in one room what names the sender counts alone; for the others both limits do", () => {
  const room = { tools: deny, toolsBySender: { "id:42": {}, "*": { allow: ["read"] } } };
  const config = { telegram: { groups: { "-1": room } } };
  assert.deepEqual(limits(config), [
    { allow: undefined, deny: [], at: ["channels", "telegram", "groups", "-1", "toolsBySender", "id:42"] },
  ]);
  const other = { ...inGroup, sender: { id: "7", proof: "platform" } } as const;
  assert.deepEqual(at(config, other), [
    "channels.telegram.groups.-1.tools",
    "channels.telegram.groups.-1.toolsBySender.*",
  ]);
});

test("limits of all channels, of the agent and of the room are layers: none replaces another", () => {
  const config = {
    tools: { toolsBySender: { "*": deny } },
    agents: { list: [{ id: "main", tools: { toolsBySender: { "id:42": deny } } }, { id: "other" }] },
    telegram: { groups: { "-1": { tools: deny } } },
  };
  assert.deepEqual(at(config), [
    "tools.toolsBySender.*",
    "agents.list.0.tools.toolsBySender.id:42",
    "channels.telegram.groups.-1.tools",
  ]);
  assert.equal(at(config, inGroup, "other").length, 2);
  assert.equal(at(config, inGroup, null).length, 2);
});

test("access (12): a key is an id; a name, a number of another channel or a place is none (attack A-062)", () => {
  const bySender = (toolsBySender: object, sender: object = {}) =>
    at(
      { tools: { toolsBySender } },
      {
        ...inGroup,
        sender: { id: "42", proof: "platform", claimedName: "alice", claimedHandle: "alice", ...sender },
      },
    ).map((path) => path.split(".").at(-1));
  assert.deepEqual(bySender({ "id:42": deny }), ["id:42"]);
  assert.deepEqual(bySender({ "42": deny }), ["42"]);
  assert.deepEqual(bySender({ "channel:telegram:42": deny }), ["channel:telegram:42"]);
  assert.deepEqual(bySender({ "channel:telegram:42": deny, "id:42": {}, "*": {} }), ["channel:telegram:42"]);
  assert.deepEqual(bySender({ "id:42": {}, "channel:telegram:42": deny }), ["channel:telegram:42"]);
  for (const key of [
    "alice",
    "username:alice",
    "name:alice",
    "tag:alice",
    "channel:discord:42",
    "e164:+42",
    "channel:42",
  ])
    assert.deepEqual(bySender({ [key]: deny }), [], key);
  assert.deepEqual(bySender({ "name:alice": {}, "*": deny }), ["*"]);
});

test("alsoAllow adds to every tool, so alone it narrows nothing; an empty allow neither", () => {
  const of = (lists: object) => limits({ telegram: { groups: { "-1": { tools: lists } } } })[0];
  assert.deepEqual([of({ alsoAllow: ["exec"] })?.allow, of({ alsoAllow: ["exec"] })?.deny], [undefined, []]);
  assert.equal(of({ allow: [] })?.allow, undefined);
});
