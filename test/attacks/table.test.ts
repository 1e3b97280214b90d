/** The table of attacks is whole, and what it claims is looked up: a test that is not there is noticed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { survey, testsIn } from "../../scripts/attacks.ts";
import { carriers, carriersOf, reaches } from "./carriers.ts";
import { controls } from "./controls.ts";
import { attacks, kinds } from "./entries.ts";

const source = `
const table = ["A-001"];
test("shows \\"it\\" (A-002)", async () => {
  for (const a of b) f(a);
  await g(); // A-003
});

test(\`in other quotes\`, () => {});
test(
  "on a line of its own",
  () => {
    // A-002 and A-002
  },
);
  scene("in a stage of its file's own", async () => {
    // A-004
  });
// A-008 belongs to no test.
`;

test("attacks: a test shows what its title, its body and its table name", () => {
  const found = testsIn("x.test.ts", source).map(({ title, ids }) => [title, ids]);
  assert.deepEqual(found, [
    ['shows "it" (A-002)', ["A-001", "A-002", "A-003"]],
    ["in other quotes", []],
    ["on a line of its own", ["A-002"]],
    ["in a stage of its file's own", ["A-004"]],
  ]);
});

test("attacks: a missing test, a test that is not there and an attack that is not there are told", () => {
  const entry = (id: string, kind: keyof typeof kinds, stops: string) => ({ id, kind, what: "it", stops });
  const entries = [
    entry("A-001", "AU", "a guard"),
    entry("A-002", "CR", ""),
    entry("A-003", "RL", ""),
    entry("A-004", "CR", ""),
  ];
  const tables = {
    attacks: entries,
    controls: [
      { id: "B-01", what: "works" },
      { id: "B-02", what: "works too" },
    ],
    reaches: [
      { id: "A-003", on: ["irc", "email"] as const, why: "" },
      { id: "A-004", on: [], why: "" },
    ],
  };
  const tests = [
    { file: "src/channels/irc/a.test.ts", title: "one", ids: ["A-003", "A-999", "B-01"] },
    { file: "a.test.ts", title: "two", ids: [] },
  ];
  const { shown, problems } = survey(tables, tests, [
    { id: "A-004", file: "a.test.ts", title: "two" },
    { id: "A-001", file: "a.test.ts", title: "three" },
    { id: "A-000", file: "a.test.ts", title: "two" },
  ]);
  assert.deepEqual(problems, [
    'src/channels/irc/a.test.ts: "one" names A-999, which is not in the tables of test/attacks',
    'test/attacks/coverage.ts: A-001: there is no test "three" in a.test.ts',
    "test/attacks/coverage.ts: A-000: there is no such attack",
    "A-001 (it) has no test",
    "A-003 (it): entries.ts does not say what stops it",
    "A-004 (it): entries.ts does not say what stops it",
    "B-02 (works too) has no test",
    "A-003 has no test on email",
  ]);
  assert.deepEqual(shown.get("A-004"), [tests[1]]);
});

test("attacks: each has an id of its own, a kind that is known, and says what is done", () => {
  assert.equal(new Set(attacks.map(({ id }) => id)).size, attacks.length);
  assert.ok(attacks.length > 200);
  for (const { id, kind, what } of attacks) {
    assert.match(id, /^A-\d{3}$/);
    assert.ok(kind in kinds, id);
    assert.ok(what.length > 5, id);
  }
});

test("attacks: every attack of a sender or a platform says on which channels it is tried, and why not on others", () => {
  const kindsOnChannels = ["AL", "GR", "CM", "WH", "SK"];
  const meant = attacks.filter(({ kind }) => kindsOnChannels.includes(kind)).map(({ id }) => id);
  assert.deepEqual(
    reaches.map(({ id }) => id),
    meant,
  );
  for (const { id, on, why } of reaches) assert.ok(on.length === carriers.length || why !== "", id);
  assert.equal(new Set(controls.map(({ id }) => id)).size, 15);
  assert.deepEqual(carriersOf("test/contracts/channel-attacks.ts"), carriers);
  assert.deepEqual(carriersOf("src/channels/irc/inbound.test.ts"), ["irc"]);
  assert.deepEqual(carriersOf("test/contracts/email-exim.test.ts"), ["email"]);
  assert.deepEqual(carriersOf("src/session/session.test.ts"), []);
});

test("attacks: each channel runs what is tried on every one", () => {
  for (const carrier of carriers) {
    const text = readFileSync(join(import.meta.dirname, "../contracts", `${carrier}.test.ts`), "utf8");
    for (const suite of ["channelContract(", "channelAttacks("]) assert.ok(text.includes(suite), carrier);
  }
});
