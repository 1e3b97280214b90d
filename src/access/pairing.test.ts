import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { systemRandom } from "../kernel/mod.ts";
import { createPairings, type PairingFiles } from "./mod.ts";

function pairingBench(initial: { readonly pending?: unknown; readonly allowed?: unknown } = {}) {
  const clock = new ManualClock();
  const stored = new Map<string, unknown>();
  const key = (kind: string, channel: string, account: string) => `${kind} ${channel} ${account}`;
  if (initial.pending !== undefined) stored.set(key("pending", "telegram", "default"), initial.pending);
  if (initial.allowed !== undefined) stored.set(key("allowed", "telegram", "default"), initial.allowed);
  const files: PairingFiles = {
    readPending: async (channel, account) => stored.get(key("pending", channel, account)),
    writePending: async (channel, account, value) => void stored.set(key("pending", channel, account), value),
    readAllowed: async (channel, account) => stored.get(key("allowed", channel, account)),
    writeAllowed: async (channel, account, value) => void stored.set(key("allowed", channel, account), value),
    stampAllowed: async (channel, account) =>
      JSON.stringify(stored.get(key("allowed", channel, account))) ?? "",
  };
  return { clock, stored, pairings: createPairings({ files, clock, random: systemRandom }) };
}

test("access (5): a code is sent once per sender, works once, and only for its sender", async () => {
  const { pairings } = pairingBench();
  const first = await pairings.request(
    "telegram",
    "default",
    { id: "42", claimedName: "A".repeat(200) },
    "e1",
  );
  assert.ok(first.state === "created");
  assert.match(first.request.code, /^[A-HJ-NP-Z2-9]{8}$/);
  assert.equal(first.request.claimedName?.length, 80);
  assert.equal((await pairings.request("telegram", "default", { id: "42" }, "e2")).state, "waiting");
  const again = await pairings.request("telegram", "default", { id: "42" }, "e1");
  assert.ok(again.state === "created", "the same event, redelivered: its reply was never stored");
  assert.equal(again.request.code, first.request.code);
  const approved = await pairings.approve("telegram", "default", ` ${first.request.code.toLowerCase()} `);
  assert.equal(approved.senderId, "42");
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], ["42"]);
  assert.deepEqual([...(await pairings.allowed("telegram", "other"))], []);
  await assert.rejects(pairings.approve("telegram", "default", first.request.code), /no pairing request/);
});

test("access (5): three wait at most, for 60 minutes; dismissed ones make room and may ask again", async () => {
  const { clock, pairings } = pairingBench();
  const ids = ["1", "2", "3", "4"];
  const asked = await Promise.all(ids.map((id) => pairings.request("telegram", "default", { id }, `e${id}`)));
  assert.deepEqual(
    asked.map((item) => item.state),
    ["created", "created", "created", "full"],
  );
  const [first] = await pairings.pending("telegram", "default");
  await pairings.dismiss("telegram", "default", first?.code ?? "");
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], []);
  assert.equal((await pairings.request("telegram", "default", { id: "4" }, "e5")).state, "created");
  clock.advance(60 * 60 * 1000);
  assert.deepEqual(await pairings.pending("telegram", "default"), []);
  assert.equal((await pairings.request("telegram", "default", { id: "1" }, "e6")).state, "created");
});

test("access (1): files of an unknown shape admit nobody, and say so", async () => {
  for (const allowed of [null, "42", { allowFrom: "42" }, { allowFrom: [42] }, { allow: ["42"] }, 7])
    await assert.rejects(pairingBench({ allowed }).pairings.allowed("telegram", "default"), /unknown shape/);
  for (const pending of [null, [], { requests: [{}] }, { requests: [null] }, { requests: "x" }])
    await assert.rejects(pairingBench({ pending }).pairings.pending("telegram", "default"), /unknown shape/);
  assert.deepEqual(
    [...(await pairingBench({ allowed: ["42"] }).pairings.allowed("telegram", "default"))],
    ["42"],
  );
  const star = pairingBench({ allowed: { allowFrom: ["*", "", "42"] } });
  assert.deepEqual([...(await star.pairings.allowed("telegram", "default"))], ["42"]);
});

test("access (8): those who are paired are read once, and again when the file has changed; unreadable admits nobody", async () => {
  const { pairings, stored } = pairingBench({ allowed: { allowFrom: ["42"] } });
  const first = await pairings.allowed("telegram", "default");
  assert.equal(await pairings.allowed("telegram", "default"), first);
  stored.set("allowed telegram default", { allowFrom: ["7"] });
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], ["7"]);
  stored.set("allowed telegram default", "broken");
  for (let again = 0; again < 2; again++)
    await assert.rejects(pairings.allowed("telegram", "default"), /unknown shape/);
});

test("access (5): a flood of strangers on one account leaves another account free, and little on disk (attack A-046)", async () => {
  const { pairings, stored } = pairingBench();
  let codes = 0;
  for (let n = 0; n < 500; n++) {
    const asked = await pairings.request("telegram", "a", { id: String(1000 + n) }, `e${n}`);
    if (asked.state === "created") codes += 1;
  }
  assert.equal(codes, 3);
  assert.equal((await pairings.pending("telegram", "a")).length, 3);
  assert.ok(JSON.stringify(stored.get("pending telegram a")).length < 1000);
  assert.equal((await pairings.request("telegram", "b", { id: "42" }, "e")).state, "created");
});

test("an approval holds for the account that it was asked on, and for no other (attack A-047)", async () => {
  const { pairings } = pairingBench();
  const asked = await pairings.request("telegram", "a", { id: "5" }, "e1");
  assert.ok(asked.state === "created");
  await assert.rejects(pairings.approve("telegram", "b", asked.request.code), /no pairing request/);
  await pairings.approve("telegram", "a", asked.request.code);
  assert.deepEqual([...(await pairings.allowed("telegram", "a"))], ["5"]);
  for (const other of ["b", "default"])
    assert.deepEqual([...(await pairings.allowed("telegram", other))], []);
});

test("privacy: a sender who is forgotten stands in neither file, nor waits there after its time; others stay", async () => {
  const { clock, stored, pairings } = pairingBench({ allowed: { allowFrom: ["42", "7"] } });
  assert.equal(await pairings.forget("telegram", "default", "5"), 0);
  assert.equal(stored.has("pending telegram default"), false, "nothing was written");
  await pairings.request("telegram", "default", { id: "42", claimedName: "Ada" }, "e1");
  await pairings.request("telegram", "default", { id: "9", claimedName: "Ben" }, "e2");
  clock.advance(60 * 60 * 1000);
  assert.equal(await pairings.forget("telegram", "default", "42"), 2);
  assert.deepEqual([...(await pairings.allowed("telegram", "default"))], ["7"]);
  assert.doesNotMatch(JSON.stringify([...stored.values()]), /42|Ada/);
  assert.match(JSON.stringify(stored.get("pending telegram default")), /Ben/);
});
