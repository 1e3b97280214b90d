import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Params = Readonly<Record<string, unknown>>;

export type ImsgFault =
  | { readonly kind: "refuse"; readonly code: number; readonly message: string }
  | { readonly kind: "exitAfter" | "hang" };

/**
 * Messages on a Mac with `imsg` (docs/rpc.md of steipete/imsg). The `imsg` here is a program of its own that passes its
 * input and output on to this server, one connection for each run.
 */
export class FakeMessages {
  readonly calls: { readonly method: string; readonly params: Params }[] = [];
  readonly runs: string[][] = [];
  readonly faults = new Map<string, ImsgFault>();
  readonly messages: Params[] = [];
  /** By the chat's number; the first is the newest. */
  readonly chats: Params[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "imsg-"));
  /** False: as older versions, which do not say which message a send made. */
  namesSent = true;
  #rowid = 100;
  #isAway = false;
  readonly #watchers = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  static async start(): Promise<FakeMessages> {
    const fake = new FakeMessages();
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    const { port } = fake.#server.address() as AddressInfo;
    const script = `#!${process.execPath}
const socket = require("node:net").connect(${port}, "127.0.0.1");
socket.on("error", () => process.exit(1)).on("close", () => process.exit(3));
socket.write(JSON.stringify(process.argv.slice(2)) + "\\n");
process.stdin.pipe(socket);
socket.pipe(process.stdout);
`;
    writeFileSync(join(fake.folder, "imsg"), script, { mode: 0o755 });
    return fake;
  }

  /** Somebody writes; gives the message as imsg tells it. */
  write(message: Params): Params {
    this.#rowid += 1;
    const whole = {
      id: this.#rowid,
      guid: `GUID-${this.#rowid}`,
      chat_id: 1,
      chat_guid: "iMessage;-;+15550000042",
      is_group: false,
      is_from_me: false,
      created_at: "2026-01-01T00:00:00Z",
      attachments: [],
      reactions: [],
      ...message,
    };
    this.messages.push(whole);
    this.tell(whole);
    return whole;
  }

  tell(message: Params): void {
    const params = { subscription: 1, message };
    for (const socket of this.#watchers) write(socket, { jsonrpc: "2.0", method: "message", params });
  }

  callsOf(method: string): readonly Params[] {
    return this.calls.filter((call) => call.method === method).map((call) => call.params);
  }

  /** Each imsg that runs ends. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** No imsg lives any more. */
  away(): void {
    this.#isAway = true;
    this.cut();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
    rmSync(this.folder, { recursive: true });
  }

  #serve(socket: Socket): void {
    if (this.#isAway) return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#watchers.delete(socket);
    });
    let rest = "";
    let isFirst = true;
    socket.setEncoding("utf8").on("data", (text: string) => {
      rest += text;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = JSON.parse(rest.slice(0, end));
        rest = rest.slice(end + 1);
        if (isFirst) this.runs.push(line);
        else this.#answer(socket, line);
        isFirst = false;
      }
    });
  }

  #answer(socket: Socket, call: { id: unknown; method: string; params: Params }): void {
    const { id, method, params } = call;
    const fault = this.faults.get(method);
    this.faults.delete(method);
    if (fault?.kind === "refuse") {
      const { code, message } = fault;
      write(socket, { jsonrpc: "2.0", id, error: { code, message } });
      return;
    }
    this.calls.push({ method, params });
    if (fault?.kind === "hang") return;
    if (fault?.kind === "exitAfter") {
      if (method === "send") this.#sent(params);
      return void socket.destroy();
    }
    write(socket, { jsonrpc: "2.0", id, result: this.#resultOf(socket, method, params) });
  }

  /** What we send stands in the database as well, and is told to who watches. */
  #sent({ to, chat_id: number, text }: Params): unknown {
    const chat = number ?? this.chats.find(({ identifier }) => identifier === to)?.id;
    const chat_id = chat ?? this.messages.findLast(({ sender }) => sender === to)?.chat_id ?? 99;
    return this.write({ is_from_me: true, sender: "", text: text ?? "\ufffc", chat_id }).guid;
  }

  #resultOf(socket: Socket, method: string, params: Params): unknown {
    if (method === "chats.list") return { chats: this.chats };
    if (method === "messages.history") {
      const ofChat = this.messages.filter((message) => message.chat_id === params.chat_id);
      return { messages: ofChat.reverse().slice(0, Number(params.limit ?? 50)) };
    }
    if (method === "send") {
      const guid = this.#sent(params);
      return this.namesSent ? { ok: true, guid } : { ok: true };
    }
    if (method === "watch.subscribe") {
      this.#watchers.add(socket);
      const since = Number(params.since_rowid ?? this.#rowid);
      // imsg looks at the database after it answered.
      setImmediate(() => {
        for (const message of this.messages) {
          if (Number(message.id) > since)
            write(socket, { jsonrpc: "2.0", method: "message", params: { subscription: 1, message } });
        }
      });
      return { subscription: 1 };
    }
    return { ok: true };
  }
}

function write(socket: Socket, value: object): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(value)}\n`);
}
