// Many sessions and many past messages, made cheaply. A subject that cannot be seeded on disk is seeded
// over the wire for as long as the bound allows, and the row says how far that went.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { ledgerChain } from "../src/audit/mod.ts";
import { type Source, systemClock, systemRandom, type Write } from "../src/kernel/mod.ts";
import { appendEntry, type Message, newSession, type SessionRow } from "../src/session/mod.ts";
import { openStore, type Store } from "../src/store/mod.ts";
import { atOnce, type Rate } from "./bench.ts";
import type { Client } from "./client.ts";
import type { Subject } from "./subject.ts";

/** How long the wire may be used for one seeding. */
const wireMs = 45_000;

/** Whether this subject's state can be written directly. The peer's never: its formats are not ours to know. */
export function canSeedOnDisk(subject: Subject): boolean {
  return subject.name === "ours";
}

/** Writes `count` sessions into the state folder of a stopped gateway; resolves to how many there are. */
export async function seedSessions(stateDir: string, count: number): Promise<number> {
  return withStore(stateDir, async (store) => {
    for (let from = 0; from < count; from += 1000) {
      const rows = Array.from({ length: Math.min(1000, count - from) }, (_, index) =>
        sessionRow(`agent:main:seeded-${from + index}`),
      );
      await store.commit(rows.map((row) => store.sessions.put(row)));
    }
    return store.sessions.count();
  });
}

/** The same for `count` past messages of one session. */
export async function seedMessages(stateDir: string, sessionKey: string, count: number): Promise<number> {
  return withStore(stateDir, async (store) => {
    let row = store.sessions.get(sessionKey) ?? sessionRow(sessionKey);
    for (let from = 0; from < count; from += 1000) {
      const writes: Write[] = [];
      for (let index = from; index < Math.min(count, from + 1000); index += 1) {
        const appended = appendEntry(row, {
          id: randomUUID(),
          now: Date.now(),
          runId: `seed-${index >> 1}`,
          body: { type: "message", message: pastMessage(index) },
        });
        row = appended.row;
        writes.push(store.sessions.append(row.sessionId, appended.entry));
      }
      await store.commit([...writes, store.sessions.put(row)]);
    }
    return row.lastSeq;
  });
}

async function withStore(stateDir: string, work: (store: Store) => Promise<number>): Promise<number> {
  const store = openStore({
    file: join(stateDir, "state", "gateway.sqlite"),
    chain: ledgerChain,
    clock: systemClock,
    random: systemRandom,
  });
  try {
    return await work(store);
  } finally {
    store.checkpoint();
    store.close();
  }
}

function sessionRow(key: string): SessionRow {
  return newSession({ key, agentId: "main", sessionId: randomUUID(), now: Date.now() });
}

/** A question and an answer by turns, as long as those of the other rows. */
function pastMessage(index: number): Message {
  const source: Source = { author: "seed", proof: "self", trust: "owner", sensitivity: "private" };
  const timestamp = Date.now();
  if (index % 2 === 0) return { role: "user", content: `past question ${index}`, timestamp, source };
  const usage = { input: 10, output: 4, cacheRead: 0, cacheWrite: 0, totalTokens: 14, costUsd: 0 };
  const content = [{ type: "text" as const, text: `Answered at once, ${index}.` }];
  return {
    role: "assistant",
    content,
    timestamp,
    source,
    provider: "mock",
    model: "mock-1",
    usage,
    stopReason: "stop",
  };
}

export async function createSessions(client: Client, from: number, to: number): Promise<Rate> {
  return await atOnce(16, { count: to - from, ms: wireMs }, (_lane, index) =>
    client.call("sessions.create", { key: `agent:main:seeded-${from + index}` }),
  );
}

/** Resolves to how many messages were added: injected where that is possible, else by real turns. */
export async function addMessages(client: Client, sessionKey: string, count: number): Promise<number> {
  try {
    await client.call("chat.inject", { sessionKey, message: "the first past message" });
  } catch {
    // A turn leaves two messages: the question and the answer.
    const turns = { count: count / 2, ms: wireMs };
    return 2 * (await atOnce(1, turns, (_lane, index) => client.turn(sessionKey, `past ${index}`))).count;
  }
  const inject = (_lane: number, index: number): Promise<unknown> =>
    client.call("chat.inject", { sessionKey, message: `past message ${index}` });
  return (await atOnce(16, { count, ms: wireMs }, inject)).count;
}
