import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { factsOf, outcomeOf, settingsOf } from "../../test/support/access.ts";
import { loadPlatform, platformIds } from "../channels/mod.ts";
import { plainIds, reachable } from "./mod.ts";

const names = (telegram: object, paired: string[] = [], more: object = {}) =>
  reachable(settingsOf({ channels: { telegram }, ...more }), new Set(paired), () => "main").map(
    (reach) =>
      `${reach.sender ?? "anybody"} ${reach.kind} ${reach.chat ?? "-"}${reach.threadId ? `/${reach.threadId}` : ""}${reach.needsMention ? " called" : ""}`,
  );

test("everybody who may talk is found, in each place that is named and in one that is not", () => {
  assert.deepEqual(names({}), []);
  assert.deepEqual(names({ enabled: false, allowFrom: ["1"] }), []);
  assert.deepEqual(
    names({ allowFrom: ["1"], groups: { "-5": {}, "-6": { allowFrom: ["2"], requireMention: false } } }, [
      "3",
    ]),
    ["3 direct -", "1 direct -", "1 group -5 called", "2 group -6"],
  );
  assert.deepEqual(names({ dmPolicy: "open", allowFrom: ["*"], groupPolicy: "open" }), [
    "anybody direct -",
    "anybody group - called",
  ]);
  assert.deepEqual(names({ groups: { "-5": { allowFrom: ["2"], topics: { "9": { allowFrom: ["4"] } } } } }), [
    "2 group -5 called",
    "4 group -5/9 called",
  ]);
  assert.deepEqual(names({ groups: { "*": { allowFrom: ["2"] } } }), ["2 group - called"]);
  assert.deepEqual(names({ direct: { "8": { dmPolicy: "allowlist", allowFrom: ["8"] }, "*": {} } }), [
    "8 direct -",
  ]);
});

test("people who are named in tool rules and among the owners are asked for too", () => {
  const more = {
    tools: { toolsBySender: { "id:5": { deny: ["exec"] } } },
    agents: { list: [{ id: "main", tools: { toolsBySender: { "id:6": {} } } }] },
    commands: { ownerAllowFrom: ["telegram:7"] },
  };
  const open = { groupPolicy: "open", groups: { "-1": { toolsBySender: { "id:4": {} } } } };
  const rows = names(open, [], more).filter((row) => row.includes("-1"));
  assert.deepEqual(rows, [
    "7 group -1 called",
    "5 group -1 called",
    "6 group -1 called",
    "4 group -1 called",
    "anybody group -1 called",
  ]);
});

test("where no agent is bound nobody is reached", () => {
  const settings = settingsOf({ channels: { telegram: { allowFrom: ["1"], groups: { "-5": {} } } } });
  const rows = reachable(settings, new Set(), (message) =>
    message.conversation.kind === "direct" ? "main" : undefined,
  );
  assert.deepEqual(
    rows.map((row) => row.kind),
    ["direct"],
  );
});

/** A letter to several is to each of them. */
const withoutGroups = ["email"];

test("for each platform there is somebody whom nobody named", async () => {
  const platforms = await Promise.all(platformIds.map(loadPlatform));
  const rules = [
    { id: "", ids: plainIds },
    ...platforms.flatMap((platform) => (platform ? [{ id: platform.id, ids: platform.ids }] : [])),
  ];
  for (const { id, ids } of rules) {
    const settings = settingsOf(
      { channels: { x: { dmPolicy: "open", allowFrom: ["*"], groupPolicy: "open" } } },
      "default",
      "x",
      ids,
    );
    const kinds = reachable(settings, new Set(), () => "main").map((reach) => [reach.sender, reach.kind]);
    const wanted = withoutGroups.includes(id) ? ["direct"] : ["direct", "group"];
    assert.deepEqual(
      kinds,
      wanted.map((kind) => [undefined, kind]),
      id,
    );
  }
  // A rule that none of the made-up ids fits: those who are named are still found.
  const none = {
    sender: (text: string) => (text === "me" ? { id: text } : { problem: "be me" }),
    group: () => ({ problem: "be no group" }),
  };
  const only = settingsOf(
    { channels: { x: { dmPolicy: "allowlist", allowFrom: ["me"], groupPolicy: "open" } } },
    "default",
    "x",
    none,
  );
  assert.deepEqual(
    reachable(only, new Set(), () => "main").map((reach) => reach.sender),
    ["me"],
  );
});

test("a sender is in the list exactly when the decision admits that sender", () => {
  const ids = fc.subarray(["1", "2", "3", "*"]);
  fc.assert(
    fc.property(
      fc.constantFrom("pairing", "allowlist", "open", "disabled"),
      fc.constantFrom("allowlist", "open", "disabled"),
      ids,
      fc.option(ids, { nil: undefined }),
      fc.subarray(["1", "2"]),
      fc.boolean(),
      (dmPolicy, groupPolicy, allowFrom, groupAllowFrom, paired, requireMention) => {
        const telegram = {
          dmPolicy,
          groupPolicy,
          allowFrom,
          groupAllowFrom,
          requireMention,
          groups: { "-5": {} },
        };
        const settings = settingsOf({ channels: { telegram } });
        const rows = reachable(settings, new Set(paired), () => "main");
        for (const id of ["1", "2", "3", "77"]) {
          for (const [kind, chat] of [
            ["direct", id],
            ["group", "-5"],
            ["group", "-6"],
          ] as const) {
            const facts = factsOf(
              { conversation: { kind, id: chat }, sender: { id, proof: "platform" }, mentionsBot: true },
              { paired: new Set(paired) },
            );
            const chatName = chat === "-5" ? chat : undefined;
            const isFound = rows.some(
              (row) =>
                row.kind === kind &&
                row.chat === chatName &&
                (row.sender === id || (row.sender === undefined && id === "77")),
            );
            const isNamed =
              id === "77" || allowFrom.includes(id) || groupAllowFrom?.includes(id) || paired.includes(id);
            if (isNamed)
              assert.equal(isFound, outcomeOf(facts, settings) === "admit", `${id} in ${kind} ${chat}`);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
