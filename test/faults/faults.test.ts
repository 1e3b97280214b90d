/** A short storm over each channel; `npm run faults` raises longer ones. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { dovecotMissing } from "../support/email/dovecot.ts";
import { type CarrierId, carriers } from "./carriers/mod.ts";
import { storm } from "./storm.ts";
import { verdictOn } from "./verdict.ts";

// Side by side: most of the time goes by in pauses before a next attempt.
describe("delivery (1), channels (1): in a storm each message ends once, and each reply is seen at most once, in order", {
  concurrency: true,
}, () => {
  for (const id of Object.keys(carriers) as CarrierId[]) {
    const skip = id === "email" ? dovecotMissing() : undefined;
    test(id, { ...(skip === undefined ? {} : { skip }) }, (t) => weathered(t, id));
  }
});

async function weathered(t: TestContext, id: CarrierId): Promise<void> {
  const carrier = await carriers[id](t);
  const after = await storm(carrier, { messages: 8, conversations: 3, seed: 1, ending: t });
  const verdict = await verdictOn(after);
  t.diagnostic(JSON.stringify({ ...after.broken, ...verdict }));
  assert.deepEqual(verdict.wrong, []);
  assert.equal(verdict.done, after.written.length);
  assert.equal(verdict.sent + verdict.unknown, after.written.length);
}
