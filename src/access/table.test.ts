import assert from "node:assert/strict";
import { test } from "node:test";
import {
  accessTable,
  type Combination,
  combinations,
  type Dimension,
  dimensions,
  outcomeOf,
} from "../../scripts/access-table.ts";
import { reasons } from "../kernel/mod.ts";

const all = combinations();
const outcomes = new Map(all.map((item) => [JSON.stringify(item), outcomeOf(item)]));
const outcome = (item: Combination) => outcomes.get(JSON.stringify(item)) ?? "";

test("the table is total: each combination stands in exactly one row, with the outcome that the code gives", () => {
  const rows = accessTable();
  const names = Object.keys(dimensions) as Dimension[];
  let covered = 0;
  for (const item of all) {
    const found = rows.filter((row) => names.every((name) => row.values[name].includes(item[name])));
    assert.equal(found.length, 1, JSON.stringify(item));
    assert.equal(found[0]?.outcome, outcome(item));
    covered += 1;
  }
  assert.equal(covered, 4 * 4 * 4 * 5 * 4 * 3 * 2);
  const known = new Set<string>([
    "admit",
    ...Object.keys(reasons).filter((reason) => reason.startsWith("access.")),
  ]);
  for (const row of rows) assert.ok(known.has(row.outcome), row.outcome);
});

/** Pairs of combinations that differ in one dimension. */
function changed<D extends Dimension>(
  name: D,
  from: Combination[D],
  to: Combination[D],
): [string, string, Combination][] {
  return all
    .filter((item) => item[name] === from)
    .map((item) => [outcome(item), outcome({ ...item, [name]: to }), item]);
}

test("access (1): what is off, unknown or empty admits nobody, in any combination", () => {
  for (const item of all) {
    const isGroup = item.kind === "group" || item.kind === "channel";
    const isOff = item.policy === "disabled" || item.kind === "unknown" || (isGroup && item.group === "off");
    const isUnknownPolicy = isGroup && item.policy === "pairing";
    const isNobodyNamed = item.listing === "nowhere" && !(isGroup && item.policy === "open");
    if (isOff || isUnknownPolicy || isNobodyNamed)
      assert.notEqual(outcome(item), "admit", JSON.stringify(item));
  }
});

test("access (2): a pairing changes nothing outside of direct chats, in any combination", () => {
  for (const [without, paired, item] of changed("listing", "nowhere", "paired"))
    if (item.kind !== "direct") assert.equal(paired, without, JSON.stringify(item));
});

test("turning a policy off, or a group, never lets anybody in; listing somebody never shuts that person out", () => {
  for (const policy of ["pairing", "allowlist", "open"] as const)
    for (const [, after, item] of changed("policy", policy, "disabled"))
      assert.notEqual(after, "admit", JSON.stringify(item));
  for (const group of ["unlisted", "listed", "star"] as const)
    for (const [before, after, item] of changed("group", group, "off"))
      if (before !== "admit") assert.notEqual(after, "admit", JSON.stringify(item));
  for (const [before, after, item] of changed("listing", "nowhere", "id"))
    if (before === "admit") assert.equal(after, "admit", JSON.stringify(item));
});

test("access (10): being called only ever opens the mention gate", () => {
  for (const mention of ["platform", "reply", "pattern"] as const) {
    for (const [before, after, item] of changed("mention", "none", mention)) {
      if (before !== "access.not_mentioned") assert.equal(after, before, JSON.stringify(item));
      else assert.notEqual(after, "access.not_mentioned", JSON.stringify(item));
    }
  }
});

test("access (11): a command is never let in where plain text is not; an owner's command only from an owner", () => {
  for (const command of ["common", "owner's"] as const)
    for (const [plain, commanded, item] of changed("command", "none", command))
      if (commanded === "admit") assert.equal(plain, "admit", JSON.stringify(item));
  for (const item of all)
    if (item.command === "owner's" && item.owner === "no")
      assert.notEqual(outcome(item), "admit", JSON.stringify(item));
});

test("access (7): to be an owner opens no chat: it only decides about commands", () => {
  for (const [before, after, item] of changed("owner", "no", "yes"))
    if (item.command === "none") assert.equal(after, before, JSON.stringify(item));
});

test("an access group names a person just as the id does", () => {
  for (const [byId, byGroup, item] of changed("listing", "id", "access group"))
    assert.equal(byGroup, byId, JSON.stringify(item));
});
