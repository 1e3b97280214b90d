import assert from "node:assert/strict";
import { test } from "node:test";
import { factsOf, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { commandOf } from "./commands.ts";

const openGroup = { groupPolicy: "open" } as const;
const inGroup = { conversation: { kind: "group", id: "-1" }, mentionsBot: true } as const;

test("a command is a whole message behind a slash that the system knows; other text is the agent's to read", () => {
  for (const text of ["/status", " /STATUS ", "/status@my_bot", "/status now", "/t high", "/export-session"])
    assert.ok(commandOf(text), text);
  for (const text of [
    "/etc/hosts",
    "/statuses",
    "status",
    "a /status",
    "/",
    "/ status",
    "//status",
    "/constructor",
    "",
  ])
    assert.equal(commandOf(text), undefined, text);
  assert.equal(commandOf("/restart")?.isOwnerOnly, true);
  assert.equal(commandOf("/help")?.isOwnerOnly, false);
});

test("access (11): owners' commands are refused to everybody else (attacks A-045, A-054, A-063)", () => {
  for (const telegram of [{ dmPolicy: "open", allowFrom: ["*"] }, { allowFrom: ["42"] }, {}]) {
    for (const text of [
      "/config show",
      "/restart",
      "/pair approve ABCD1234",
      "/bash ls",
      "/allowlist add 9",
    ]) {
      const config = {
        channels: { telegram },
        commands: { allowFrom: { "*": ["*"] }, useAccessGroups: false },
      };
      const facts = factsOf({ text }, { paired: new Set(["42"]) });
      assert.equal(outcomeOf(facts, settingsOf(config)), "access.command_owner_only", text);
      const owned = { ...config, commands: { ownerAllowFrom: ["telegram:42"], allowFrom: {} } };
      assert.equal(outcomeOf(facts, settingsOf(owned)), "admit", text);
    }
  }
  // A stranger is refused for what he is, and learns nothing of commands (attack A-077).
  for (const text of ["/pair approve ABCD1234", "stop", "/models", "/stop"])
    assert.equal(
      outcomeOf(factsOf({ text }), settingsOf({ channels: { telegram: {} } })),
      "access.sender_unpaired",
    );
});

test("access (11): in a group that is open to anybody, commands are for those who are named", () => {
  const outcome = (telegram: object, commands: object = {}, text = "/status") =>
    outcomeOf(factsOf({ ...inGroup, text }), settingsOf({ channels: { telegram }, commands }));
  assert.equal(outcome(openGroup), "access.command_not_allowed");
  assert.equal(outcome(openGroup, {}, "what is your /status"), "admit");
  assert.equal(outcome(openGroup, { useAccessGroups: false }), "admit");
  assert.equal(outcome({ ...openGroup, groupAllowFrom: ["42"] }), "admit");
  assert.equal(outcome({ ...openGroup, groups: { "-1": { allowFrom: ["42"] } } }), "admit");
});

test("access (2): who was paired in a direct chat may give commands there, and not in a group", () => {
  const settings = settingsOf({ channels: { telegram: openGroup } });
  const paired = new Set(["42"]);
  assert.equal(outcomeOf(factsOf({ text: "/status" }, { paired }), settings), "admit");
  assert.equal(
    outcomeOf(factsOf({ ...inGroup, text: "/status" }, { paired }), settings),
    "access.command_not_allowed",
  );
});

test("commands.allowFrom is the only source where it is set: a channel that it leaves out has nobody", () => {
  const outcome = (allowFrom: object) =>
    outcomeOf(
      factsOf({ text: "/status" }),
      settingsOf({ channels: { telegram: { allowFrom: ["42"] } }, commands: { allowFrom } }),
    );
  assert.equal(outcome({ telegram: ["42"] }), "admit");
  assert.equal(outcome({ telegram: ["tg:42"] }), "admit");
  assert.equal(outcome({ "*": ["42"] }), "admit");
  assert.equal(outcome({ "*": ["*"] }), "admit");
  for (const allowFrom of [
    {},
    { telegram: [] },
    { discord: ["42"] },
    { telegram: ["7"], "*": ["42"] },
    { "*": ["bob"] },
  ])
    assert.equal(outcome(allowFrom), "access.command_not_allowed", JSON.stringify(allowFrom));
});

test("a text that the session stage reads as a command is judged as one", () => {
  const facts = factsOf({ ...inGroup, text: "fresh start" }, { command: "reset" });
  assert.equal(
    outcomeOf(facts, settingsOf({ channels: { telegram: openGroup } })),
    "access.command_not_allowed",
  );
});
