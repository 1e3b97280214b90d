import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { foldFor, type IrcLine, parseLine } from "../../../src/channels/irc/wire.ts";

/** Somebody on the network; `account` is what the services know, "" for who is not logged in. */
export interface Person {
  readonly nick: string;
  readonly account: string;
}

export interface Stored {
  readonly msgid: string;
  readonly atMs: number;
  readonly nick: string;
  readonly account: string;
  readonly target: string;
  readonly text: string;
  readonly tags?: string;
}

export interface FakeIrcOptions {
  /** What CAP LS offers; "" for a server that knows no capabilities. */
  readonly caps?: string;
  readonly accounts?: Readonly<Record<string, string>>;
  readonly supports?: string;
}

/** A modern server: the wire of Ergo and of the soju bouncer, which keep a history. */
export const modernCaps =
  "sasl=PLAIN account-tag batch chghost draft/chathistory echo-message message-tags server-time";

interface Client {
  readonly socket: Socket;
  nick: string;
  user: string;
  caps: Set<string>;
  capsOpen: boolean;
  welcomed: boolean;
  account: string;
}

/** What the next PRIVMSG meets: these lines instead of its delivery, or a connection that ends right after it. */
export type IrcFault = { readonly answer: string } | "closeAfter" | "none";

/** An IRC server with one account of ours on it, on a real socket. */
export class FakeIrc {
  readonly options: FakeIrcOptions;
  readonly history: Stored[] = [];
  /** What we said, in order. */
  readonly said: { readonly target: string; readonly text: string; readonly raw: string }[] = [];
  /** Every line that we got, as it came. */
  readonly lines: string[] = [];
  readonly people = new Map<string, Person>();
  readonly faults: IrcFault[] = [];
  readonly fold = foldFor("rfc1459");
  /** Nicks that somebody else holds. */
  readonly taken = new Set<string>();
  /** So many messages stand in each millisecond. */
  perMillisecond = 1;
  /** Hears everything and says nothing. */
  mute = false;
  readonly refusedChannels = new Map<string, string>();
  readonly #server: Server;
  readonly #clients = new Set<Client>();
  readonly #watchers = new Set<() => void>();
  readonly #now: () => number;
  #port = 0;
  #nextId = 1;
  #lastMs: number;

  constructor(options: FakeIrcOptions, now: () => number) {
    this.options = options;
    this.#now = now;
    this.#lastMs = now();
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: FakeIrcOptions, now: () => number): Promise<FakeIrc> {
    const fake = new FakeIrc(options, now);
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    fake.#port = (fake.#server.address() as AddressInfo).port;
    return fake;
  }

  get port(): number {
    return this.#port;
  }

  /** Somebody writes: now to who is there, and into the history. */
  say(from: Person, target: string, text: string, tags = ""): Stored {
    this.#lastMs = Math.max(this.#now(), this.#lastMs + (this.#nextId % this.perMillisecond === 0 ? 1 : 0));
    const stored: Stored = {
      msgid: `m${this.#nextId++}`,
      atMs: this.#lastMs,
      nick: from.nick,
      account: from.account,
      target,
      text,
      tags,
    };
    this.people.set(this.fold(from.nick), from);
    this.history.push(stored);
    this.play(stored);
    return stored;
  }

  play(message: Stored): void {
    for (const client of this.#clients) {
      if (client.welcomed) client.socket.write(`${this.#rendered(message, client)}\r\n`);
    }
  }

  /** One line of the server's own to everybody. */
  raw(line: string): void {
    for (const client of this.#clients) client.socket.write(`${line}\r\n`);
  }

  cut(): void {
    for (const client of this.#clients) client.socket.destroy();
  }

  async suspend(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  async resume(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.suspend();
  }

  get connections(): number {
    return this.#clients.size;
  }

  /** Resolves once `condition` holds; looked at after every line. */
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

  #serve(socket: Socket): void {
    const client: Client = {
      socket,
      nick: "",
      user: "",
      caps: new Set(),
      capsOpen: false,
      welcomed: false,
      account: "",
    };
    this.#clients.add(client);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#clients.delete(client);
      this.#changed();
    });
    let rest = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\r\n");
      rest = lines.pop() ?? "";
      for (const text of lines) {
        this.lines.push(text);
        const line = parseLine(text);
        if (line) this.#handle(line, client, text);
      }
      this.#changed();
    });
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  #handle(line: IrcLine, client: Client, raw: string): void {
    const { params } = line;
    const [first = "", second = ""] = params;
    const reply = (text: string) => {
      if (this.mute) return;
      const time = client.caps.has("server-time") ? `@time=${new Date(this.#now()).toISOString()} ` : "";
      client.socket.write(`${time}${text}\r\n`);
    };
    const me = client.nick || "*";
    switch (line.command) {
      case "CAP":
        this.#cap(client, first, second, reply);
        return;
      case "AUTHENTICATE":
        this.#authenticate(client, first, reply);
        return;
      case "NICK":
        if (this.taken.has(this.fold(first))) {
          reply(`:irc.test 433 * ${first} :Nickname is already in use`);
          return;
        }
        client.nick = first;
        this.#welcome(client, reply);
        return;
      case "USER":
        client.user = first;
        this.#welcome(client, reply);
        return;
      case "PING":
        reply(`:irc.test PONG irc.test :${first}`);
        return;
      case "JOIN":
        for (const channel of first.split(",")) {
          const why = this.refusedChannels.get(channel);
          if (why) reply(`:irc.test ${why.replace("%", `${me} ${channel}`)}`);
          else reply(`:${this.#mask(me)} JOIN ${channel}`);
        }
        return;
      case "WHOIS":
        this.#whois(first, me, reply);
        return;
      case "CHATHISTORY":
        this.#chatHistory(params, client, reply);
        return;
      case "PRIVMSG":
        this.#privmsg(client, first, second, raw, reply);
        return;
      case "QUIT":
        client.socket.end();
    }
  }

  #cap(client: Client, verb: string, names: string, reply: (text: string) => void): void {
    const caps = this.options.caps ?? modernCaps;
    const me = client.nick || "*";
    if (caps === "") {
      reply(`:irc.test 421 ${me} CAP :Unknown command`);
      return;
    }
    if (verb === "LS") {
      client.capsOpen = true;
      const words = caps.split(" ");
      reply(`:irc.test CAP ${me} LS * :${words.slice(0, 2).join(" ")}`);
      reply(`:irc.test CAP ${me} LS :${words.slice(2).join(" ")}`);
    } else if (verb === "REQ") {
      for (const name of names.split(" ")) client.caps.add(name);
      reply(`:irc.test CAP ${me} ACK :${names}`);
    } else if (verb === "END") {
      client.capsOpen = false;
      this.#welcome(client, reply);
    }
  }

  #authenticate(client: Client, data: string, reply: (text: string) => void): void {
    if (data === "PLAIN") {
      reply("AUTHENTICATE +");
      return;
    }
    const [, name = "", password] = Buffer.from(data, "base64").toString().split("\0");
    const fits = this.options.accounts?.[name] !== undefined && this.options.accounts[name] === password;
    if (fits) {
      client.account = name;
      reply(`:irc.test 900 * * ${name} :You are now logged in as ${name}`);
    }
    reply(
      fits
        ? ":irc.test 903 * :SASL authentication successful"
        : ":irc.test 904 * :SASL authentication failed",
    );
  }

  #welcome(client: Client, reply: (text: string) => void): void {
    if (client.welcomed || client.capsOpen || client.nick === "" || client.user === "") return;
    client.welcomed = true;
    reply(`:irc.test 001 ${client.nick} :Welcome`);
    const supports = this.options.supports ?? "CASEMAPPING=rfc1459 CHANTYPES=# STATUSMSG=@+";
    reply(`:irc.test 005 ${client.nick} ${supports} :are supported by this server`);
  }

  #mask(nick: string): string {
    return `${nick}!u-${nick.toLowerCase()}@host.test`;
  }

  #whois(nick: string, me: string, reply: (text: string) => void): void {
    const person = this.people.get(this.fold(nick));
    if (person) {
      reply(`:irc.test 311 ${me} ${person.nick} u-${person.nick.toLowerCase()} host.test * :Somebody`);
      if (person.account !== "") {
        reply(`:irc.test 330 ${me} ${person.nick} ${person.account} :is logged in as`);
      }
    } else reply(`:irc.test 401 ${me} ${nick} :No such nick`);
    reply(`:irc.test 318 ${me} ${nick} :End of /WHOIS list`);
  }

  #rendered(message: Stored, client: Client, batch = ""): string {
    const tags = [
      ...(batch === "" ? [] : [`batch=${batch}`]),
      ...(client.caps.has("server-time") ? [`time=${new Date(message.atMs).toISOString()}`] : []),
      ...(client.caps.has("message-tags") ? [`msgid=${message.msgid}`] : []),
      ...(client.caps.has("account-tag") && message.account !== "" ? [`account=${message.account}`] : []),
      ...(message.tags ? [message.tags] : []),
    ];
    const front = tags.length > 0 ? `@${tags.join(";")} ` : "";
    return `${front}:${this.#mask(message.nick)} PRIVMSG ${message.target} :${message.text}`;
  }

  #privmsg(client: Client, target: string, text: string, raw: string, reply: (line: string) => void): void {
    if (target.startsWith("NickServ")) {
      reply(":NickServ!services@services.test NOTICE house :You are now identified.");
      return;
    }
    const fault = this.faults.shift();
    if (typeof fault === "object") {
      reply(`:irc.test ${fault.answer.replace("%", `${client.nick} ${target}`)}`);
      return;
    }
    if (!/^[#&]/.test(target) && !this.people.has(this.fold(target))) {
      reply(`:irc.test 401 ${client.nick} ${target} :No such nick/channel`);
      return;
    }
    this.said.push({ target, text, raw });
    this.#lastMs = Math.max(this.#now(), this.#lastMs + (this.#nextId % this.perMillisecond === 0 ? 1 : 0));
    const stored = {
      msgid: `m${this.#nextId++}`,
      atMs: this.#lastMs,
      nick: client.nick,
      account: client.account,
      target,
      text,
    };
    this.history.push(stored);
    if (fault === "closeAfter") {
      client.socket.destroy();
      return;
    }
    if (client.caps.has("echo-message")) client.socket.write(`${this.#rendered(stored, client)}\r\n`);
  }

  #chatHistory(params: readonly string[], client: Client, reply: (line: string) => void): void {
    const [verb = "", ...rest] = params;
    const ms = (word = "") => Date.parse(word.replace("timestamp=", ""));
    const me = this.fold(client.nick);
    const other = (message: Stored) =>
      this.fold(message.target) === me
        ? message.nick
        : this.fold(message.nick) === me
          ? message.target
          : message.target;
    if (verb === "TARGETS") {
      const between = this.history.filter((item) => item.atMs > ms(rest[0]) && item.atMs < ms(rest[1]));
      const targets = new Map(between.map((item) => [this.fold(other(item)), item]));
      reply(`:irc.test BATCH +t1 draft/chathistory-targets`);
      for (const [name, item] of targets) {
        client.socket.write(
          `@batch=t1 :irc.test CHATHISTORY TARGETS ${name} ${new Date(item.atMs).toISOString()}\r\n`,
        );
      }
      reply(`:irc.test BATCH -t1`);
      return;
    }
    const [target = "", since, limit] = rest;
    const found = this.history
      .filter((item) => this.fold(other(item)) === this.fold(target) && item.atMs > ms(since))
      .slice(0, Number(limit));
    reply(`:irc.test BATCH +h1 chathistory ${target}`);
    for (const item of found) client.socket.write(`${this.#rendered(item, client, "h1")}\r\n`);
    reply(`:irc.test BATCH -h1`);
  }
}
