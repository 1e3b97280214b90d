import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock } from "../../test/support/telegram/manual-clock.ts";
import { ledgerChain } from "../audit/mod.ts";
import { systemRandom } from "../kernel/mod.ts";
import { newSession, type SessionRow } from "../session/mod.ts";
import { openStore } from "../store/mod.ts";
import { createSessionsSnapshot } from "./sessions-snapshot.ts";

test("sessions.json holds each of an agent's conversations once, also more than a page of them, and nobody else's", async (t) => {
  const stateFolder = await mkdtemp(join(tmpdir(), "snapshot-"));
  t.after(() => rm(stateFolder, { recursive: true }));
  const clock = new ManualClock();
  const file = join(stateFolder, "gateway.sqlite");
  const store = openStore({ file, chain: ledgerChain, clock, random: systemRandom });
  t.after(() => store.close());
  const row = (agentId: string, index: number): SessionRow => ({
    ...newSession({
      key: `agent:${agentId}:web:${index}`,
      agentId,
      sessionId: `session-${agentId}-${index}`,
      now: index,
    }),
    archived: index % 3 === 0,
  });
  const indexes = Array.from({ length: 450 }, (_, index) => index);
  await store.commit(
    ["a", "main", "z"].flatMap((agent) => indexes.map((index) => store.sessions.put(row(agent, index)))),
  );
  // Each page by itself would go through all of them.
  const list = () => assert.fail("pages by number");
  const snapshot = createSessionsSnapshot({
    sessions: { ...store.sessions, list },
    stateFolder,
    clock,
    log: () => {},
  });
  snapshot.touch("main");
  await snapshot.flush();
  const path = join(stateFolder, "agents", "main", "sessions", "sessions.json");
  const written = JSON.parse(await readFile(path, "utf8"));
  assert.deepEqual(Object.keys(written).sort(), indexes.map((index) => `agent:main:web:${index}`).sort());
  assert.equal(written["agent:main:web:449"].sessionId, "session-main-449");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await assert.rejects(stat(join(stateFolder, "agents", "z")));
});
