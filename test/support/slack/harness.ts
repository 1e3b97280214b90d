import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { openSlack } from "../../../src/channels/slack/mod.ts";
import type { SlackAccount } from "../../../src/channels/slack/settings.ts";
import type { Channel } from "../../../src/delivery/channel.ts";
import { type Log, Secret } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { stateFolder } from "../discord/harness.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeSlack, seen } from "./server.ts";

/** Longer than the pauses before the first repeats, and shorter than a connection's patience with a missing pong. */
const longestPauseMs = 10_000;

export const people: Readonly<Record<Person, string>> = { ada: "UADA00042", ben: "UBEN00043" };

/** An account for tests; `more` overrides. */
export function testAccount(fake: FakeSlack, more: Partial<SlackAccount> = {}): SlackAccount {
  return {
    accountId: "default",
    botToken: new Secret(fake.botToken),
    mode: { kind: "socket", appToken: new Secret(fake.appToken) },
    apiRoot: fake.apiRoot,
    textChunkLimit: 4000,
    ...more,
  };
}

export function openTestSlack(
  settings: SlackAccount,
  clock: ManualClock,
  folder: string,
  log: Log = () => {},
): Channel {
  return openSlack(settings, { clock, random: middleRandom, log, stateFolder: folder });
}

export function postedMode(fake: FakeSlack): SlackAccount["mode"] {
  return { kind: "http", signingSecret: new Secret(fake.signingSecret), path: "/slack/events" };
}

/** The gateway's port, as far as posted events need it. */
export class Front {
  channel: Channel | undefined;
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const webhook = this.channel?.webhook;
    const headers = request.headers as Record<string, string | undefined>;
    const isProved = webhook?.verify(headers, body).ok === true;
    const answer = webhook && isProved ? await webhook.receive(body) : 401;
    if (typeof answer === "number") response.writeHead(answer).end();
    else response.writeHead(answer.status).end(answer.body);
  });

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/slack/events`;
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
export async function slackBench(kind: "socket" | "http"): Promise<ChannelBench> {
  const fake = await FakeSlack.start();
  const clock = new ManualClock();
  const front = new Front();
  const folder = stateFolder();
  if (kind === "http") fake.postTo = await front.open();
  fake.now = () => Math.floor(clock.now() / 1000);
  const settings = testAccount(fake, kind === "http" ? { mode: postedMode(fake) } : {});
  const reopen = async () => {
    const channel = openTestSlack(settings, clock, folder.path);
    front.channel = channel;
    return channel;
  };
  return {
    channel: await reopen(),
    reopen,
    deliver: ({ person, text }) => fake.write({ text, from: people[person] }),
    redeliver: (eventId) => fake.again(eventId),
    isAcknowledged: (eventId) => fake.isTaken(eventId),
    acknowledged: (eventId) => fake.taken(eventId),
    senderIdOf: (person) => people[person],
    direct: (person) => ({ kind: "direct", id: people[person] }),
    said: () => fake.sent.map((message) => seen(message.text)),
    limitMs: 7_000,
    async breakSend(how) {
      const call = "chat.postMessage";
      if (how === "limited") {
        const body = { ok: false, error: "ratelimited" };
        fake.api.fault(call, { kind: "answer", status: 429, headers: { "retry-after": "7" }, body });
      } else if (how === "blocked") {
        for (const id of Object.values(people)) fake.blocked.add(fake.directOf(id));
      } else if (how === "lost") fake.api.fault(call, { kind: "closeAfter" });
      else await fake.api.suspend();
    },
    cut() {
      fake.api.cutConnections();
      if (kind === "http") front.cut();
    },
    passWaits: () => clock.advance(longestPauseMs),
    secrets: [fake.botToken, fake.appToken, fake.signingSecret, "the-socket-ticket"],
    async close() {
      await fake.close();
      folder.remove();
      if (kind === "http") await front.close();
    },
  };
}
