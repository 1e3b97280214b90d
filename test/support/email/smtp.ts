import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** What the next message meets. `closeAfter`: it is taken, and the connection ends before that is said. */
export type SmtpFault =
  | { readonly at: "mail" | "rcpt" | "data" | "end"; readonly answer: string }
  | "closeAfter";

export interface Taken {
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
}

/** An SMTP server (RFC 5321) on a real socket that takes messages, or does not. */
export class FakeSmtp {
  readonly taken: Taken[] = [];
  readonly faults: SmtpFault[] = [];
  readonly logins: string[] = [];
  loginAnswer = "235 2.7.0 Authentication successful";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<FakeSmtp> {
    const fake = new FakeSmtp();
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    fake.#port = (fake.#server.address() as AddressInfo).port;
    return fake;
  }

  get port(): number {
    return this.#port;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    const say = (text: string) => socket.write(`${text}\r\n`);
    let rest = "";
    let from = "";
    let to: string[] = [];
    let inData = false;
    const faultAt = (at: string): string | undefined => {
      const fault = this.faults[0];
      if (typeof fault !== "object" || fault.at !== at) return undefined;
      this.faults.shift();
      return fault.answer;
    };
    const take = (raw: string) => {
      inData = false;
      const answer = faultAt("end");
      if (answer) return say(answer);
      this.taken.push({ from, to, raw });
      if (this.faults[0] === "closeAfter") {
        this.faults.shift();
        return socket.destroy();
      }
      return say("250 2.0.0 OK queued");
    };
    const command = (line: string) => {
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "EHLO") return say("250-fake.test\r\n250-AUTH PLAIN XOAUTH2\r\n250 8BITMIME");
      if (verb === "AUTH") {
        this.logins.push(Buffer.from(line.split(" ")[2] ?? "", "base64").toString());
        return say(this.loginAnswer);
      }
      if (verb === "MAIL") {
        from = /<(.*?)>/.exec(line)?.[1] ?? "";
        to = [];
        return say(faultAt("mail") ?? "250 2.1.0 OK");
      }
      if (verb === "RCPT") {
        const answer = faultAt("rcpt");
        if (!answer) to.push(/<(.*?)>/.exec(line)?.[1] ?? "");
        return say(answer ?? "250 2.1.5 OK");
      }
      if (verb === "DATA") {
        const answer = faultAt("data");
        inData = answer === undefined;
        return say(answer ?? "354 go ahead");
      }
      if (verb === "QUIT") return socket.end("221 bye\r\n");
      return say("500 what");
    };
    say("220 fake.test ESMTP");
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      rest += chunk;
      for (;;) {
        const end = inData ? rest.indexOf("\r\n.\r\n") : rest.indexOf("\r\n");
        if (end < 0) return;
        const text = rest.slice(0, end);
        rest = rest.slice(end + (inData ? 5 : 2));
        if (inData) take(text.replace(/^\.\./gm, "."));
        else command(text);
      }
    });
  }
}

/** The header fields of a message, unfolded, by their name in lower case. */
export function fieldsOf(raw: string): ReadonlyMap<string, string> {
  const head = raw.split("\r\n\r\n")[0] ?? "";
  const lines = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  return new Map(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
}

/** The text of a message that is nothing but text. */
export function plainTextOf(raw: string): string {
  const body = raw.slice(raw.indexOf("\r\n\r\n") + 4);
  const encoding = fieldsOf(raw).get("content-transfer-encoding")?.toLowerCase();
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8").trimEnd();
  if (encoding !== "quoted-printable") return Buffer.from(body, "latin1").toString("utf8").trimEnd();
  const bytes = body
    .replace(/=\r\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8").trimEnd();
}
