import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { openTelegram } from "../../../src/channels/telegram/mod.ts";
import type { TelegramAccount } from "../../../src/channels/telegram/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { type Log, Secret } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { ManualClock } from "./manual-clock.ts";
import { FakeTelegram } from "./server.ts";

/** Longer than any pause before a repeat, shorter than the checks that go on for ever. */
const longestPauseMs = 61_000;

const people: Readonly<Record<Person, number>> = { ada: 42, ben: 43 };

/** An account for tests; `more` overrides. */
export function testAccount(fake: FakeTelegram, more: Partial<TelegramAccount> = {}): TelegramAccount {
  return {
    accountId: "default",
    botToken: new Secret(fake.token),
    apiRoot: fake.url,
    mode: "polling",
    textChunkLimit: 4000,
    linkPreview: false,
    ...more,
  };
}

/** Every "random" choice is the middle one. */
export const middleRandom = {
  bytes: (length: number) => Buffer.from([0x80, ...new Array<number>(length - 1).fill(0)]),
};

export async function openTestChannel(
  settings: TelegramAccount,
  clock: ManualClock,
  log: Log = () => {},
): Promise<Channel> {
  return openTelegram(settings.accountId, settings, { clock, random: middleRandom, log, stateFolder: "" });
}

/** The gateway's port, as far as a webhook needs it. */
export class WebhookFront {
  channel: Channel | undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const webhook = this.channel?.webhook;
      const headers = request.headers as Record<string, string | undefined>;
      let status = 404;
      if (webhook && request.url === webhook.path) {
        const answer = webhook.verify(headers, body).ok ? await webhook.receive(body) : 401;
        status = typeof answer === "number" ? answer : answer.status;
      }
      response.writeHead(status).end();
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }
}

/** The bench of the channel contract, for either way of receiving. */
export async function telegramBench(mode: "polling" | "webhook"): Promise<ChannelBench> {
  const fake = await FakeTelegram.start({ keepAlive: false });
  const clock = new ManualClock();
  const front = new WebhookFront();
  const secret = "webhook-secret-of-the-test";
  const origin = mode === "webhook" ? await front.open() : "";
  const settings = testAccount(fake, {
    ...(mode === "webhook"
      ? { mode: { url: `${origin}/hook`, secret: new Secret(secret), path: "/hook" } }
      : {}),
  });
  const reopen = async () => {
    const channel = await openTestChannel(settings, clock);
    front.channel = channel;
    return channel;
  };
  let answering = true;
  return {
    channel: await reopen(),
    reopen,
    deliver: ({ person, text, displayName }) =>
      String(
        fake.deliver({ text, from: people[person], ...(displayName ? { firstName: displayName } : {}) }),
      ),
    redeliver: (eventId) => fake.redeliver(Number(eventId)),
    isAcknowledged: (eventId) => !fake.queue.pending.includes(Number(eventId)),
    acknowledged: (eventId) => fake.until(() => !fake.queue.pending.includes(Number(eventId))),
    senderIdOf: (person) => String(people[person]),
    direct: (person) => ({ kind: "direct", id: String(people[person]) }),
    said: () => fake.sent.map((message) => message.text),
    limitMs: 7_000,
    async breakSend(how) {
      if (how === "limited") {
        const parameters = { retry_after: 7 };
        fake.fault("sendMessage", {
          kind: "answer",
          status: 429,
          description: "Too Many Requests: retry after 7",
          parameters,
        });
      } else if (how === "blocked") {
        for (const id of Object.values(people)) fake.blocked.add(String(id));
      } else if (how === "lost") fake.fault("sendMessage", { kind: "closeAfter" });
      else {
        answering = false;
        await fake.suspend();
      }
    },
    cut() {
      if (answering) fake.cutConnections();
      if (mode === "webhook") front.cut();
    },
    passWaits: () => clock.advance(longestPauseMs),
    secrets: [fake.token, fake.token.split(":")[1] ?? "", secret],
    async close() {
      await fake.close();
      if (mode === "webhook") await front.close();
    },
  };
}
