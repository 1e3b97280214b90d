// Many sessions and many past messages, made cheaply. A subject that cannot be seeded on disk is seeded
// over the wire for as long as the bound allows, and the row says how far that went.

import { atOnce, type Rate } from "./bench.ts";
import type { Client } from "./client.ts";
import type { Subject } from "./subject.ts";

/** How long the wire may be used for one seeding. */
const wireMs = 45_000;

/** Whether this subject's state can be written directly. The peer's never: its formats are not ours to know. */
export function canSeedOnDisk(_subject: Subject): boolean {
  return false;
}

/** Writes `count` sessions into the state folder of a stopped gateway; resolves to how many there are. */
export async function seedSessions(_stateDir: string, _count: number): Promise<number> {
  throw new Error("sessions cannot be seeded on disk yet");
}

/** The same for `count` past messages of one session. */
export async function seedMessages(_stateDir: string, _sessionKey: string, _count: number): Promise<number> {
  throw new Error("messages cannot be seeded on disk yet");
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
