import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ledgerChain } from "../audit/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import { newSession } from "../session/mod.ts";
import { openStore } from "../store/mod.ts";
import { tellLostCommands } from "./lost-commands.ts";

/** What is written for a conversation whose command was lost, while a message of it is in this state. */
async function told(t: TestContext, state: InboxRow["state"] | undefined, isKnown = true) {
  const folder = mkdtempSync(join(tmpdir(), "lost-"));
  const store = openStore({
    file: join(folder, "gateway.sqlite"),
    chain: ledgerChain,
    clock: systemClock,
    random: systemRandom,
  });
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const session = newSession({ key: "k", agentId: "main", sessionId: "s", now: 1 });
  if (isKnown) await store.commit([store.sessions.put(session)]);
  const settled: string[] = [];
  const settle = () => void settled.push("c0ffee");
  await tellLostCommands({
    tools: { lostCommands: async () => [{ id: "c0ffee", sessionKey: "k", settle }] },
    store: { ...store, inbox: { open: () => (state ? [{ sessionKey: "k", state } as InboxRow] : []) } },
    touchTranscript: () => {},
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const entries = store.sessions.entries("s", { afterSeq: 0, limit: 10 });
  const recorded = store.ledger.list({ sessionKey: "k", limit: 10 });
  return {
    said: entries.map(({ body }) => JSON.stringify(body)),
    recorded: JSON.stringify(recorded).includes('"lost":["c0ffee"]'),
    settled,
    lastInteractionAt: store.sessions.get("k")?.lastInteractionAt,
  };
}

test("sandbox (6): a conversation is told of its lost commands, also when a message waits already", async (t) => {
  for (const state of [undefined, "accepted"] as const) {
    const { said, lastInteractionAt, ...rest } = await told(t, state);
    assert.equal(said.length, 1, state);
    assert.match(said[0] ?? "", /have ended: c0ffee/);
    assert.deepEqual(rest, { recorded: true, settled: ["c0ffee"] });
    assert.equal(lastInteractionAt, 1, "nobody from outside has spoken");
  }
});

test("sandbox (6): nothing comes between a call and its result: who is in a turn hears it from that turn", async (t) => {
  for (const at of [await told(t, "running"), await told(t, undefined, false)])
    assert.deepEqual([at.said, at.recorded, at.settled], [[], true, ["c0ffee"]]);
});
