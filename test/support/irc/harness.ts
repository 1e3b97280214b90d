import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openIrc } from "../../../src/channels/irc/mod.ts";
import type { IrcAccount } from "../../../src/channels/irc/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { type Log, Secret } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person as ContractPerson } from "../../contracts/channel.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeIrc, type FakeIrcOptions, type Person } from "./server.ts";

/** Longer than any pause before a repeat, shorter than the checks that go on for ever. */
const longestPauseMs = 61_000;

const password = "sasl-password-of-the-test";

export const people: Readonly<Record<ContractPerson, Person>> = {
  ada: { nick: "ada", account: "ada" },
  ben: { nick: "ben", account: "ben" },
};

export function testAccount(port: number, more: Partial<IrcAccount> = {}): IrcAccount {
  return {
    accountId: "default",
    host: "127.0.0.1",
    port,
    tls: false,
    nick: "house",
    username: "house",
    realname: "The house",
    sasl: { username: "house", password: new Secret(password) },
    channels: ["#lounge"],
    lineIntervalMs: 2000,
    textChunkLimit: 2000,
    ...more,
  };
}

/** Every draw is another one, and the same in each run. */
export function countingRandom() {
  let count = 0;
  return {
    bytes(length: number) {
      const bytes = Buffer.alloc(length, 0x80);
      count += 1;
      if (length >= 4) bytes.writeUInt32BE(count, length - 4);
      return bytes;
    },
  };
}

export interface IrcStage {
  readonly fake: FakeIrc;
  readonly clock: ManualClock;
  readonly folder: string;
  open(more?: Partial<IrcAccount>, log?: Log): Channel;
  close(): Promise<void>;
}

export async function ircStage(options: FakeIrcOptions = {}): Promise<IrcStage> {
  const clock = new ManualClock();
  const accounts = { house: password };
  const fake = await FakeIrc.start({ accounts, ...options }, () => clock.now());
  const folder = mkdtempSync(join(tmpdir(), "irc-test-"));
  const random = countingRandom();
  return {
    fake,
    clock,
    folder,
    open: (more = {}, log = () => {}) =>
      openIrc(testAccount(fake.port, more), { clock, random, log, stateFolder: folder }),
    async close() {
      await fake.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The bench of the channel contract, against a server that keeps a history. */
export async function ircBench(): Promise<ChannelBench> {
  const stage = await ircStage();
  const { fake, clock, folder } = stage;
  for (const person of Object.values(people)) fake.people.set(person.nick, person);
  const open = () => stage.open();
  const storedUntilMs = (): number => {
    try {
      return JSON.parse(readFileSync(join(folder, "position.json"), "utf8")).storedUntilMs;
    } catch {
      return 0;
    }
  };
  const message = (eventId: string) => fake.history.find((item) => `id:${item.msgid}` === eventId)!;
  const isAcknowledged = (eventId: string) => storedUntilMs() >= message(eventId).atMs;
  let answering = true;
  return {
    channel: open(),
    reopen: async () => open(),
    deliver({ person, text, displayName }) {
      const { account } = people[person];
      // A nick is the name that is shown, and anybody may take it.
      const nick = displayName === undefined ? account : `${displayName}-${person}`;
      return `id:${fake.say({ nick, account }, "house", text).msgid}`;
    },
    redeliver: (eventId) => fake.play(message(eventId)),
    isAcknowledged,
    async acknowledged(eventId) {
      while (!isAcknowledged(eventId)) await new Promise(setImmediate);
    },
    senderIdOf: (person) => people[person].account,
    direct: (person) => ({ kind: "direct", id: people[person].account }),
    said: () => fake.said.map((item) => item.text),
    limitMs: 7_000,
    async breakSend(how) {
      if (how === "limited")
        fake.faults.push({ answer: "439 % :Target change too fast. Please wait 7 seconds" });
      else if (how === "blocked") fake.faults.push({ answer: "716 % :is in +g mode" });
      else if (how === "lost") fake.faults.push("closeAfter");
      else {
        answering = false;
        await fake.suspend();
        // Our side learns of the end in one of the next turns.
        for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
      }
    },
    cut() {
      if (answering) fake.cut();
    },
    passWaits: () => clock.advance(longestPauseMs),
    secrets: [password, Buffer.from(`house\0house\0${password}`).toString("base64")],
    close: () => stage.close(),
  };
}
