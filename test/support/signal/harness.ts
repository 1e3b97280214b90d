import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlatformDeps } from "../../../src/channels/mod.ts";
import { openSignal } from "../../../src/channels/signal/mod.ts";
import type { SignalAccount, Transport } from "../../../src/channels/signal/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeSignal } from "./server.ts";

/** Longer than the first pauses, shorter than the heartbeat. */
const longestPauseMs = 50_000;

export const ownNumber = "+15550009999";
export const people: Readonly<Record<Person, { readonly uuid: string; readonly number: string }>> = {
  ada: { uuid: "aaaaaaaa-0000-4000-8000-00000000000a", number: "+15550000042" },
  ben: { uuid: "bbbbbbbb-0000-4000-8000-00000000000b", number: "+15550000043" },
};

export const noPrograms: PlatformDeps["programs"] = {
  talk: () => Promise.reject(new Error("no program is expected here")),
};

export function testAccount(transport: Transport, more: Partial<SignalAccount> = {}): SignalAccount {
  return {
    accountId: "default",
    number: ownNumber,
    transport,
    startupTimeoutMs: 30_000,
    sendReadReceipts: false,
    textChunkLimit: 4000,
    ...more,
  };
}

export interface SignalStage {
  readonly fake: FakeSignal;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly http: Transport;
  readonly socket: Transport;
  open(transport: Transport, more?: Partial<SignalAccount>, deps?: Partial<PlatformDeps>): Channel;
  close(): Promise<void>;
}

export async function signalStage(): Promise<SignalStage> {
  const fake = new FakeSignal();
  await fake.listen();
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), "signal-test-"));
  const deps = { clock, random: middleRandom, log: () => {}, stateFolder: folder, programs: noPrograms };
  return {
    fake,
    clock,
    folder,
    http: { kind: "http", url: fake.url },
    socket: { kind: "socket", at: { host: "127.0.0.1", port: fake.linesPort } },
    open: (transport, more = {}, extra = {}) =>
      openSignal(testAccount(transport, more), { ...deps, ...extra }),
    async close() {
      await fake.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** What the state folder says about arrivals. */
export function arrivalsIn(folder: string): string {
  try {
    return readFileSync(join(folder, "arrivals.jsonl"), "utf8");
  } catch {
    return "";
  }
}

/** The bench of the channel contract, over either door of the daemon. */
export async function signalBench(door: "http" | "socket"): Promise<ChannelBench> {
  const stage = await signalStage();
  const { fake, clock, folder } = stage;
  const events = new Map<string, object>();
  const isAcknowledged = (eventId: string) =>
    arrivalsIn(folder).includes(JSON.stringify({ done: eventId }).slice(0, -1));
  const open = () => stage.open(stage[door]);
  return {
    channel: open(),
    reopen: async () => open(),
    deliver({ person, text, displayName }) {
      const { at, event } = fake.write({ ...people[person], name: displayName ?? person }, { message: text });
      const eventId = `${people[person].uuid}:${at}`;
      events.set(eventId, event);
      return eventId;
    },
    redeliver: (eventId) => fake.push(events.get(eventId)!),
    isAcknowledged,
    async acknowledged(eventId) {
      while (!isAcknowledged(eventId)) await new Promise(setImmediate);
    },
    senderIdOf: (person) => `uuid:${people[person].uuid}`,
    direct: (person) => ({ kind: "direct", id: `uuid:${people[person].uuid}` }),
    said: () => fake.callsOf("send").map((call) => String(call.params.message)),
    limitMs: 7_000,
    async breakSend(how) {
      const failed = (result: object) => ({ response: { results: [result] } });
      if (how === "limited") {
        const data = failed({ type: "RATE_LIMIT_FAILURE", retryAfterSeconds: 7 });
        fake.faults.set("send", { kind: "refuse", code: -5, data });
      } else if (how === "blocked") {
        const data = failed({ type: "UNREGISTERED_FAILURE" });
        fake.faults.set("send", { kind: "refuse", code: -1, data });
      } else if (how === "lost") fake.faults.set("send", { kind: "closeAfter" });
      else {
        await fake.suspend();
        for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
      }
    },
    cut: () => fake.cut(),
    passWaits: () => clock.advance(longestPauseMs),
    secrets: ["the channel has none of its own"],
    close: () => stage.close(),
  };
}
