import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { accessFindings } from "./settings.ts";

function problems(config: object): string[] {
  return accessFindings(config as OpenClawConfig).map(
    (problem) => `${problem.path.join(".")} must ${problem.message}`,
  );
}

test("a config without rules of access has nothing wrong with it", () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(
    problems({
      channels: {
        defaults: { groupPolicy: "open" },
        modelByChannel: {},
        telegram: { allowFrom: ["1"], accounts: { a: {} } },
      },
      messages: { groupChat: { mentionPatterns: ["@bot"] } },
      commands: { ownerAllowFrom: ["telegram:1", "nextcloud-talk:x"] },
      accessGroups: { team: { type: "message.senders", members: {} } },
    }),
    [],
  );
});

test("access (9): a pattern that could hang, or is none, is an error at its place", () => {
  const found = problems({
    messages: { groupChat: { mentionPatterns: ["fine", "(a)\\1"] } },
    agents: {
      defaults: { groupChat: { mentionPatterns: ["("] } },
      list: [{ id: "main", groupChat: { mentionPatterns: ["["] } }],
      entries: { other: { groupChat: { mentionPatterns: ["(?=x)"] } } },
    },
  });
  assert.deepEqual(
    found.map((text) => text.split(" ")[0]),
    [
      "messages.groupChat.mentionPatterns.1",
      "agents.defaults.groupChat.mentionPatterns.0",
      "agents.list.0.groupChat.mentionPatterns.0",
      "agents.entries.other.groupChat.mentionPatterns.0",
    ],
  );
  assert.match(found[0]!, /must not have "\\1"/);
});

test("access (7): an owner without a channel, and an owner who is everybody, are errors", () => {
  for (const entry of ["123", 123, "*", "telegram:*", "telegram:", "", "@ada"])
    assert.match(
      problems({ commands: { ownerAllowFrom: [entry] } })[0] ?? "",
      /^commands\.ownerAllowFrom\.0 must name channel and sender/,
      String(entry),
    );
});

test("access (12): a tool rule for a name is an error wherever it stands", () => {
  const rules = { "name:alice": {}, "id:1": {} };
  assert.deepEqual(
    problems({
      tools: { toolsBySender: rules },
      agents: { list: [{ id: "main", tools: { toolsBySender: rules } }] },
      channels: {
        telegram: {
          groups: { "-1": { toolsBySender: rules, topics: { "5": { toolsBySender: rules } } } },
          direct: { "7": { toolsBySender: rules } },
          accounts: { a: { groups: { "-1": { toolsBySender: rules } } } },
        },
        discord: { guilds: { g: { channels: { c: { toolsBySender: rules } } } } },
      },
    }).map((text) => text.split(" ")[0]),
    [
      "tools.toolsBySender.name:alice",
      "agents.list.0.tools.toolsBySender.name:alice",
      "channels.telegram.groups.-1.toolsBySender.name:alice",
      "channels.telegram.groups.-1.topics.5.toolsBySender.name:alice",
      "channels.telegram.direct.7.toolsBySender.name:alice",
      "channels.telegram.accounts.a.groups.-1.toolsBySender.name:alice",
      "channels.discord.guilds.g.channels.c.toolsBySender.name:alice",
    ],
  );
});

test("a reference to an access group that is not there is an error that names those that are", () => {
  const config = (accessGroups: object | undefined) => ({
    channels: { telegram: { allowFrom: ["1", "accessGroup:gone"] } },
    commands: { allowFrom: { "*": ["accessGroup:gone"] } },
    ...(accessGroups ? { accessGroups } : {}),
  });
  assert.deepEqual(problems(config(undefined)), [
    "channels.telegram.allowFrom.1 must name a group that is there: accessGroups has none",
    "commands.allowFrom.*.0 must name a group that is there: accessGroups has none",
  ]);
  assert.match(problems(config({ team: {}, crew: {} }))[0]!, /accessGroups has team, crew$/);
  assert.deepEqual(problems(config({ gone: { type: "message.senders", members: {} } })), []);
});
