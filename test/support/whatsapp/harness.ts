import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWhatsApp } from "../../../src/channels/whatsapp/mod.ts";
import type { WhatsAppAccount } from "../../../src/channels/whatsapp/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import type { Log } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { arrivalsIn } from "../signal/harness.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeWhatsApp } from "./library.ts";

const longestPauseMs = 10_000;

export const people: Readonly<Record<Person, string>> = { ada: "+15550000042", ben: "+15550000043" };

export function jid(person: Person, device = ""): string {
  return `${people[person].slice(1)}${device}@s.whatsapp.net`;
}

export interface WhatsAppStage {
  readonly fake: FakeWhatsApp;
  readonly clock: ManualClock;
  readonly folder: string;
  open(more?: Partial<WhatsAppAccount>, log?: Log): Channel;
  close(): void;
}

export function whatsappStage(): WhatsAppStage {
  const fake = new FakeWhatsApp();
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), "whatsapp-test-"));
  return {
    fake,
    clock,
    folder,
    open: (more = {}, log = () => {}) =>
      openWhatsApp(
        {
          accountId: "default",
          sendReadReceipts: false,
          textChunkLimit: 4000,
          ...more,
        },
        { clock, random: middleRandom, log, stateFolder: folder },
        async () => fake.library,
      ),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The bench of the channel contract, over a double of the library's documented interface. */
export async function whatsappBench(): Promise<ChannelBench> {
  const stage = whatsappStage();
  const { fake, clock, folder } = stage;
  const messages = new Map<string, object>();
  const isAcknowledged = (eventId: string) =>
    arrivalsIn(folder).includes(`{"done":${JSON.stringify(eventId)}`);
  const open = () => stage.open();
  let count = 0;
  return {
    channel: open(),
    reopen: async () => open(),
    deliver({ person, text, displayName }) {
      count += 1;
      const id = `3A${count}`;
      const message = {
        key: { id, remoteJid: jid(person, count % 2 === 0 ? ":3" : ""), fromMe: false },
        pushName: displayName ?? person,
        messageTimestamp: 1_700_000_000 + count,
        message: { conversation: text },
      };
      const eventId = `${people[person]}:${people[person]}:${id}`;
      messages.set(eventId, message);
      fake.deliver(message);
      return eventId;
    },
    redeliver: (eventId) => fake.deliver(messages.get(eventId)!),
    isAcknowledged,
    async acknowledged(eventId) {
      while (!isAcknowledged(eventId)) await new Promise(setImmediate);
    },
    senderIdOf: (person) => people[person],
    direct: (person) => ({ kind: "direct", id: people[person] }),
    said: () => fake.sent.map(({ content }) => String(content.text)),
    limitMs: 60_000,
    async breakSend(how) {
      if (how === "limited") fake.nextSend = 429;
      else if (how === "blocked") fake.nextSend = "error";
      else if (how === "lost") fake.nextSend = "lost";
      else fake.isAway = true;
    },
    cut: () => fake.close(428),
    passWaits: () => clock.advance(longestPauseMs),
    secrets: ["the-noise-key-of-the-test"],
    close: async () => stage.close(),
  };
}
