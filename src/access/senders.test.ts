import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { factsOf, outcomeOf, settingsOf } from "../../test/support/access.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import { admitted, type Problem } from "../kernel/mod.ts";
import { accessSettings, canonical, decide, type IdRule, plainIds } from "./mod.ts";

const anybody = { dmPolicy: "allowlist" } as const;

/** As E.164 wants it: the tests below hold the lists to whatever rule a platform brings. */
const phones: IdRule = {
  sender(text) {
    const number = /^(\+[1-9]\d{6,14})$|^([1-9]\d{6,14})(?::\d+)?@s\.whatsapp\.net$/.exec(text);
    const id = number?.[1] ?? (number?.[2] && `+${number[2]}`);
    return id ? { id } : { problem: "be a phone number" };
  },
  group: (text) => ({ id: text }),
};

function mayWrite(telegram: object, sender: object, more: object = {}): boolean {
  const settings = settingsOf({ channels: { telegram }, ...more });
  return outcomeOf(factsOf({ sender: { id: "999", proof: "platform", ...sender } }), settings) === "admit";
}

test("access (3): a name is no id, in the list or of the sender (attacks A-055, A-056)", () => {
  const listed = { ...anybody, allowFrom: ["@alice", "42"] };
  for (const sender of [
    { claimedHandle: "alice" },
    { claimedName: "@alice" },
    { claimedName: "42" },
    { claimedHandle: "42" },
    { id: "@alice" },
    { id: "alice" },
  ])
    assert.equal(mayWrite(listed, sender), false, JSON.stringify(sender));
  assert.equal(mayWrite(listed, { id: "42" }), true);
  const group = settingsOf({ channels: { telegram: { groups: { "-1": {} }, allowFrom: ["42"] } } });
  const named = factsOf({ conversation: { kind: "group", id: "-2" }, mentionsBot: true });
  assert.equal(outcomeOf(named, group), "access.group_not_listed", "a group's name is not its id");
});

test("access (3): with dangerouslyAllowNameMatching a name lets in, is labelled as a claim, and stays in its account", () => {
  const telegram = {
    ...anybody,
    allowFrom: ["@alice", "42"],
    accounts: { risky: { dangerouslyAllowNameMatching: true }, usual: {} },
  };
  const facts = factsOf({ sender: { id: "999", proof: "platform", claimedHandle: "alice" } });
  const verdict = decide(facts, settingsOf({ channels: { telegram } }, "risky"));
  assert.ok(admitted(verdict));
  assert.deepEqual([verdict.value.source.proof, verdict.value.isOwner], ["claimed", false]);
  assert.equal(outcomeOf(facts, settingsOf({ channels: { telegram } }, "usual")), "access.sender_not_listed");
  // Names are told apart by case, and an id is never read as a name.
  const other = (sender: object) =>
    outcomeOf(
      factsOf({ sender: { id: "999", proof: "platform", ...sender } }),
      settingsOf({ channels: { telegram } }, "risky"),
    );
  assert.equal(other({ claimedName: "Alice" }), "access.sender_not_listed");
  assert.equal(other({ claimedName: "alice" }), "admit");
  assert.equal(other({ claimedName: "42" }), "access.sender_not_listed");
  assert.equal(other({}), "access.sender_not_listed");
  const blank = { ...anybody, dangerouslyAllowNameMatching: true, allowFrom: ["@", " ", "bob"] };
  assert.equal(mayWrite(blank, { claimedName: "" }), false);
});

test("access (1): a list that is empty, blank or of no ids admits nobody (attack A-059)", () => {
  for (const allowFrom of [[], [""], ["  "], [null], undefined, ["@"], ["-100"], ["chat:42"]])
    assert.equal(mayWrite({ ...anybody, allowFrom }, { id: "42" }), false, JSON.stringify(allowFrom));
  for (const groups of [undefined, {}, { "-1": { allowFrom: [] } }, { "-1": { allowFrom: [" "] } }]) {
    const settings = settingsOf({ channels: { telegram: { groups, allowFrom: [] } } });
    const facts = factsOf({ conversation: { kind: "group", id: "-1" }, mentionsBot: true });
    assert.notEqual(outcomeOf(facts, settings), "admit");
  }
});

test("identities that differ in case are two (attack A-057)", () => {
  const settings = settingsOf(
    { channels: { matrix: { ...anybody, allowFrom: ["@Admin:example.org"], groups: { "!AbC:x": {} } } } },
    "default",
    "matrix",
    plainIds,
  );
  const from = (id: string, chat?: string) =>
    outcomeOf(
      factsOf({
        channel: "matrix",
        sender: { id, proof: "platform" },
        mentionsBot: true,
        ...(chat === undefined ? {} : { conversation: { kind: "group", id: chat } }),
      }),
      settings,
    );
  assert.equal(from("@Admin:example.org"), "admit");
  assert.equal(from("@admin:example.org"), "access.sender_not_listed");
  assert.equal(from("@Admin:example.org", "!AbC:x"), "admit");
  assert.equal(from("@Admin:example.org", "!abc:x"), "access.group_not_listed");
});

test("a phone number matches as a whole, in the one spelling of its platform (attacks A-058, A-064)", () => {
  const config = { channels: { whatsapp: { ...anybody, allowFrom: ["whatsapp:+15550001234"] } } };
  const settings = settingsOf(config, "default", "whatsapp", phones);
  const from = (id: string) =>
    outcomeOf(factsOf({ channel: "whatsapp", sender: { id, proof: "platform" } }), settings);
  for (const id of ["+15550001234", "15550001234:12@s.whatsapp.net", "15550001234@s.whatsapp.net"])
    assert.equal(from(id), "admit", id);
  for (const id of ["+99915550001234", "+1555000123"]) assert.equal(from(id), "access.sender_not_listed", id);
  for (const id of [
    "",
    "anonymous",
    "Restricted",
    "5550001234",
    "15550001234@lid",
    "++15550001234",
    "+1 555 000 1234 ext 9",
    "+1555000１２３４",
    "0015550001234",
    "+15550001234@evil",
    "*",
  ])
    assert.equal(from(id), "access.sender_unidentified", id);
});

test("only a person matches: neither a place nor the recipient nor a wildcard is a sender (attack A-061)", () => {
  const lists = ["12036@g.us", "channel:C1", "thread:9", "group:5", "room:x", "chat_id:7"];
  const commands = { allowFrom: { "*": lists }, ownerAllowFrom: lists.map((id) => `irc:${id}`) };
  const channels = { irc: { ...anybody, allowFrom: lists } };
  const { settings, problems } = accessSettings(
    { channels, commands } as OpenClawConfig,
    "irc",
    "default",
    plainIds,
  );
  for (const id of [...lists, "*", "", "accessGroup:team"]) {
    const facts = factsOf({ channel: "irc", sender: { id, proof: "platform" } });
    assert.notEqual(outcomeOf(facts, settings), "admit", id);
  }
  assert.equal(problems.filter((problem) => problem.path[1] === "irc").length, lists.length);
  assert.deepEqual(settings.owners.ids.size, 0);
});

test("each list applies to who wrote, by the kind of conversation (attack A-066)", () => {
  const telegram = { ...anybody, allowFrom: ["42"], groupAllowFrom: ["7"], groups: { "-1": {} } };
  const settings = settingsOf({ channels: { telegram } });
  const inGroup = (id: string) =>
    outcomeOf(
      factsOf({
        conversation: { kind: "group", id: "-1" },
        sender: { id, proof: "platform" },
        mentionsBot: true,
      }),
      settings,
    );
  assert.deepEqual(
    [inGroup("42"), inGroup("7"), inGroup("8")],
    ["access.group_sender_not_listed", "admit", "access.group_sender_not_listed"],
  );
  const off = settingsOf(
    { channels: { telegram: { ...telegram, accounts: { off: { enabled: false } } } } },
    "off",
  );
  assert.equal(outcomeOf(factsOf(), off), "access.channel_disabled");
});

test("access groups name people for several lists at once; one that is missing, or says everybody, names nobody", () => {
  const accessGroups = {
    team: { type: "message.senders", members: { telegram: [42], "*": ["7", "U1"], discord: ["8"] } },
    all: { type: "message.senders", members: { telegram: ["*"] } },
    nested: { type: "message.senders", members: { telegram: ["accessGroup:team"] } },
    viewers: { type: "discord.channelAudience", guildId: "1", channelId: "2", membership: "canViewChannel" },
  };
  const from = (list: string, id: string, channel = "telegram", memberOf?: string[]) => {
    const channels = { [channel]: { ...anybody, allowFrom: [list] } };
    const settings = settingsOf(
      { channels, accessGroups },
      "default",
      channel,
      channel === "discord" ? plainIds : undefined,
    );
    return outcomeOf(
      factsOf({ channel, sender: { id, proof: "platform", ...(memberOf ? { memberOf } : {}) } }),
      settings,
    );
  };
  assert.equal(from("accessGroup:team", "42"), "admit");
  assert.equal(from("accessGroup:team", "7"), "admit", "of all channels");
  assert.equal(from("accessGroup:team", "8"), "access.sender_not_listed", "of another channel");
  for (const list of ["accessGroup:all", "accessGroup:nested", "accessGroup:gone", "accessGroup:constructor"])
    assert.equal(from(list, "42"), "access.sender_not_listed", list);
  assert.equal(from("accessGroup:viewers", "5", "discord", ["audience:1/2"]), "admit");
  assert.equal(from("accessGroup:viewers", "5", "discord", ["audience:1/3"]), "access.sender_not_listed");
  assert.equal(from("accessGroup:viewers", "5", "discord"), "access.sender_not_listed");
  assert.equal(from("accessGroup:viewers", "5", "telegram", ["audience:1/2"]), "access.sender_not_listed");
});

test("entries that match nobody are named with their place", () => {
  const { problems } = accessSettings(
    {
      channels: { telegram: { allowFrom: ["@eve", " ", "accessGroup:gone"], groups: { "My group": {} } } },
      commands: { allowFrom: { telegram: ["bob"], "*": ["elsewhere"] } },
    } as OpenClawConfig,
    "telegram",
    "default",
    settingsOf({}).ids,
  );
  const texts = problems.map((problem: Problem) => `${problem.path.join(".")}: ${problem.message}`);
  assert.equal(texts.length, 5);
  assert.match(texts[0]!, /^channels\.telegram\.allowFrom\.0: be a numeric user id/);
  assert.match(texts[1]!, /^channels\.telegram\.allowFrom\.1: /);
  assert.match(
    texts[2]!,
    /^channels\.telegram\.allowFrom\.2: name one of accessGroups; there is no group "gone"/,
  );
  assert.match(texts[3]!, /^channels\.telegram\.groups\.My group: be named by a numeric chat id/);
  assert.match(texts[4]!, /^commands\.allowFrom\.telegram\.0: be a numeric user id/);
});

test("a sender is the same under each spelling of its id", () => {
  const rules = { channel: "whatsapp", ids: phones };
  const id = (text: string) =>
    canonical(factsOf({ sender: { id: text, proof: "platform" } }).message, rules).sender.id;
  assert.equal(id("15550001234:3@s.whatsapp.net"), "+15550001234");
  assert.equal(id("nobody"), "nobody", "what is no id stays as it is, and is refused as such");
});

test("access (8): a look-up in ten thousand entries takes no more steps than in ten", () => {
  const many = Array.from({ length: 10_000 }, (_, n) => String(n + 1000));
  const settings = settingsOf({ channels: { telegram: { ...anybody, allowFrom: many } } });
  const size = settings.allowFrom.ids;
  let reads = 0;
  const counted = new Proxy(size, {
    get(map, key) {
      reads += 1;
      const value: unknown = Reflect.get(map, key, map);
      return typeof value === "function" ? value.bind(map) : value;
    },
  });
  const watched = { ...settings, allowFrom: { ...settings.allowFrom, ids: counted } };
  for (const id of ["1000", "10999", "5"]) {
    reads = 0;
    outcomeOf(factsOf({ sender: { id, proof: "platform" } }), watched);
    assert.ok(reads <= 2, `${reads} looks at the list for ${id}`);
  }
});

test("adding an id to a list never takes anybody else's access away, and opens it to nobody else", () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 30 }).map(String), { maxLength: 8 });
  const id = fc.integer({ min: 1, max: 30 }).map(String);
  fc.assert(
    fc.property(
      ids,
      id,
      id,
      fc.constantFrom("pairing", "allowlist", "open", "disabled"),
      fc.constantFrom("allowlist", "open", "disabled"),
      fc.constantFrom("allowFrom", "groupAllowFrom"),
      fc.boolean(),
      (list, added, other, dmPolicy, groupPolicy, key, isGroup) => {
        fc.pre(added !== other);
        const outcome = (entries: readonly string[]) => {
          const telegram = {
            dmPolicy,
            groupPolicy,
            groups: { "-1": {} },
            groupAllowFrom: ["1"],
            [key]: entries,
          };
          const conversation = isGroup
            ? ({ kind: "group", id: "-1" } as const)
            : ({ kind: "direct", id: other } as const);
          const facts = factsOf({
            conversation,
            sender: { id: other, proof: "platform" },
            mentionsBot: true,
          });
          return outcomeOf(facts, settingsOf({ channels: { telegram } }));
        };
        assert.equal(outcome([...list, added]), outcome(list));
      },
    ),
    { numRuns: 500 },
  );
});

test("a rule of a platform that lets too much through is held to what an id is", () => {
  const careless: IdRule = {
    sender: (text) => ({ id: text === "nothing" ? "" : text }),
    group: (text) => ({ id: text }),
  };
  const { settings, problems } = accessSettings(
    { channels: { line: { ...anybody, allowFrom: ["nothing", "group:5", "", "U1"] } } } as OpenClawConfig,
    "line",
    "default",
    careless,
  );
  assert.deepEqual([...settings.allowFrom.ids.keys()], ["U1"]);
  assert.deepEqual(
    problems.map((problem) => problem.path.at(-1)),
    [0, 1, 2],
  );
  for (const id of ["nothing", "group:5", "", " "]) {
    const facts = factsOf({ channel: "line", sender: { id, proof: "platform" } });
    assert.equal(outcomeOf(facts, settings), "access.sender_unidentified", id);
  }
  const plain = accessSettings(
    { channels: { line: { groups: { "": {} } } } } as OpenClawConfig,
    "line",
    "default",
    plainIds,
  );
  assert.equal(plain.settings.groups.size, 0);
  assert.equal(plain.problems.length, 1);
});
