// Growth: a turn should cost the same however much lies behind it.

import { type Bench, inTurn } from "../bench.ts";
import type { Client } from "../client.ts";
import { figure, type Measured, median, reasonOf } from "../figures.ts";
import { addMessages, canSeedOnDisk, createSessions, seedMessages, seedSessions } from "../seed.ts";
import { openSite, type Site, startAt } from "../site.ts";
import { measureAllowlist } from "./allowlist.ts";

const few = 10;
const manySessions = 100_000;
const manyMessages = 10_000;
const turns = 40;

export async function measureGrowth(bench: Bench): Promise<void> {
  if (bench.subject.name === "bare") return;
  measureAllowlist(bench);
  const home: Home = { site: await openSite(bench.workshop, bench.subject, bench.model.port) };
  const client = await home.site.connect();
  await createSessions(client, 0, few);
  await warmUp(client);
  const base = await turnP50(client, "agent:main:growth-base");
  bench.say(`p50 ${base.toFixed(2)} ms at ${few} sessions`);

  bench.results.set("growth.messages", await guarded(() => atManyMessages(bench, home, base)));
  bench.results.set("growth.sessions", await guarded(() => atManySessions(bench, home, base)));
}

async function turnP50(client: Client, sessionKey: string): Promise<number> {
  for (let index = 0; index < 5; index += 1) await client.turn(sessionKey, `warm up ${index}`);
  return median(
    await inTurn({ count: turns, ms: 30_000 }, (index) => client.turn(sessionKey, `message ${index}`)),
  );
}

async function atManyMessages(bench: Bench, home: Home, base: number): Promise<Measured> {
  const key = "agent:main:growth-long";
  const client = await seeded(bench, home, (state) => seedMessages(state, key, manyMessages));
  if (!canSeedOnDisk(bench.subject)) await client.turn(key, "the first message");
  const count = canSeedOnDisk(bench.subject) ? manyMessages : await addMessages(client, key, manyMessages);
  bench.say(`${count} past messages`);
  const grown = await turnP50(client, key);
  return compare(base, grown, count, manyMessages, "messages");
}

async function atManySessions(bench: Bench, home: Home, base: number): Promise<Measured> {
  const client = await seeded(bench, home, (state) => seedSessions(state, manySessions));
  const count = canSeedOnDisk(bench.subject)
    ? manySessions
    : few + (await createSessions(client, few, manySessions)).count;
  bench.say(`${count} sessions`);
  const grown = await turnP50(client, "agent:main:growth-after");
  return compare(base, grown, count, manySessions, "sessions");
}

function compare(base: number, grown: number, count: number, wanted: number, what: string): Measured {
  const note = `${base.toFixed(1)} -> ${grown.toFixed(1)} ms at ${count} ${what}`;
  return count < wanted * 0.9 ? { ...figure(grown / base, note), isShort: true } : figure(grown / base, note);
}

/** The gateway under measurement, which is another process after each seeding. */
interface Home {
  site: Site;
}

/** Seeds on disk where the subject can, with the gateway stopped meanwhile. */
async function seeded(
  bench: Bench,
  home: Home,
  seed: (stateDir: string) => Promise<number>,
): Promise<Client> {
  if (!canSeedOnDisk(bench.subject)) return await home.site.connect();
  const { place } = home.site;
  await home.site.running.stop();
  await seed(place.state);
  home.site = await startAt(bench.workshop, bench.subject, place);
  const client = await home.site.connect();
  await warmUp(client);
  return client;
}

/** Without this the first figures would be slow because they are first, and growth would hide in that. */
async function warmUp(client: Client): Promise<void> {
  await inTurn({ count: 200, ms: 10_000 }, (index) =>
    client.turn("agent:main:growth-warm", `warm up ${index}`),
  );
}

async function guarded(work: () => Promise<Measured>): Promise<Measured> {
  try {
    return await work();
  } catch (error) {
    return { missing: reasonOf(error) };
  }
}
