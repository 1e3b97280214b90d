import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pairings } from "../access/mod.ts";
import { pairingPort } from "./pairings.ts";

test("auth (17): a token that approves a sender makes nobody the owner; the owner himself does", async () => {
  const owners: string[] = [];
  const request = { senderId: "5", code: "ABCD", createdAtMs: 1, expiresAtMs: 2 };
  const port = pairingPort({
    pairings: { approve: async () => request } as Partial<Pairings> as Pairings,
    channels: () => [],
    adoptOwner: async (who) => void owners.push(who),
    log: () => {},
  });
  await port.approve("telegram", "default", "ABCD", "token:0123456789ab");
  assert.deepEqual(owners, []);
  await port.approve("telegram", "default", "ABCD", "operator");
  assert.deepEqual(owners, ["telegram:5"]);
});
