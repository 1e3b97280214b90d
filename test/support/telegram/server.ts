import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Update } from "grammy/types";
import { readHtml } from "./html.ts";
import { UpdateQueue } from "./queue.ts";
import { type TextFrom, updateOf } from "./updates.ts";
import { WebhookCaller } from "./webhook-caller.ts";

/** What the bot asked to send, as the recipient would see it. */
export interface SentMessage {
  readonly chatId: string;
  /** What is visible: tags and entities of HTML are resolved. */
  readonly text: string;
  readonly links: readonly string[];
  readonly messageId: number;
  readonly buttons: readonly { readonly text: string; readonly data: string }[];
  readonly payload: Readonly<Record<string, unknown>>;
  /** What was uploaded with it: under which field, and its content. */
  readonly file?: SentFile;
}

export interface SentFile {
  readonly field: string;
  readonly name: string;
  readonly bytes: Buffer;
}

/** What goes wrong with the next call of a method. */
export type Fault =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly description: string;
      readonly parameters?: { readonly retry_after?: number };
    }
  /** Raw bytes in place of the Bot API's JSON. */
  | { readonly kind: "raw"; readonly status: number; readonly body: string }
  /** No answer, ever; of the second one, though it took effect. */
  | { readonly kind: "hang" | "hangAfter" }
  /** The connection ends before the call is looked at, or after it took effect. */
  | { readonly kind: "closeBefore" | "closeAfter" }
  /** It took effect; the answer breaks off in the middle. */
  | { readonly kind: "cut" };

export interface FakeTelegramOptions {
  readonly token?: string;
  readonly port?: number;
  readonly username?: string;
  /** False: each connection serves one call. Otherwise a client that is cut off may hold a dead idle connection. */
  readonly keepAlive?: boolean;
  /** Where updates for a webhook's URL are posted to: what a proxy in front of the bot would do. */
  readonly webhookTo?: (url: string) => string;
}

interface Call {
  readonly method: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

class ApiError extends Error {
  readonly code: number;
  readonly parameters: object | undefined;
  constructor(code: number, description: string, parameters?: object) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}

/** A Bot API server on a port of its own: one bot, its updates, and what it sent. */
export class FakeTelegram {
  readonly token: string;
  readonly bot: { readonly id: number; readonly username: string };
  readonly sent: SentMessage[] = [];
  readonly calls: Call[] = [];
  /** Chats that answer 403 or 400 to whatever is sent to them. */
  readonly blocked = new Set<string>();
  readonly missing = new Set<string>();
  readonly queue = new UpdateQueue();
  /** Emojis of the bot on messages: "<chat>/<message>" -> "👀". */
  readonly reactions = new Map<string, string>();
  readonly #files = new Map<string, { readonly bytes: Buffer; readonly path: string }>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #faults = new Map<string, Fault[]>();
  readonly #watchers = new Set<() => void>();
  readonly #webhook: WebhookCaller;
  #nextUpdateId = 7001;
  readonly #nextMessageIds = new Map<string, number>();
  #port = 0;
  #endPoll: (() => void) | undefined;
  /** Edits that changed a message, which a person could see. */
  edits = 0;
  /** False: every token is refused, as after a revocation. */
  tokenIsValid = true;

  private constructor(options: FakeTelegramOptions) {
    this.token = options.token ?? "123456:AAF-test_token_of_the_fake_server_0123";
    this.bot = { id: Number(this.token.split(":")[0]), username: options.username ?? "house_bot" };
    this.#webhook = new WebhookCaller(this.queue, () => this.#changed(), options.webhookTo);
    this.#server = createServer((request, response) => {
      if (options.keepAlive === false) response.shouldKeepAlive = false;
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(options: FakeTelegramOptions = {}): Promise<FakeTelegram> {
    const fake = new FakeTelegram(options);
    fake.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get url(): string {
    const address = this.#server.address() as AddressInfo | null;
    return `http://127.0.0.1:${address?.port ?? this.#port}`;
  }

  get webhookUrl(): string {
    return this.#webhook.url;
  }

  /** Somebody writes to the bot. Returns the update's id. */
  deliver(message: TextFrom | string): number {
    const update = updateOf(this.#nextUpdateId, typeof message === "string" ? { text: message } : message);
    if (update.message)
      update.message.message_id = this.#number(String(update.message.chat.id), update.message.message_id);
    return this.deliverUpdate(update);
  }

  /** One counter numbers what comes and what goes: the bot's own, but for supergroups, which have one each. */
  #number(chatId: string, atLeast = 1): number {
    const counter = chatId.startsWith("-100") ? chatId : "";
    const number = Math.max(atLeast, this.#nextMessageIds.get(counter) ?? 1);
    this.#nextMessageIds.set(counter, number + 1);
    return number;
  }

  /** Puts any update into the queue; without an update_id it gets the next one. */
  deliverUpdate(given: Omit<Update, "update_id"> & { readonly update_id?: number }): number {
    const updateId = given.update_id ?? this.#nextUpdateId;
    this.#nextUpdateId = Math.max(this.#nextUpdateId, updateId + 1);
    this.queue.add({ ...given, update_id: updateId } as Update);
    return updateId;
  }

  /** A file that somebody sent; gives its file_id. `path` is where getFile says that it lies. */
  addFile(bytes: Buffer, path?: string): string {
    const id = `BQACAgIAAxkBAAI-${this.#files.size + 1}`;
    this.#files.set(id, { bytes, path: path ?? `documents/file_${this.#files.size + 1}.bin` });
    return id;
  }

  /** Delivers an update again, as after a lost confirmation. */
  redeliver(updateId: number, times = 1): void {
    this.queue.repeat(updateId, times);
  }

  /** The next `times` calls of the method go wrong. */
  fault(method: string, fault: Fault, times = 1): void {
    const list = this.#faults.get(method) ?? [];
    for (let count = 0; count < times; count += 1) list.push(fault);
    this.#faults.set(method, list);
  }

  /** Breaks every open connection. */
  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nobody is listening any more; {@link resume} comes back on the same port. */
  async suspend(): Promise<void> {
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#server.close();
    this.cutConnections();
    await once(this.#server, "close");
  }

  async resume(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Resolves once `condition` holds; looked at after every call and delivery. */
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

  /** Resolves when the bot waits in a long poll. */
  polled(): Promise<void> {
    return this.until(() => this.#endPoll !== undefined);
  }

  async sentCount(count: number): Promise<readonly SentMessage[]> {
    await this.until(() => this.sent.length >= count);
    return this.sent;
  }

  callsOf(method: string): readonly Call[] {
    return this.calls.filter((call) => call.method === method);
  }

  async close(): Promise<void> {
    this.#webhook.close();
    if (this.#server.listening) await this.suspend();
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const body = raw.toString("utf8");
    const url = new URL(request.url ?? "/", "http://fake");
    if (url.pathname.startsWith("/control/")) return this.#control(url, body, response);
    if (url.pathname.startsWith("/file/bot")) return this.#download(url.pathname, response);
    const match = /^\/bot([^/]+)\/(\w+)$/.exec(url.pathname);
    if (match?.[1] !== this.token || !this.tokenIsValid) {
      return answer(response, 401, { ok: false, error_code: 401, description: "Unauthorized" });
    }
    const method = match[2] ?? "";
    const type = String(request.headers["content-type"]);
    const payload = type.startsWith("multipart/form-data")
      ? await fieldsOf(raw, type)
      : ((body === "" ? {} : JSON.parse(body)) as Record<string, unknown>);
    const fault = this.#faults.get(method)?.shift();
    this.calls.push({ method, payload });
    if (fault && (await this.#spoil(fault, { method, payload }, response))) return this.#changed();
    const result = await this.#answer(method, payload, response);
    if (!response.destroyed) answer(response, result.ok ? 200 : result.error_code, result);
    this.#changed();
  }

  /** True when the fault took the answer's place. */
  async #spoil(fault: Fault, call: Call, response: ServerResponse): Promise<boolean> {
    switch (fault.kind) {
      case "answer": {
        const { status, description, parameters } = fault;
        answer(response, status, {
          ok: false,
          error_code: status,
          description,
          ...(parameters ? { parameters } : {}),
        });
        return true;
      }
      case "raw":
        response.writeHead(fault.status).end(fault.body);
        return true;
      case "hang":
        return true;
      case "hangAfter":
        await this.#answer(call.method, call.payload, response);
        return true;
      case "closeBefore":
        response.destroy();
        return true;
      case "closeAfter":
        await this.#answer(call.method, call.payload, response);
        response.destroy();
        return true;
      case "cut": {
        const text = JSON.stringify(await this.#answer(call.method, call.payload, response));
        response.writeHead(200, { "content-length": text.length });
        response.write(text.slice(0, 10), () => response.destroy());
        return true;
      }
    }
  }

  async #answer(
    method: string,
    payload: Readonly<Record<string, unknown>>,
    response: ServerResponse,
  ): Promise<{ ok: true; result: unknown } | { ok: false; error_code: number; description: string }> {
    try {
      return { ok: true, result: await this.#method(method, payload, response) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const parameters = error.parameters ? { parameters: error.parameters } : {};
      return { ok: false, error_code: error.code, description: error.message, ...parameters };
    }
  }

  async #method(
    method: string,
    payload: Readonly<Record<string, unknown>>,
    response: ServerResponse,
  ): Promise<unknown> {
    switch (method) {
      case "getMe":
        return { ...this.bot, is_bot: true, first_name: "House", can_join_groups: true };
      case "getUpdates":
        return this.#getUpdates(payload, response);
      case "sendMessage":
        return this.#send(payload);
      case "sendPoll":
        return this.#sendPoll(payload);
      case "sendPhoto":
      case "sendAnimation":
      case "sendVideo":
      case "sendAudio":
      case "sendVoice":
      case "sendDocument":
        return this.#sendFile(method.slice(4).toLowerCase(), payload);
      case "getFile":
        return this.#getFile(String(payload.file_id));
      case "setMessageReaction":
        return this.#react(payload);
      case "setWebhook":
        this.#webhook.set(String(payload.url ?? ""), payload.secret_token as string | undefined);
        return true;
      case "deleteWebhook":
        this.#webhook.set("", undefined);
        return true;
      case "getWebhookInfo":
        return {
          url: this.#webhook.url,
          has_custom_certificate: false,
          pending_update_count: this.queue.pending.length,
        };
      case "editMessageReplyMarkup":
        return this.#editKeyboard(payload);
      case "editMessageText":
        return this.#editText(payload);
      case "sendChatAction":
      case "answerCallbackQuery":
      case "setMyCommands":
        return true;
      default:
        throw new ApiError(404, "Not Found");
    }
  }

  async #getUpdates(payload: Readonly<Record<string, unknown>>, response: ServerResponse): Promise<unknown> {
    if (this.#webhook.url !== "") {
      throw new ApiError(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first",
      );
    }
    // Telegram lets the newer of two pollers win and ends the older one's request.
    this.#endPoll?.();
    this.#endPoll = undefined;
    const offset = payload.offset;
    if (typeof offset === "number") this.queue.confirm(offset);
    this.#changed();
    const limit = Number(payload.limit ?? 100);
    const ready = this.queue.take(limit);
    const waitMs = Number(payload.timeout ?? 0) * 1000;
    if (ready.length > 0 || waitMs === 0) return ready;
    let endPoll: (() => void) | undefined;
    const end = await new Promise<"updates" | "timeout" | "conflict" | "gone">((resolve) => {
      const timer = setTimeout(() => resolve("timeout"), waitMs).unref();
      const finish = (how: "updates" | "conflict" | "gone") => {
        clearTimeout(timer);
        resolve(how);
      };
      endPoll = () => finish("conflict");
      this.#endPoll = endPoll;
      this.queue.onChange(() => finish("updates"));
      response.on("close", () => finish("gone"));
      this.#changed();
    });
    if (end === "conflict") {
      throw new ApiError(
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
      );
    }
    if (this.#endPoll === endPoll) {
      this.#endPoll = undefined;
      this.queue.onChange(undefined);
    }
    return end === "updates" ? this.queue.take(limit) : [];
  }

  #send(payload: Readonly<Record<string, unknown>>): unknown {
    const chatId = String(payload.chat_id ?? "");
    if (this.blocked.has(chatId)) throw new ApiError(403, "Forbidden: bot was blocked by the user");
    if (this.missing.has(chatId)) throw new ApiError(400, "Bad Request: chat not found");
    const raw = String(payload.text ?? "");
    const read = payload.parse_mode === "HTML" ? readHtml(raw) : { text: raw, links: [] };
    if (!read) throw new ApiError(400, "Bad Request: can't parse entities: unexpected tag");
    if (read.text.trim() === "") throw new ApiError(400, "Bad Request: message text is empty");
    if (read.text.length > 4096) throw new ApiError(400, "Bad Request: message is too long");
    const markup = payload.reply_markup as
      | { inline_keyboard?: { text: string; callback_data: string }[][] }
      | undefined;
    const buttons = (markup?.inline_keyboard ?? [])
      .flat()
      .map((button) => ({ text: button.text, data: button.callback_data }));
    for (const { data } of buttons) {
      const size = Buffer.byteLength(data);
      if (size < 1 || size > 64) throw new ApiError(400, "Bad Request: BUTTON_DATA_INVALID");
    }
    const messageId = this.#number(chatId);
    this.sent.push({ chatId, text: read.text, links: read.links, messageId, buttons, payload });
    return {
      message_id: messageId,
      date: 1_700_000_000,
      chat: { id: Number(chatId), type: "private", first_name: "Ada" },
      text: read.text,
    };
  }

  #sendPoll(payload: Readonly<Record<string, unknown>>): unknown {
    const chatId = String(payload.chat_id ?? "");
    if (this.blocked.has(chatId)) throw new ApiError(403, "Forbidden: bot was blocked by the user");
    const text = String(payload.question ?? "");
    const options = payload.options as readonly { readonly text: string }[];
    if (text === "" || text.length > 300)
      throw new ApiError(400, "Bad Request: poll question length must not exceed 300");
    if (options.length < 2 || options.length > 12)
      throw new ApiError(400, "Bad Request: poll can't have more than 12 options");
    const messageId = this.#number(chatId);
    this.sent.push({ chatId, text, links: [], messageId, buttons: [], payload });
    return {
      message_id: messageId,
      date: 1_700_000_000,
      chat: { id: Number(chatId), type: "private" },
      poll: { id: String(messageId), question: text, options },
    };
  }

  #sendFile(field: string, payload: Readonly<Record<string, unknown>>): unknown {
    const file = payload[field] as SentFile | undefined;
    if (!file) throw new ApiError(400, "Bad Request: there is no file in the request");
    if (file.bytes.length === 0) throw new ApiError(400, "Bad Request: file must be non-empty");
    if (field === "photo" && !isPhoto(file.bytes))
      throw new ApiError(400, "Bad Request: IMAGE_PROCESS_FAILED");
    const chatId = String(payload.chat_id ?? "");
    if (this.blocked.has(chatId)) throw new ApiError(403, "Forbidden: bot was blocked by the user");
    const messageId = this.#number(chatId);
    const text = String(payload.caption ?? "");
    if (text.length > 1024) throw new ApiError(400, "Bad Request: message caption is too long");
    this.sent.push({ chatId, text, links: [], messageId, buttons: [], payload, file: { ...file, field } });
    return { message_id: messageId, date: 1_700_000_000, chat: { id: Number(chatId), type: "private" } };
  }

  #getFile(id: string): unknown {
    const file = this.#files.get(id);
    if (!file) throw new ApiError(400, "Bad Request: invalid file_id");
    if (file.bytes.length > 20 * 1_048_576) throw new ApiError(400, "Bad Request: file is too big");
    return { file_id: id, file_unique_id: id, file_size: file.bytes.length, file_path: file.path };
  }

  #download(path: string, response: ServerResponse): void {
    this.calls.push({ method: "download", payload: { path } });
    const file = [...this.#files.values()].find((item) => path === `/file/bot${this.token}/${item.path}`);
    if (file) response.writeHead(200, { "content-type": "application/octet-stream" }).end(file.bytes);
    else answer(response, 404, { ok: false, error_code: 404, description: "Not Found" });
    this.#changed();
  }

  #react(payload: Readonly<Record<string, unknown>>): boolean {
    const key = `${payload.chat_id}/${payload.message_id}`;
    const [reaction] = (payload.reaction ?? []) as { readonly emoji: string }[];
    if (reaction) this.reactions.set(key, reaction.emoji);
    else this.reactions.delete(key);
    return true;
  }

  #editText(payload: Readonly<Record<string, unknown>>): unknown {
    const chatId = String(payload.chat_id ?? "");
    const index = this.sent.findIndex(
      (item) => item.chatId === chatId && item.messageId === payload.message_id,
    );
    const before = this.sent[index];
    if (!before) throw new ApiError(400, "Bad Request: message to edit not found");
    const raw = String(payload.text ?? "");
    const text = payload.parse_mode === "HTML" ? readHtml(raw)?.text : raw;
    if (text === undefined) throw new ApiError(400, "Bad Request: can't parse entities: unexpected tag");
    if (text === before.text) throw new ApiError(400, "Bad Request: message is not modified");
    this.sent[index] = { ...before, text };
    this.edits += 1;
    return {
      message_id: before.messageId,
      date: 1_700_000_000,
      chat: { id: Number(chatId), type: "private" },
    };
  }

  /** The answers that the real service gives; in a private chat it says "not found" for a user's own message too. */
  #editKeyboard(payload: Readonly<Record<string, unknown>>): unknown {
    const chatId = String(payload.chat_id ?? "");
    if (this.blocked.has(chatId)) throw new ApiError(403, "Forbidden: bot was blocked by the user");
    if (this.missing.has(chatId)) throw new ApiError(400, "Bad Request: chat not found");
    const message = this.sent.find((item) => item.chatId === chatId && item.messageId === payload.message_id);
    if (!message) throw new ApiError(400, "Bad Request: message to edit not found");
    const same = JSON.stringify(message.payload.reply_markup) === JSON.stringify(payload.reply_markup);
    if (same) {
      throw new ApiError(
        400,
        "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
      );
    }
    this.edits += 1;
    return true;
  }

  /** For other processes: POST /control/deliver, /control/fault; GET /control/sent?since=N, /control/state. */
  async #control(url: URL, body: string, response: ServerResponse): Promise<void> {
    const input = (body === "" ? {} : JSON.parse(body)) as Record<string, unknown>;
    switch (url.pathname) {
      case "/control/deliver": {
        const update = input.update as Omit<Update, "update_id"> | undefined;
        const updateId = update ? this.deliverUpdate(update) : this.deliver(input as unknown as TextFrom);
        return answer(response, 200, { updateId });
      }
      case "/control/fault":
        this.fault(String(input.method), input.fault as Fault, Number(input.times ?? 1));
        return answer(response, 200, {});
      case "/control/sent": {
        const since = Number(url.searchParams.get("since") ?? 0);
        // With ?wait=N the answer comes when N messages are there.
        await this.sentCount(Number(url.searchParams.get("wait") ?? 0));
        return answer(response, 200, { sent: this.sent.slice(since) });
      }
      case "/control/state":
        return answer(response, 200, {
          pending: this.queue.pending,
          webhook: this.webhookUrl,
          calls: this.calls.length,
        });
      default:
        return answer(response, 404, {});
    }
  }
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function isPhoto(bytes: Buffer): boolean {
  return bytes[0] === 0x89 || bytes[0] === 0xff || bytes.subarray(0, 4).toString() === "RIFF";
}

/** The fields of a form; a file stands under the field that points at its part ("attach://<part>"). */
async function fieldsOf(body: Buffer, type: string): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  const fields: Record<string, unknown> = {};
  for (const [key, value] of form.entries()) {
    if (typeof value !== "string") continue;
    const part = value.startsWith("attach://") ? form.get(value.slice(9)) : undefined;
    if (part && typeof part !== "string")
      fields[key] = { field: key, name: part.name, bytes: Buffer.from(await part.arrayBuffer()) };
    else if (/^[[{]/.test(value)) fields[key] = JSON.parse(value);
    else fields[key] = /^-?\d+$/.test(value) && key !== "caption" ? Number(value) : value;
  }
  return fields;
}
