import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { openGithub } from "../../../src/channels/github/mod.ts";
import type { GithubAccount, GithubAuth } from "../../../src/channels/github/settings.ts";
import type { Channel, Conversation } from "../../../src/delivery/channel.ts";
import { type Log, Secret } from "../../../src/kernel/mod.ts";
import type { ChannelBench, Person } from "../../contracts/channel.ts";
import { middleRandom } from "../telegram/harness.ts";
import { ManualClock } from "../telegram/manual-clock.ts";
import { FakeGithub, privateKeyPem, seen } from "./server.ts";

export const webhookPath = "/github/events";
/** Longer than the pauses before the first repeats, and shorter than a call's deadline. */
const longestPauseMs = 10_000;

export const people = {
  ada: { id: 42, login: "ada" },
  ben: { id: 43, login: "ben" },
} as const;

export function appAuth(fake: FakeGithub, installationId?: number): GithubAuth {
  const privateKey = new Secret(privateKeyPem);
  return { kind: "app", appId: String(fake.app.id), privateKey, installationId };
}

export function tokenAuth(fake: FakeGithub, repositories: readonly string[]): GithubAuth {
  return { kind: "token", token: new Secret(fake.userToken), repositories };
}

/** An account for tests; `more` overrides. */
export function testAccount(fake: FakeGithub, more: Partial<GithubAccount> = {}): GithubAccount {
  return {
    accountId: "default",
    auth: appAuth(fake),
    webhookSecret: new Secret(fake.webhookSecret),
    webhookPath,
    apiRoot: fake.apiRoot,
    textChunkLimit: 40_000,
    ...more,
  };
}

export function openTestGithub(settings: GithubAccount, clock: ManualClock, log: Log = () => {}): Channel {
  return openGithub(settings, { clock, random: middleRandom, log, stateFolder: "" });
}

/** The gateway's port, as far as webhooks need it. */
export class Front {
  channel: Channel | undefined;
  readonly #server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const webhook = this.channel?.webhook;
    const isProved = webhook?.verify(request.headers as Record<string, string>, body).ok === true;
    const answer = webhook && isProved ? await webhook.receive(body) : 401;
    response.writeHead(typeof answer === "number" ? answer : answer.status).end();
  });

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${webhookPath}`;
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

/** Each person writes in a repository of their own: GitHub has no conversation of two. */
function place(person: Person): Conversation {
  return { kind: "group", id: `house/${person}`, threadId: "1", spaceId: "house" };
}

/** The bench of the channel contract, for either kind of credentials. */
export async function githubBench(kind: "app" | "token"): Promise<ChannelBench> {
  const fake = await FakeGithub.start();
  const clock = new ManualClock();
  const front = new Front();
  fake.postTo = await front.open();
  fake.now = () => clock.now();
  const auth = kind === "app" ? appAuth(fake) : tokenAuth(fake, ["house/ada"]);
  const reopen = async () => {
    const channel = openTestGithub(testAccount(fake, { auth }), clock);
    front.channel = channel;
    return channel;
  };
  return {
    channel: await reopen(),
    reopen,
    deliver: ({ person, text, displayName }) => {
      const from = { ...people[person], ...(displayName === undefined ? {} : { login: displayName }) };
      return fake.write({ text, from, repository: `House/${person}` });
    },
    redeliver: (eventId) => fake.again(eventId),
    isAcknowledged: (eventId) => fake.isTaken(eventId),
    acknowledged: (eventId) => fake.taken(eventId),
    senderIdOf: (person) => String(people[person].id),
    direct: place,
    said: () => fake.comments.map(({ body }) => seen(body)),
    limitMs: 7_000,
    async breakSend(how) {
      const call = "/comments";
      if (how === "limited") {
        fake.api.fault(call, { kind: "answer", status: 403, headers: { "retry-after": "7" }, body: {} });
      } else if (how === "blocked") fake.blocked.add("house/ada");
      else if (how === "lost") fake.api.fault(call, { kind: "closeAfter" });
      else await fake.api.suspend();
    },
    cut() {
      fake.api.cutConnections();
      front.cut();
    },
    passWaits: () => clock.advance(longestPauseMs),
    get secrets() {
      return fake.secrets;
    },
    async close() {
      await fake.close();
      await front.close();
    },
  };
}
