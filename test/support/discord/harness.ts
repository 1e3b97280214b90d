import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDiscord } from "../../../src/channels/discord/mod.ts";
import type { DiscordAccount } from "../../../src/channels/discord/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { type Log, Secret } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeDiscord } from "./server.ts";

/** Longer than any pause before a repeat. */
const longestPauseMs = 61_000;

export const people: Readonly<Record<Person, string>> = {
  ada: "100000000000000042",
  ben: "100000000000000043",
};

/** An account for tests; `more` overrides. */
export function testAccount(fake: FakeDiscord, more: Partial<DiscordAccount> = {}): DiscordAccount {
  return {
    accountId: "default",
    token: new Secret(fake.token),
    apiRoot: fake.apiRoot,
    textChunkLimit: 2000,
    suppressEmbeds: true,
    messageContent: true,
    audiences: [],
    ...more,
  };
}

/** A folder for the account's own state; `remove` takes it away. */
export function stateFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "discord-state-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function openTestDiscord(
  settings: DiscordAccount,
  clock: ManualClock,
  folder: string,
  log: Log = () => {},
): Channel {
  return openDiscord(settings, { clock, random: middleRandom, log, stateFolder: folder });
}

/** The bench of the channel contract. */
export async function discordBench(): Promise<ChannelBench> {
  const fake = await FakeDiscord.start();
  const clock = new ManualClock();
  const folder = stateFolder();
  const settings = testAccount(fake);
  const reopen = async () => openTestDiscord(settings, clock, folder.path);
  return {
    channel: await reopen(),
    reopen,
    deliver: ({ person, text, displayName }) =>
      fake.write({ text, from: people[person], ...(displayName ? { name: displayName } : {}) }),
    redeliver: (eventId) => fake.again(eventId),
    isAcknowledged: (eventId) => fake.isTold(eventId),
    acknowledged: (eventId) => fake.told(eventId),
    senderIdOf: (person) => people[person],
    direct: (person) => ({ kind: "direct", id: people[person] }),
    said: () => fake.sent.map((message) => message.content),
    limitMs: 7_000,
    async breakSend(how) {
      const call = "/messages";
      if (how === "limited") {
        const body = { message: "You are being rate limited.", retry_after: 7, global: false };
        fake.api.fault(call, { kind: "answer", status: 429, headers: { "retry-after": "7" }, body });
      } else if (how === "blocked") for (const id of Object.values(people)) fake.blocked.add(id);
      else if (how === "lost") fake.api.fault(call, { kind: "closeAfter" });
      else await fake.api.suspend();
    },
    cut: () => fake.api.cutConnections(),
    passWaits: () => clock.advance(longestPauseMs),
    secrets: [fake.token],
    async close() {
      await fake.api.close();
      folder.remove();
    },
  };
}
