import { createHmac } from "node:crypto";
import { type WebSocket, WebSocketServer } from "ws";
import { type ApiAnswer, type ApiRequest, FakeApi } from "../fake-api.ts";

interface Delivery {
  /** The payload's message, as the channel must name it. */
  readonly key: string;
  readonly type: "events_api" | "interactive";
  readonly payload: Readonly<Record<string, unknown>>;
  isTaken: boolean;
}

export interface SlackMessage {
  readonly ts: string;
  readonly channel: string;
  text: string;
  readonly args: URLSearchParams;
}

export interface Written {
  readonly text: string;
  readonly from: string;
  /** A direct conversation otherwise. */
  readonly channel?: string;
  /** More of the event's fields. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const startS = 1_700_000_000;
const againMs = 10;

/** Slack with one workspace, one app, and people who write: the Web API, Socket Mode, and posted events. */
export class FakeSlack {
  readonly api: FakeApi;
  readonly botToken = "xoxb-1234567890-test-token-of-the-fake-server";
  readonly appToken = "xapp-1-A0TEST-1234567890-test-token-of-the-fake";
  readonly signingSecret = "8f742231b10e8888abcd99yyyzzz85a5";
  readonly bot = { user_id: "UBOT00001", bot_id: "BBOT00001", user: "house", team_id: "TTEAM0001" };
  readonly appId = "A0TEST0001";
  readonly sent: SlackMessage[] = [];
  readonly edited: SlackMessage[] = [];
  readonly files = new Map<string, { readonly body: Buffer; readonly type: string }>();
  readonly fileInfo = new Map<string, Readonly<Record<string, unknown>>>();
  readonly uploads: Buffer[] = [];
  /** People who take no messages from the app. */
  readonly blocked = new Set<string>();
  readonly kinds = new Map<string, Readonly<Record<string, boolean>>>();
  tokenIsValid = true;
  appTokenError: string | undefined;
  /** What hello says; 1 when only we are there. */
  connections = 1;
  answersPings = true;
  socketUrl: string | undefined;
  /** Where events are posted to; a socket otherwise. */
  postTo: string | undefined;
  /** By the app's clock, in seconds. */
  now: () => number = () => startS;
  readonly acks: string[] = [];
  /** What is in the histories, by conversation: what was written while nobody listened. */
  readonly #history = new Map<string, Readonly<Record<string, unknown>>[]>();
  readonly #deliveries: Delivery[] = [];
  readonly #sockets = new Map<WebSocket, Map<string, Delivery>>();
  readonly #server = new WebSocketServer({ noServer: true, autoPong: false });
  #count = 0;
  #isPosting = false;
  #isClosed = false;

  private constructor() {
    this.api = new FakeApi(
      (request) => this.#answer(request),
      (request, socket, head) => {
        this.#server.handleUpgrade(request, socket, head, (client) => this.#connected(client));
      },
    );
  }

  static async start(port = 0): Promise<FakeSlack> {
    const fake = new FakeSlack();
    await fake.api.listen(port);
    return fake;
  }

  get apiRoot(): string {
    return `http://${this.api.host}/api`;
  }

  nextTs(): string {
    this.#count += 1;
    return `${startS}.${String(this.#count).padStart(6, "0")}`;
  }

  directOf(userId: string): string {
    return `D${userId.slice(1)}`;
  }

  /** Somebody writes. Returns what the message must be known by. */
  write({ text, from, channel, more = {} }: Written): string {
    const id = channel ?? this.directOf(from);
    const event = {
      type: "message",
      channel: id,
      channel_type: id.startsWith("D") ? "im" : "channel",
      user: from,
      text,
      ts: this.nextTs(),
      team: this.bot.team_id,
      ...more,
    };
    return this.deliver({ event });
  }

  /** Somebody writes, and nothing is offered. Returns what the message must be known by. */
  writeUnheard({ text, from, channel }: Written): string {
    const id = channel ?? this.directOf(from);
    const ts = this.nextTs();
    const list = this.#history.get(id) ?? [];
    list.unshift({ type: "message", user: from, text, ts });
    this.#history.set(id, list);
    return `${id}/${ts}`;
  }

  deliver(payload: Readonly<Record<string, unknown>>, type: Delivery["type"] = "events_api"): string {
    const event = (payload.event ?? {}) as { readonly channel?: string; readonly ts?: string };
    const key = `${event.channel}/${event.ts}`;
    this.#count += 1;
    const outer = {
      type: "event_callback",
      event_id: `Ev${this.#count}`,
      team_id: this.bot.team_id,
      api_app_id: this.appId,
      ...payload,
    };
    this.#offer({ key, type, payload: outer, isTaken: false });
    return key;
  }

  /** The same event once more, as if Slack had not heard that it arrived. */
  again(key: string): void {
    const delivery = this.#deliveries.find((item) => item.key === key);
    if (!delivery) throw new Error(`${key} was never delivered`);
    this.#offer({ ...delivery, isTaken: false });
  }

  isOffered(key: string): boolean {
    return this.#deliveries.some((item) => item.key === key);
  }

  isTaken(key: string): boolean {
    return this.#deliveries.some((item) => item.key === key && item.isTaken);
  }

  taken(key: string): Promise<void> {
    return this.api.until(() => this.isTaken(key));
  }

  /** Slack ends each connection every few hours. */
  disconnect(reason: string): void {
    for (const socket of this.#sockets.keys()) socket.send(JSON.stringify({ type: "disconnect", reason }));
  }

  sendRaw(value: unknown): void {
    for (const socket of this.#sockets.keys()) socket.send(JSON.stringify(value));
  }

  get connected(): number {
    return this.#sockets.size;
  }

  signed(body: string, at = this.now()): Record<string, string> {
    const signature = createHmac("sha256", this.signingSecret).update(`v0:${at}:${body}`).digest("hex");
    return { "x-slack-request-timestamp": String(at), "x-slack-signature": `v0=${signature}` };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.api.close();
  }

  #offer(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    if (this.postTo !== undefined) void this.#post();
    else for (const [socket, open] of this.#sockets) this.#push(socket, open, delivery);
  }

  #push(socket: WebSocket, open: Map<string, Delivery>, delivery: Delivery): void {
    this.#count += 1;
    const envelope_id = `envelope-${this.#count}`;
    open.set(envelope_id, delivery);
    const { type, payload } = delivery;
    socket.send(JSON.stringify({ type, envelope_id, payload, accepts_response_payload: false }));
  }

  #connected(client: WebSocket): void {
    const open = new Map<string, Delivery>();
    this.#sockets.set(client, open);
    client.send(
      JSON.stringify({
        type: "hello",
        num_connections: this.connections,
        connection_info: { app_id: this.appId },
      }),
    );
    // What was not acknowledged on an earlier connection is offered again.
    for (const delivery of this.#deliveries) if (!delivery.isTaken) this.#push(client, open, delivery);
    client.on("message", (data) => {
      const { envelope_id } = JSON.parse(String(data)) as { envelope_id: string };
      this.acks.push(envelope_id);
      const delivery = open.get(envelope_id);
      if (delivery) delivery.isTaken = true;
      this.api.changed();
    });
    client.on("ping", (data) => {
      if (this.answersPings) client.pong(data);
    });
    client.on("close", () => {
      this.#sockets.delete(client);
      this.api.changed();
    });
    client.on("error", () => {});
    this.api.changed();
  }

  /** Posts what is not taken yet, one at a time, each until it is answered with a 200. */
  async #post(): Promise<void> {
    if (this.#isPosting) return;
    this.#isPosting = true;
    for (;;) {
      const next = this.#deliveries.find((item) => !item.isTaken);
      if (!next || this.#isClosed || this.postTo === undefined) break;
      const body = JSON.stringify(next.payload);
      const status = await fetch(this.postTo, { method: "POST", body, headers: this.signed(body) }).then(
        (response) => response.status,
        () => 0,
      );
      if (status === 200) {
        next.isTaken = true;
        this.api.changed();
      } else await new Promise((resolve) => setTimeout(resolve, againMs));
    }
    this.#isPosting = false;
  }

  #answer(request: ApiRequest): ApiAnswer {
    const file = this.files.get(request.path);
    if (file) return { status: 200, headers: { "content-type": file.type }, body: file.body };
    if (request.path === "/upload") {
      this.uploads.push(request.raw);
      return { status: 200, body: "OK" };
    }
    const args = new URLSearchParams(request.raw.toString("utf8"));
    return { status: 200, body: this.#method(request.path.replace("/api/", ""), args, request) };
  }

  #method(method: string, args: URLSearchParams, request: ApiRequest): object {
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    const no = (error: string) => ({ ok: false, error });
    if (method === "apps.connections.open") {
      if (token !== this.appToken) return no("not_allowed_token_type");
      if (this.appTokenError) return no(this.appTokenError);
      return { ok: true, url: this.socketUrl ?? `ws://${this.api.host}/link?ticket=the-socket-ticket` };
    }
    if (!this.tokenIsValid || token !== this.botToken) return no("invalid_auth");
    const channel = args.get("channel") ?? "";
    switch (method) {
      case "auth.test":
        return { ok: true, ...this.bot, team: "House", url: "https://house.slack.com/" };
      case "conversations.open":
        return { ok: true, channel: { id: this.directOf(args.get("users") ?? "") } };
      case "conversations.info": {
        const kind = this.kinds.get(channel);
        return kind ? { ok: true, channel: { id: channel, ...kind } } : no("channel_not_found");
      }
      case "chat.postMessage":
        return this.#send(channel, args);
      case "chat.update": {
        const message = this.sent.find((item) => item.channel === channel && item.ts === args.get("ts"));
        if (!message) return no("message_not_found");
        message.text = args.get("text") ?? "";
        return { ok: true, ts: message.ts };
      }
      case "conversations.history":
      case "conversations.replies": {
        const all = this.sent.filter(
          (item) => item.channel === channel && item.ts > (args.get("oldest") ?? ""),
        );
        const own = all.map(({ ts, text, args: given }) => ({
          type: "message",
          user: this.bot.user_id,
          bot_id: this.bot.bot_id,
          ts,
          text,
          metadata: JSON.parse(given.get("metadata") ?? "null") as unknown,
        }));
        const heard = (this.#history.get(channel) ?? []).filter(
          (item) => Number(item.ts) > Number(args.get("oldest")),
        );
        const messages = [...own, ...heard].sort((one, other) => Number(other.ts) - Number(one.ts));
        const from = Number(args.get("cursor") ?? 0);
        const to = from + Number(args.get("limit"));
        const response_metadata = { next_cursor: to < messages.length ? String(to) : "" };
        return {
          ok: true,
          messages: messages.slice(from, to),
          has_more: to < messages.length,
          response_metadata,
        };
      }
      case "files.info": {
        const file = this.fileInfo.get(args.get("file") ?? "");
        return file ? { ok: true, file } : no("file_not_found");
      }
      case "files.getUploadURLExternal":
        return { ok: true, upload_url: `http://${this.api.host}/upload`, file_id: "FUPLOAD01" };
      default:
        return { ok: true };
    }
  }

  #send(channel: string, args: URLSearchParams): object {
    if (this.blocked.has(channel)) return { ok: false, error: "channel_not_found" };
    const text = args.get("text") ?? "";
    if (text === "") return { ok: false, error: "no_text" };
    const message = { ts: this.nextTs(), channel, text, args };
    this.sent.push(message);
    return { ok: true, channel, ts: message.ts };
  }
}

/** A text of ours as people see it: Slack's three escapes resolved. */
export function seen(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
