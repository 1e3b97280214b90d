import assert from "node:assert/strict";
import { test } from "node:test";
import { factsOf, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { plainIds } from "./mod.ts";

const settings = (channel: string, section: object) =>
  settingsOf({ channels: { [channel]: section } }, "default", channel, plainIds);

function ask(channel: string, section: object, id: string, more: object = {}, sender: object = {}): string {
  const facts = factsOf({
    channel,
    conversation: { kind: "channel", id, ...more },
    sender: { id: "U1", proof: "platform", ...sender },
    mentionsBot: true,
  });
  return outcomeOf(facts, settings(channel, section));
}

test("Discord: a guild without channels opens all of its own, to its users and roles", () => {
  const guilds = { g1: { users: ["U1"], roles: ["r1", 2] }, g2: {}, g3: { roles: [] } };
  const at = (spaceId: string, sender: object = {}) =>
    ask("discord", { guilds, allowFrom: ["U1"] }, "c9", { spaceId }, sender);
  assert.equal(at("g1"), "admit");
  assert.equal(at("g1", { id: "U2", roles: ["r1"] }), "admit");
  assert.equal(at("g1", { id: "U2", roles: ["r3", "2"] }), "admit");
  assert.equal(at("g1", { id: "U2", roles: ["r3"] }), "access.group_sender_not_listed");
  assert.equal(at("g1", { id: "U2" }), "access.group_sender_not_listed");
  assert.equal(at("g2"), "admit", "no list of its own: the channel's");
  assert.equal(at("g3"), "access.group_sender_not_listed", "access (1): an empty list of roles is nobody");
  assert.equal(at("g9"), "access.group_not_listed");
  assert.equal(ask("discord", { guilds, allowFrom: ["U1"] }, "c9"), "access.group_not_listed", "of no guild");
});

test("Discord: a guild that lists channels opens these alone, whatever is said of all guilds", () => {
  const guilds = {
    g1: {
      users: ["U1"],
      requireMention: false,
      tools: { deny: ["exec"] },
      toolsBySender: { "id:U5": {}, "*": {} },
      channels: {
        c1: {},
        c2: { users: ["U2"], tools: { deny: ["read"] } },
        c3: { allow: false },
        c4: { enabled: false },
        c5: { allow: true, requireMention: true, toolsBySender: { "id:U6": {}, "*": { deny: ["a"] } } },
      },
    },
    "*": { users: ["U1"] },
  };
  const section = { guilds, allowFrom: ["U1", "U2"] };
  const at = (id: string, sender: object = {}) => ask("discord", section, id, { spaceId: "g1" }, sender);
  assert.equal(at("c1"), "admit");
  assert.equal(at("c1", { id: "U2" }), "access.group_sender_not_listed", "the guild's list");
  assert.equal(at("c2"), "access.group_sender_not_listed");
  assert.equal(at("c2", { id: "U2" }), "admit");
  assert.equal(at("c3"), "access.group_disabled");
  assert.equal(at("c4"), "access.group_disabled");
  assert.equal(at("c9"), "access.group_disabled", "not listed among its channels");
  assert.equal(
    ask("discord", { ...section, groupPolicy: "open" }, "c9", { spaceId: "g1" }),
    "access.group_disabled",
  );
  assert.equal(ask("discord", section, "c9", { spaceId: "g7" }), "admit", "of another guild");
  const { groups } = settings("discord", section);
  const c1 = groups.get("c1");
  assert.deepEqual([c1?.requireMention?.value, c1?.tools?.deny], [false, ["exec"]], "the guild's values");
  assert.deepEqual(groups.get("c2")?.tools?.deny, ["read"]);
  const c5 = groups.get("c5");
  assert.equal(c5?.requireMention?.value, true);
  assert.deepEqual(
    [[...(c5?.toolsBySender.byId.keys() ?? [])], c5?.toolsBySender.others?.deny],
    [["U5", "U6"], ["a"]],
  );
  assert.deepEqual(groups.get("guild:g1")?.enabled, {
    value: false,
    at: ["channels", "discord", "guilds", "g1", "channels"],
    isSet: true,
  });
});

test("Discord: the channels of a guild can all be named by a star; group chats are named under dm", () => {
  const guilds = { g1: { channels: { "*": { users: ["U1"] }, c2: { users: [] } } } };
  assert.equal(ask("discord", { guilds }, "c1", { spaceId: "g1" }), "admit");
  assert.equal(ask("discord", { guilds }, "c2", { spaceId: "g1" }), "access.group_sender_not_listed");
  const dm = { groupEnabled: true, groupChannels: ["d1", 2] };
  const inGroup = (id: string, section: object) =>
    ask("discord", { allowFrom: ["U1"], ...section }, id, { kind: "group" });
  assert.equal(inGroup("d1", { dm }), "admit");
  assert.equal(inGroup("2", { dm }), "admit");
  assert.equal(inGroup("d3", { dm }), "access.group_not_listed");
  assert.equal(inGroup("d1", { dm: { groupChannels: ["d1"] } }), "access.group_not_listed", "not turned on");
  assert.equal(inGroup("d1", { dm: { groupEnabled: true } }), "access.group_not_listed");
});

test("Slack: channels are groups, and users their senders; the word means nothing of the kind elsewhere", () => {
  const channels = { C1: { users: ["U1"] }, C2: { requireMention: false }, "*": { users: [] } };
  assert.equal(ask("slack", { channels }, "C1"), "admit");
  assert.equal(ask("slack", { channels }, "C1", {}, { id: "U2" }), "access.group_sender_not_listed");
  assert.equal(ask("slack", { channels }, "C9"), "access.group_sender_not_listed");
  assert.equal(ask("irc", { channels, groupAllowFrom: ["U1"] }, "C1"), "access.group_not_listed");
  assert.equal(
    ask("slack", { guilds: { g1: {} }, allowFrom: ["U1"] }, "C1", { spaceId: "g1" }),
    "access.group_not_listed",
  );
});

test("a room that is named by no id is no room", () => {
  const strict = {
    ...plainIds,
    group: (text: string) => (/^c\d$/.test(text) ? { id: text } : { problem: "be an id" }),
  };
  const made = settingsOf(
    {
      channels: {
        discord: {
          groups: { Team: {} },
          guilds: { g1: { channels: { general: {}, c1: {} } } },
          direct: { "group:1": {}, "*": {} },
        },
      },
    },
    "default",
    "discord",
    strict,
  );
  assert.deepEqual([...made.groups.keys()], ["guild:g1", "c1"]);
  assert.deepEqual([...made.direct.keys()], ["*"]);
});
