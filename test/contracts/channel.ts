import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  Channel,
  ChannelHost,
  ChannelStatus,
  Conversation,
  InboundMessage,
  SendResult,
} from "../../src/delivery/channel.ts";
import { admit, refuse, type Verdict } from "../../src/kernel/mod.ts";

/** A platform with people on it, and one account of ours. */
export interface ChannelBench {
  /** The account's first life, not started. */
  readonly channel: Channel;
  /** The account's next life against the same platform. */
  reopen(): Promise<Channel>;
  /** Somebody writes to us in a direct conversation. Returns the event id that the channel must give it. */
  deliver(message: { readonly person: Person; readonly text: string; readonly displayName?: string }): string;
  /** The platform delivers an event once more, as if it had not heard that it arrived. */
  redeliver(eventId: string): void;
  isAcknowledged(eventId: string): boolean;
  acknowledged(eventId: string): Promise<void>;
  senderIdOf(person: Person): string;
  direct(person: Person): Conversation;
  /** What our account said, as people see it. */
  said(): readonly string[];
  /** The next send goes wrong in this way. `limited` asks for a pause of `limitMs`. */
  breakSend(how: "limited" | "blocked" | "lost" | "unreachable"): Promise<void>;
  readonly limitMs: number;
  /** Breaks every connection that is open now. */
  cut(): void;
  /** Lets the pauses that the channel makes before it tries again go by. */
  passWaits(): void;
  /** What must never be seen. */
  readonly secrets: readonly string[];
  close(): Promise<void>;
}

export type Person = "ada" | "ben";

export type ChannelHarness = () => Promise<ChannelBench>;

/** The gateway as a channel sees it, with an answer that the test chooses. */
export class RecordingHost implements ChannelHost {
  readonly offered: InboundMessage[] = [];
  readonly statuses: ChannelStatus[] = [];
  answer: (message: InboundMessage) => Promise<Verdict<{ readonly messageId: string }>> = async (message) =>
    admit({ messageId: message.eventId });
  readonly #passWaits: () => void;
  readonly #watchers = new Set<() => void>();

  constructor(passWaits: () => void = () => {}) {
    this.#passWaits = passWaits;
  }

  accept(message: InboundMessage): Promise<Verdict<{ readonly messageId: string }>> {
    this.offered.push(message);
    this.#changed();
    return this.answer(message);
  }

  /** As after a start in which nothing had come yet. */
  newest: ReadonlyMap<string, number> = new Map();

  newestNumbers(): ReadonlyMap<string, number> {
    return this.newest;
  }

  report(status: ChannelStatus): void {
    this.statuses.push(status);
    this.#changed();
    // Reported before the pause begins; by the next turn of the loop its timer is set.
    if (status.state === "reconnecting" || status.state === "failed") setImmediate(this.#passWaits);
  }

  /** Resolves once `condition` holds; looked at after every message and report. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  get texts(): readonly string[] {
    return this.offered.map((message) => message.text);
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}

interface Stage {
  readonly bench: ChannelBench;
  readonly host: RecordingHost;
  readonly channel: Channel;
  send(text: string): Promise<SendResult>;
}

/** What every channel must hold; the numbers are the invariants of src/channels/mod.ts. */
export function channelContract(name: string, harness: ChannelHarness): void {
  const test = (title: string, body: (stage: Stage) => Promise<void>) =>
    it(title, async () => {
      const bench = await harness();
      const host = new RecordingHost(() => bench.passWaits());
      const results: unknown[] = [];
      const send = async (text: string) => {
        const result = await bench.channel.send({ id: "out-1", conversation: bench.direct("ada"), text });
        results.push(result);
        return result;
      };
      try {
        await bench.channel.start(host);
        await body({ bench, host, channel: bench.channel, send });
        await bench.channel.stop();
        assertHidden(bench.secrets, { statuses: host.statuses, results });
      } finally {
        await bench.channel.stop();
        await bench.close();
      }
    });

  describe(`channels: ${name}`, () => {
    test("(1) the platform is told received only after accept resolved", async ({ bench, host, send }) => {
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      const eventId = bench.deliver({ person: "ada", text: "hello" });
      await host.until(() => host.offered.length === 1);
      // Two round trips: time enough for an acknowledgement that came too early to arrive.
      await send("one");
      await send("two");
      assert.equal(bench.isAcknowledged(eventId), false);
      stored.resolve();
      await bench.acknowledged(eventId);
      assert.deepEqual(host.texts, ["hello"]);
    });

    test("(1) what could not be stored is offered again, with the same event id", async ({ bench, host }) => {
      let failures = 2;
      host.answer = async () => {
        if (failures-- > 0) throw new Error("no space left on device");
        return admit({ messageId: "1" });
      };
      const eventId = bench.deliver({ person: "ada", text: "hello" });
      await bench.acknowledged(eventId);
      assert.deepEqual(
        host.offered.map((message) => message.eventId),
        [eventId, eventId, eventId],
      );
    });

    test("(2) a refused message is not offered again", async ({ bench, host }) => {
      host.answer = async () => refuse("access.sender_unpaired");
      const first = bench.deliver({ person: "ada", text: "first" });
      await bench.acknowledged(first);
      const second = bench.deliver({ person: "ada", text: "second" });
      await bench.acknowledged(second);
      assert.deepEqual(host.texts, ["first", "second"]);
    });

    test("(3) one conversation's messages are handed in one at a time and in order", async ({
      bench,
      host,
    }) => {
      const stored: string[] = [];
      let inside = 0;
      let most = 0;
      let failed = false;
      host.answer = async ({ text }) => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        inside -= 1;
        if (text === "2" && !failed) {
          failed = true;
          throw new Error("busy");
        }
        stored.push(text);
        return admit({ messageId: text });
      };
      const ids = ["1", "2", "3", "4", "5"].map((text) => bench.deliver({ person: "ada", text }));
      await bench.acknowledged(ids[4]!);
      assert.deepEqual(stored, ["1", "2", "3", "4", "5"]);
      assert.equal(most, 1);
    });

    test("(4) a repeated delivery carries the event id of the first (A-180)", async ({ bench, host }) => {
      const eventId = bench.deliver({ person: "ada", text: "hello" });
      await bench.acknowledged(eventId);
      bench.redeliver(eventId);
      await host.until(() => host.offered.length === 2);
      const other = bench.deliver({ person: "ada", text: "hello" });
      await bench.acknowledged(other);
      assert.deepEqual(
        host.offered.map((message) => message.eventId),
        [eventId, eventId, other],
      );
      assert.notEqual(other, eventId);
    });

    test("(5) a sender is the platform's id, whatever name is shown", async ({ bench, host }) => {
      bench.deliver({ person: "ada", text: "1", displayName: "Ada" });
      bench.deliver({ person: "ada", text: "2", displayName: bench.senderIdOf("ben") });
      bench.deliver({ person: "ben", text: "3", displayName: "Ada" });
      await host.until(() => host.offered.length === 3);
      const byText = [...host.offered].sort((a, b) => a.text.localeCompare(b.text));
      assert.deepEqual(
        byText.map((message) => message.sender.id),
        [bench.senderIdOf("ada"), bench.senderIdOf("ada"), bench.senderIdOf("ben")],
      );
      assert.deepEqual(new Set(byText.map((message) => message.sender.proof)), new Set(["platform"]));
      assert.equal(byText[0]!.conversation.id, byText[1]!.conversation.id);
      assert.notEqual(byText[0]!.conversation.id, byText[2]!.conversation.id);
    });

    test("(5) a message says which channel, account and conversation it came from", async ({
      bench,
      host,
      channel,
    }) => {
      bench.deliver({ person: "ada", text: "hello" });
      await host.until(() => host.offered.length === 1);
      const message = host.offered[0]!;
      assert.equal(message.channel, channel.id);
      assert.equal(message.account, channel.account);
      assert.deepEqual(message.conversation, bench.direct("ada"));
    });

    test("(6) a message that arrived is sent, once", async ({ bench, send }) => {
      const result = await send("Grüße 👋 & <b>all</b>");
      assert.equal(result.outcome, "sent");
      assert.ok(result.outcome === "sent" && result.platformId !== "");
      assert.deepEqual(bench.said(), ["Grüße 👋 & <b>all</b>"]);
    });

    test("(6) the platform's limit is a retry after the time it asks for", async ({ bench, send }) => {
      await bench.breakSend("limited");
      const result = await send("hello");
      assert.equal(result.outcome, "retry");
      assert.ok(result.outcome === "retry" && result.retryAfterMs === bench.limitMs);
      assert.deepEqual(bench.said(), []);
      assert.equal((await send("hello")).outcome, "sent");
    });

    test("(6) a recipient who does not want us is rejected", async ({ bench, send }) => {
      await bench.breakSend("blocked");
      assert.equal((await send("hello")).outcome, "rejected");
      assert.deepEqual(bench.said(), []);
    });

    test("(6) a send whose answer is lost is unknown, and not sent again", async ({ bench, send }) => {
      await bench.breakSend("lost");
      assert.equal((await send("hello")).outcome, "unknown");
      assert.deepEqual(bench.said(), ["hello"]);
    });

    test("(6) a send that never left is a retry", async ({ bench, send }) => {
      await bench.breakSend("unreachable");
      const result = await send("hello");
      assert.equal(result.outcome, "retry");
      assert.deepEqual(bench.said(), []);
    });

    test("(7) stop waits for what is in flight, and leaves the rest to the next start", async ({
      bench,
      host,
      channel,
    }) => {
      const stored = Promise.withResolvers<void>();
      host.answer = async () => {
        await stored.promise;
        return admit({ messageId: "1" });
      };
      bench.deliver({ person: "ada", text: "before" });
      await host.until(() => host.offered.length === 1);
      let stopped = false;
      const stopping = channel.stop().then(() => {
        stopped = true;
      });
      await new Promise(setImmediate);
      assert.equal(stopped, false);
      stored.resolve();
      await stopping;
      assert.equal(host.statuses.at(-1)?.state, "stopped");
      const later = bench.deliver({ person: "ada", text: "after" });
      const next = await bench.reopen();
      const nextHost = new RecordingHost(() => bench.passWaits());
      await next.start(nextHost);
      await bench.acknowledged(later);
      await next.stop();
      assert.deepEqual(host.texts, ["before"]);
      assert.equal(nextHost.texts.at(-1), "after");
      assertHidden(bench.secrets, nextHost.statuses);
    });

    test("(7) what could not be stored before the end is offered to the next start", async ({
      bench,
      host,
      channel,
    }) => {
      host.answer = async () => {
        throw new Error("no space left on device");
      };
      const eventId = bench.deliver({ person: "ada", text: "hello" });
      await host.until(() => host.offered.length === 1);
      await channel.stop();
      assert.equal(bench.isAcknowledged(eventId), false);
      const next = await bench.reopen();
      const nextHost = new RecordingHost(() => bench.passWaits());
      await next.start(nextHost);
      await bench.acknowledged(eventId);
      await next.stop();
      assert.deepEqual(
        nextHost.offered.map((message) => message.eventId),
        [eventId],
      );
    });

    test("(8) after a cut connection messages arrive again", async ({ bench, host }) => {
      const first = bench.deliver({ person: "ada", text: "first" });
      await bench.acknowledged(first);
      bench.cut();
      const second = bench.deliver({ person: "ada", text: "second" });
      await bench.acknowledged(second);
      assert.deepEqual([...new Set(host.texts)], ["first", "second"]);
      assert.equal(host.statuses.at(-1)?.state, "connected");
    });

    test("(8) the account's name and the last contact are reported once connected", async ({ host }) => {
      await host.until(() => host.statuses.some((status) => status.state === "connected"));
      const status = host.statuses.find(({ state }) => state === "connected");
      assert.ok(status?.identity);
      assert.ok(status.lastConfirmedAtMs);
      assert.equal(host.statuses[0]?.state, "starting");
    });

    test("(9) no secret shows when everything fails", async ({ bench, host, send }) => {
      await bench.breakSend("unreachable");
      const result = await send("hello");
      bench.cut();
      assertHidden(bench.secrets, { result, statuses: host.statuses });
    });
  });
}

export function assertHidden(secrets: readonly string[], seen: unknown): void {
  const text = JSON.stringify(seen);
  for (const secret of secrets) {
    assert.equal(text.includes(secret), false, "a secret is visible");
    assert.equal(text.includes(encodeURIComponent(secret)), false, "a secret is visible, URL-encoded");
  }
}
