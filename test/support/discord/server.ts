import { snowflakeAt } from "../../../src/channels/discord/wire.ts";
import { type ApiAnswer, type ApiRequest, FakeApi } from "../fake-api.ts";
import { FakeGateway } from "./gateway.ts";

/** A message as Discord keeps it. */
export interface KeptMessage {
  readonly id: string;
  readonly channel_id: string;
  readonly author: { readonly id: string; readonly username: string; readonly bot?: boolean };
  content: string;
  readonly type: number;
  readonly attachments: readonly { readonly id: string; readonly filename: string }[];
  /** What the bot sent for it. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

interface KeptChannel {
  readonly id: string;
  readonly type: number;
  readonly guild_id?: string;
  readonly parent_id?: string;
  last_message_id?: string;
  readonly [key: string]: unknown;
}

export interface Written {
  readonly text: string;
  readonly from: string;
  /** A channel of a guild; a direct one otherwise. */
  readonly channel?: string;
  readonly name?: string;
  /** Overrides of the message's own fields. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const startMs = 1_700_000_000_000;

/** Discord with one bot, one guild, and people who write. */
export class FakeDiscord {
  readonly api: FakeApi;
  readonly gateway: FakeGateway;
  readonly token = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GfakeT.test-token-of-the-fake-server-0123456";
  readonly bot = { id: "123456789012345678", username: "house" };
  readonly guildId = "500000000000000001";
  readonly channels = new Map<string, KeptChannel>();
  /** Roles of the guild's members. */
  readonly members = new Map<string, readonly string[]>();
  readonly ownerId = "800000000000000001";
  /** What its roles may do; the guild's own id is everybody's. */
  readonly roles = new Map<string, bigint>();
  readonly sent: KeptMessage[] = [];
  /** People who take no messages from the bot. */
  readonly blocked = new Set<string>();
  readonly files = new Map<string, Buffer>();
  tokenIsValid = true;
  sessionsLeft = 1000;
  gatewayUrl: string | undefined;
  readonly #messages = new Map<string, KeptMessage[]>();
  #count = 0;

  private constructor() {
    this.gateway = new FakeGateway({
      token: () => (this.tokenIsValid ? this.token : undefined),
      url: () => `ws://${this.api.host}/gateway`,
      bot: this.bot,
      guilds: () => [this.guild()],
      changed: () => this.api.changed(),
    });
    this.api = new FakeApi(
      (request) => {
        const answer = this.#answer(request);
        this.gateway.ask();
        return answer;
      },
      (request, socket, head) => this.gateway.upgrade(request, socket, head),
    );
  }

  static async start(port = 0): Promise<FakeDiscord> {
    const fake = new FakeDiscord();
    await fake.api.listen(port);
    return fake;
  }

  get apiRoot(): string {
    return `http://${this.api.host}/api/v10`;
  }

  nextId(): string {
    this.#count += 1;
    return snowflakeAt(startMs + this.#count * 1000);
  }

  /** A channel or a thread of the guild. */
  addChannel(id: string, more: Readonly<Record<string, unknown>> = {}): string {
    this.channels.set(id, { id, type: 0, guild_id: this.guildId, ...more });
    return id;
  }

  directOf(userId: string): string {
    const id = `9${userId.slice(1)}`;
    if (!this.channels.has(id))
      this.channels.set(id, { id, type: 1, recipients: [{ id: userId, username: "x" }] });
    return id;
  }

  guild() {
    const all = [...this.channels.values()].filter((channel) => channel.guild_id !== undefined);
    const isThread = (channel: KeptChannel) => channel.type >= 10 && channel.type <= 12;
    return {
      id: this.guildId,
      name: "House",
      channels: all.filter((channel) => !isThread(channel)).map(({ guild_id: _, ...channel }) => channel),
      threads: all.filter(isThread),
    };
  }

  /** Somebody writes. Returns the message's id. `isHeard` false: no session hears of it, it is only in the history. */
  write({ text, from, channel, name = "somebody", more = {} }: Written, isHeard = true): string {
    const channelId = channel ?? this.directOf(from);
    const message: KeptMessage = {
      id: this.nextId(),
      channel_id: channelId,
      type: 0,
      author: { id: from, username: name, ...(from === this.bot.id ? { bot: true } : {}) },
      content: text,
      timestamp: new Date(startMs).toISOString(),
      mentions: [],
      attachments: [],
      request: {},
      ...more,
    };
    this.#keep(message);
    if (isHeard) this.#emit(message);
    return message.id;
  }

  /** The same event once more, or for the first time. */
  again(messageId: string): void {
    const message = [...this.#messages.values()].flat().find((item) => item.id === messageId);
    if (message) this.#emit(message);
  }

  #emit(message: KeptMessage): void {
    const place = this.channels.get(message.channel_id);
    this.gateway.emit("MESSAGE_CREATE", {
      ...message,
      channel_type: place?.type,
      ...(place?.guild_id === undefined
        ? {}
        : { guild_id: place.guild_id, member: { nick: null, roles: ["700000000000000001"] } }),
    });
  }

  isTold(messageId: string): boolean {
    return this.gateway.isTold((data) => (data as { id?: unknown }).id === messageId);
  }

  /** Resolves once the bot says that it has dealt with this message. */
  async told(messageId: string): Promise<void> {
    const timer = setInterval(() => this.gateway.ask(), 5);
    try {
      await this.api.until(() => this.isTold(messageId));
    } finally {
      clearInterval(timer);
    }
  }

  #keep(message: KeptMessage): void {
    const list = this.#messages.get(message.channel_id) ?? [];
    list.push(message);
    this.#messages.set(message.channel_id, list);
    const place = this.channels.get(message.channel_id);
    if (place) place.last_message_id = message.id;
  }

  #answer(request: ApiRequest): ApiAnswer {
    const file = this.files.get(request.path);
    if (file) return { status: 200, body: file };
    if (!this.tokenIsValid || request.headers.authorization !== `Bot ${this.token}`) {
      return { status: 401, body: { message: "401: Unauthorized", code: 0 } };
    }
    const path = request.path.replace("/api/v10", "");
    if (path === "/gateway/bot") {
      const limit = { total: 1000, remaining: this.sessionsLeft, reset_after: 3_600_000, max_concurrency: 1 };
      const url = this.gatewayUrl ?? `ws://${this.api.host}/gateway`;
      return { status: 200, body: { url, shards: 1, session_start_limit: limit } };
    }
    if (path === "/users/@me") return { status: 200, body: this.bot };
    if (path === "/users/@me/channels") {
      const id = this.directOf(String(request.json.recipient_id));
      return { status: 200, body: { id, type: 1 } };
    }
    if (path.startsWith("/interactions/")) return { status: 204 };
    const [, guildId, userId] = /^\/guilds\/(\d+)(?:\/members\/(\d+))?$/.exec(path) ?? [];
    if (guildId !== undefined) return this.#ofGuild(guildId, userId);
    const [, channelId = "", rest = ""] = /^\/channels\/(\d+)(.*)$/.exec(path) ?? [];
    const channel = this.channels.get(channelId);
    if (!channel) return { status: 404, body: { message: "Unknown Channel", code: 10003 } };
    return this.#channelCall(channel, rest, request);
  }

  #ofGuild(guildId: string, userId: string | undefined): ApiAnswer {
    if (guildId !== this.guildId) return { status: 404, body: { message: "Unknown Guild", code: 10004 } };
    if (userId === undefined) {
      const roles = [...this.roles].map(([id, permissions]) => ({ id, permissions: String(permissions) }));
      return { status: 200, body: { id: guildId, owner_id: this.ownerId, roles } };
    }
    const roles = this.members.get(userId);
    if (!roles) return { status: 404, body: { message: "Unknown Member", code: 10007 } };
    return { status: 200, body: { user: { id: userId }, nick: null, roles } };
  }

  /** Somebody deleted it. */
  forget(messageId: string): void {
    for (const [channel, messages] of this.#messages)
      this.#messages.set(
        channel,
        messages.filter((message) => message.id !== messageId),
      );
  }

  #channelCall(channel: KeptChannel, rest: string, request: ApiRequest): ApiAnswer {
    const messages = this.#messages.get(channel.id) ?? [];
    if (rest === "") return { status: 200, body: channel };
    if (rest === "/typing" || rest.includes("/reactions/")) return { status: 204 };
    if (rest === "/messages" && request.method === "POST") return this.#send(channel, request);
    if (rest === "/messages") {
      const after = BigInt(request.query.get("after") ?? "0");
      const limit = Number(request.query.get("limit"));
      const page = messages.filter((message) => BigInt(message.id) > after).slice(0, limit);
      return { status: 200, body: page.reverse() };
    }
    const message = messages.find((item) => rest === `/messages/${item.id}`);
    if (!message) return { status: 404, body: { message: "Unknown Message", code: 10008 } };
    if (request.method === "PATCH") message.content = String(request.json.content);
    return { status: 200, body: message };
  }

  #send(channel: KeptChannel, request: ApiRequest): ApiAnswer {
    const recipient = (channel.recipients as { id: string }[] | undefined)?.[0]?.id;
    if (recipient !== undefined && this.blocked.has(recipient)) {
      return { status: 403, body: { message: "Cannot send messages to this user", code: 50007 } };
    }
    const form = formOf(request);
    const json = form?.json ?? request.json;
    const content = String(json.content ?? "");
    if (content === "" && !form && !json.poll)
      return { status: 400, body: { message: "Cannot send an empty message", code: 50006 } };
    if (content.length > 2000) return { status: 400, body: { message: "Invalid Form Body", code: 50035 } };
    const first = this.sent.find((item) => json.enforce_nonce === true && item.request.nonce === json.nonce);
    if (first) return { status: 200, body: first };
    const message: KeptMessage = {
      id: this.nextId(),
      channel_id: channel.id,
      type: 0,
      author: { ...this.bot, bot: true },
      content: content.trim(),
      mentions: [],
      attachments: form ? [{ id: this.nextId(), filename: form.filename }] : [],
      ...(json.poll ? { poll: json.poll } : {}),
      request: form ? { ...json, file: form.content } : json,
    };
    this.sent.push(message);
    this.#keep(message);
    this.gateway.emit("MESSAGE_CREATE", { ...message, nonce: json.nonce, channel_type: channel.type });
    return { status: 200, body: { ...message, nonce: json.nonce } };
  }
}

function formOf({ headers, raw }: ApiRequest) {
  const boundary = /^multipart\/form-data; boundary=(.+)$/.exec(headers["content-type"] ?? "")?.[1];
  if (boundary === undefined) return undefined;
  const [, first = "", second = ""] = raw.toString("latin1").split(`--${boundary}`);
  const bodyOf = (part: string) => part.slice(part.indexOf("\r\n\r\n") + 4, -2);
  return {
    json: JSON.parse(Buffer.from(bodyOf(first), "latin1").toString("utf8")) as Record<string, unknown>,
    filename: Buffer.from(/filename="([^"]*)"/.exec(second)?.[1] ?? "", "latin1").toString("utf8"),
    content: Buffer.from(bodyOf(second), "latin1"),
  };
}
