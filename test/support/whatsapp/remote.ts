import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { receiptOf } from "./library.ts";

interface Sent {
  readonly jid: string;
  readonly content: Readonly<Record<string, unknown>>;
}

interface Message {
  readonly key: { readonly id: string };
}

/** What is told to the stand-in of the library (remote-library.ts), a line each. */
export type ToLibrary =
  | { readonly event: string; readonly value: unknown; readonly receipt?: number }
  | { readonly answer: number; readonly value: unknown; readonly status?: number };

/** And what it says. */
export type FromLibrary =
  | { readonly call: number; readonly jid: string; readonly content: Sent["content"]; readonly id: string }
  | { readonly taken: readonly string[] }
  | { readonly receipt: number };

/** WhatsApp tells of some people by their hidden id, also where we wrote to the number. */
function hiddenIdOf(jid: string): string {
  const [digits = "", server] = jid.split("@");
  return server === "s.whatsapp.net" && Number(digits) % 2 === 0 ? `9${digits}@lid` : jid;
}

export function numberBehind(lid: string): string | undefined {
  return /^9(\d+)@lid$/.exec(lid)?.[1]?.concat("@s.whatsapp.net");
}

/**
 * WhatsApp's server for a gateway that is a process of its own: what is written waits until the device has said that it
 * has it, and so does a receipt. Every third message has none: the recipient's phone is off. The library's wire is not
 * ours to know, so a stand-in of the library speaks a simpler one.
 */
export class RemoteWhatsApp {
  readonly sent: Sent[] = [];
  steps = 0;
  nextSend: "lostAfter" | "lostBefore" | number | undefined;
  readonly #waiting: Message[] = [];
  readonly #receipts = new Map<number, ReturnType<typeof receiptOf>>();
  #live: Socket | undefined;
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  static async start(): Promise<RemoteWhatsApp> {
    const fake = new RemoteWhatsApp();
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  /** Makes `import("baileys")` of a process find the stand-in, and that this server. */
  get env(): Readonly<Record<string, string>> {
    const { port } = this.#server.address() as AddressInfo;
    const hooks = pathToFileURL(join(import.meta.dirname, "main.ts")).href;
    return { NODE_OPTIONS: `--import=${hooks}`, FAKE_WHATSAPP_PORT: String(port) };
  }

  deliver(message: Message): void {
    this.#waiting.push(message);
    this.#tell({ event: "messages.upsert", value: { messages: [message], type: "notify" } });
  }

  cut(): void {
    this.#live?.destroy();
    this.#live = undefined;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  #tell(value: ToLibrary): void {
    this.steps += 1;
    if (this.#live?.writable) this.#live.write(`${JSON.stringify(value)}\n`);
  }

  #serve(socket: Socket): void {
    // One device has one connection: the newer one replaces the older one.
    this.#live?.destroy();
    this.#live = socket;
    socket.on("error", () => {});
    this.#tell({ event: "connection.update", value: { connection: "open" } });
    if (this.#waiting.length > 0)
      this.#tell({ event: "messages.upsert", value: { messages: this.#waiting, type: "append" } });
    this.#handReceipts();
    let rest = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      rest += text;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = JSON.parse(rest.slice(0, end)) as FromLibrary;
        rest = rest.slice(end + 1);
        if ("taken" in line) this.#taken(line.taken);
        else if ("receipt" in line) this.#receipts.delete(line.receipt);
        else this.#send(line);
      }
    });
  }

  #taken(ids: readonly string[]): void {
    for (const id of ids) {
      const index = this.#waiting.findIndex((message) => message.key.id === id);
      if (index >= 0) this.#waiting.splice(index, 1);
    }
  }

  #send({ call, jid, content, id }: Extract<FromLibrary, { readonly call: number }>): void {
    const how = this.nextSend;
    this.nextSend = undefined;
    if (typeof how === "number") {
      this.#tell({ answer: call, value: undefined, status: how });
      return;
    }
    if (how !== "lostBefore") {
      this.sent.push({ jid, content });
      if (this.sent.length % 3 !== 0) this.#receipts.set(this.sent.length, receiptOf(id, hiddenIdOf(jid)));
    }
    if (how !== undefined) {
      this.cut();
      return;
    }
    this.#tell({ answer: call, value: { key: { id }, message: { conversation: content.text } } });
    this.#tell({ event: "messages.update", value: [{ key: { id, remoteJid: jid }, update: { status: 2 } }] });
    this.#handReceipts();
  }

  /** No step of a storm: it breaks what it broke before there were any. */
  #handReceipts(): void {
    for (const [receipt, told] of this.#receipts)
      this.#live?.write(`${JSON.stringify({ ...told, receipt } satisfies ToLibrary)}\n`);
  }
}
