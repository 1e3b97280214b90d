import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIMessage } from "../../../src/channels/imessage/mod.ts";
import type { IMessageAccount } from "../../../src/channels/imessage/settings.ts";
import type { PlatformDeps } from "../../../src/channels/mod.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { createHelperPrograms } from "../../../src/sandbox/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { arrivalsIn } from "../signal/harness.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeMessages } from "./server.ts";

/** Longer than the first pauses, shorter than the patience with an answer. */
const longestPauseMs = 9_000;

export const people: Readonly<Record<Person, string>> = { ada: "+15550000042", ben: "ben@icloud.com" };

export function testAccount(more: Partial<IMessageAccount> = {}): IMessageAccount {
  return {
    accountId: "default",
    program: "imsg",
    service: "auto",
    isLocal: true,
    probeTimeoutMs: 10_000,
    textChunkLimit: 4000,
    ...more,
  };
}

export interface IMessageStage {
  readonly fake: FakeMessages;
  readonly clock: ManualClock;
  readonly folder: string;
  open(more?: Partial<IMessageAccount>, deps?: Partial<PlatformDeps>): Channel;
  /** Resolves when each imsg that was started has ended. */
  ended(): Promise<void>;
  close(): Promise<void>;
}

export async function imessageStage(): Promise<IMessageStage> {
  const fake = await FakeMessages.start();
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), "imessage-test-"));
  const programs = createHelperPrograms({
    path: `${fake.folder}:/bin:/usr/bin`,
    after: clock.after.bind(clock),
  });
  const ends: Promise<unknown>[] = [];
  const watched: PlatformDeps["programs"] = {
    async talk(program, args, onOutput) {
      const helper = await programs.talk(program, args, onOutput);
      ends.push(helper.ended);
      return helper;
    },
  };
  const deps = { clock, random: middleRandom, log: () => {}, stateFolder: folder, programs: watched };
  return {
    fake,
    clock,
    folder,
    open: (more = {}, extra = {}) => openIMessage(testAccount(more), { ...deps, ...extra }),
    async ended() {
      await Promise.all(ends);
    },
    async close() {
      await fake.close();
      await Promise.all(ends);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The bench of the channel contract, with an `imsg` that is a program of its own. */
export async function imessageBench(): Promise<ChannelBench> {
  const stage = await imessageStage();
  const { fake, clock, folder } = stage;
  const isAcknowledged = (eventId: string) =>
    arrivalsIn(folder).includes(`{"done":${JSON.stringify(eventId)}`);
  const open = () => stage.open();
  return {
    channel: open(),
    reopen: async () => open(),
    deliver: ({ person, text }) =>
      String(
        fake.write({
          sender: people[person],
          text,
          chat_id: person === "ada" ? 1 : 2,
          chat_guid: `iMessage;-;${people[person]}`,
        }).guid,
      ),
    redeliver: (eventId) => fake.tell(fake.messages.find((message) => message.guid === eventId)!),
    isAcknowledged,
    async acknowledged(eventId) {
      while (!isAcknowledged(eventId)) await new Promise(setImmediate);
    },
    senderIdOf: (person) => people[person],
    direct: (person) => ({ kind: "direct", id: people[person] }),
    said: () => fake.callsOf("send").map((params) => String(params.text)),
    limitMs: 10_000,
    async breakSend(how) {
      // Messages limits nobody by the minute; what it asks to wait for is that it runs again.
      if (how === "limited")
        fake.faults.set("send", {
          kind: "refuse",
          code: -32603,
          message: "Application isn’t running. (-600)",
        });
      else if (how === "blocked")
        fake.faults.set("send", { kind: "refuse", code: -32603, message: "Can’t get participant. (-1728)" });
      else if (how === "lost") fake.faults.set("send", { kind: "exitAfter" });
      else {
        fake.away();
        await stage.ended();
      }
    },
    cut: () => fake.cut(),
    passWaits: () => clock.advance(longestPauseMs),
    secrets: ["the channel has none of its own"],
    close: () => stage.close(),
  };
}
