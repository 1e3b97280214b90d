import assert from "node:assert/strict";
import { test } from "node:test";
import { onlyWhole, readAccounts } from "./accounts.ts";

test("a fault of the channel's own keys is told once, however many accounts have it from there", () => {
  const read = (section: unknown) =>
    readAccounts(section, "chat", {
      credentials: ["token"],
      read: onlyWhole(({ accountId, at }) => ({ accountId, limit: at("limit").integer("limit", 1, 9) })),
      compare: () => {},
    });
  const { accounts, problems } = read({ limit: 10, accounts: { a: {}, b: {}, c: { limit: 3 } } });
  assert.deepEqual(accounts, [{ accountId: "c", limit: 3 }]);
  assert.deepEqual(
    problems.map(({ path }) => path),
    [["channels", "chat", "limit"]],
  );
});
