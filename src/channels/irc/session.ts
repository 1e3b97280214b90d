import { ConnectionLost, type IrcConnection } from "./connection.ts";
import type { IrcAccount } from "./settings.ts";
import { foldFor, type IrcLine, type Prefix, withoutControls } from "./wire.ts";

const answerDeadlineMs = 30_000;
const signInDeadlineMs = 120_000;
const nickservDeadlineMs = 10_000;

/** What we can use, where the server has it. */
const wanted = [
  "account-tag",
  "batch",
  "chghost",
  "draft/chathistory",
  "echo-message",
  "message-tags",
  "server-time",
];

/** What went wrong while signing in, in words for the operator. */
export class SignInFault extends Error {
  /** "failed": a person has to do something. */
  readonly state: "reconnecting" | "failed";
  readonly waitMs: number | undefined;

  constructor(state: "reconnecting" | "failed", detail: string, waitMs?: number) {
    super(detail);
    this.name = "SignInFault";
    this.state = state;
    this.waitMs = waitMs;
  }
}

/** What was agreed with the server. */
export class Session {
  caps: ReadonlySet<string> = new Set();
  /** What the server says about itself (005). */
  readonly supports = new Map<string, string>();
  /** Our own name and address, as others see them; user and host are "" until the server shows them. */
  self: Prefix;
  fold: (text: string) => string = foldFor(undefined);
  /** The server's clock as last heard. */
  serverNowMs: number | undefined;

  constructor(nick: string) {
    this.self = { nick, user: "", host: "" };
  }

  isSelf(nick: string): boolean {
    return this.fold(nick) === this.fold(this.self.nick);
  }

  /** Keeps up with what the server says about us and about itself. */
  see(line: IrcLine): void {
    if (line.command === "005") this.#support(line);
    const now = Date.parse(line.tags.get("time") ?? "");
    if (Number.isFinite(now) && !line.tags.has("batch")) this.serverNowMs = now;
    const { from } = line;
    if (!from || !this.isSelf(from.nick)) return;
    if (from.host !== "") this.self = from;
    if (line.command === "NICK" && line.params[0]) this.self = { ...this.self, nick: line.params[0] };
    if (line.command === "CHGHOST" && line.params[1]) {
      this.self = { ...this.self, user: line.params[0] ?? "", host: line.params[1] };
    }
  }

  #support(line: IrcLine): void {
    for (const token of line.params.slice(1, -1)) {
      const [name = "", value = ""] = token.split(/=(.*)/s);
      this.supports.set(name, value);
    }
    this.fold = foldFor(this.supports.get("CASEMAPPING"));
  }
}

/** Signs in: capabilities, SASL, nick, NickServ. Throws SignInFault, ConnectionLost or NoAnswer. */
export async function signIn(connection: IrcConnection, account: IrcAccount): Promise<Session> {
  const session = new Session(account.nick);
  let lastError = "";
  // Looked for from the beginning: one packet can hold the answer to a question and all that comes behind it.
  const welcomed = connection.ask<true>(
    [],
    (line) => {
      session.see(line);
      if (line.command === "ERROR") lastError = said(line);
      const fault = refusalOf(line, account);
      if (fault) throw fault;
      if (line.command !== "001") return undefined;
      session.self = { ...session.self, nick: line.params[0] ?? account.nick };
      return true;
    },
    signInDeadlineMs,
  );
  try {
    const refused = welcomed.then(() => new Promise<never>(() => {}));
    session.caps = await Promise.race([negotiate(connection, account), refused]);
    connection.send("CAP END");
    await welcomed;
  } catch (error) {
    if (error instanceof ConnectionLost && lastError !== "") throw new ConnectionLost(lastError);
    throw error;
  }
  // The answer to a PING comes behind all that the server says about itself.
  await connection.ask(
    ["PING :ready"],
    (line) => {
      session.see(line);
      return line.command === "PONG" ? true : undefined;
    },
    answerDeadlineMs,
  );
  await identify(connection, account);
  return session;
}

async function negotiate(connection: IrcConnection, account: IrcAccount): Promise<ReadonlySet<string>> {
  const offered = new Set<string>();
  const seeList = (line: IrcLine): true | undefined => {
    // A server without capabilities answers 421, or lets us in at once.
    if (line.command === "421" || line.command === "451" || line.command === "001") return true;
    if (line.command !== "CAP" || line.params[1] !== "LS") return undefined;
    for (const word of (line.params.at(-1) ?? "").split(" ")) offered.add(word.replace(/=.*/s, ""));
    return line.params[2] === "*" ? undefined : true;
  };
  await connection.ask(
    [
      "CAP LS 302",
      ...(account.serverPassword ? [`PASS :${account.serverPassword.reveal()}`] : []),
      `NICK ${account.nick}`,
      `USER ${account.username} 0 * :${account.realname}`,
    ],
    seeList,
    answerDeadlineMs,
  );
  if (account.sasl && !offered.has("sasl")) {
    throw new SignInFault("failed", "the server offers no SASL; remove channels.irc.sasl, or use nickserv");
  }
  const asked = [...wanted.filter((name) => offered.has(name)), ...(account.sasl ? ["sasl"] : [])];
  if (asked.length === 0) return new Set();
  const seeAck = (line: IrcLine): boolean | undefined => {
    if (line.command !== "CAP") return undefined;
    return line.params[1] === "ACK" ? true : line.params[1] === "NAK" ? false : undefined;
  };
  const agreed = await connection.ask([`CAP REQ :${asked.join(" ")}`], seeAck, answerDeadlineMs);
  if (account.sasl) {
    if (!agreed) throw new SignInFault("failed", "the server refused SASL although it offers it");
    await authenticate(connection, account.sasl);
  }
  return new Set(agreed ? asked : []);
}

/** SASL PLAIN (RFC 4616), in pieces of 400 bytes. Never goes on without: replies would come from a stranger. */
async function authenticate(connection: IrcConnection, sasl: NonNullable<IrcAccount["sasl"]>): Promise<void> {
  const refused = (line: IrcLine) => {
    if (!/^(?:902|904|905|906|908)$/.test(line.command)) return;
    throw new SignInFault(
      "failed",
      `the network refused the account's password (${line.command}); correct channels.irc.sasl and restart the channel`,
      300_000,
    );
  };
  await connection.ask(
    ["AUTHENTICATE PLAIN"],
    (line) => {
      refused(line);
      return line.command === "AUTHENTICATE" ? true : undefined;
    },
    answerDeadlineMs,
  );
  const { username } = sasl;
  const text = Buffer.from(`${username}\0${username}\0${sasl.password.reveal()}`).toString("base64");
  const pieces: string[] = text.match(/.{1,400}/g) ?? [];
  if (pieces.at(-1)?.length === 400) pieces.push("+");
  await connection.ask(
    pieces.map((piece) => `AUTHENTICATE ${piece}`),
    (line) => {
      refused(line);
      return line.command === "903" || line.command === "907" ? true : undefined;
    },
    answerDeadlineMs,
  );
}

/** Tells the services who we are, and gives them a moment; a network without services does not stop us. */
async function identify(connection: IrcConnection, account: IrcAccount): Promise<void> {
  const { nickserv } = account;
  if (!nickserv) return;
  const service = nickserv.service.replace(/@.*/, "").toLowerCase();
  await connection
    .ask(
      [`PRIVMSG ${nickserv.service} :IDENTIFY ${nickserv.password.reveal()}`],
      (line) =>
        line.command === "900" ||
        line.command === "401" ||
        (line.command === "NOTICE" && line.from?.nick.toLowerCase() === service)
          ? true
          : undefined,
      nickservDeadlineMs,
    )
    .catch((error: unknown) => {
      if (error instanceof ConnectionLost) throw error;
    });
}

function refusalOf(line: IrcLine, account: IrcAccount): SignInFault | undefined {
  switch (line.command) {
    case "432":
      return new SignInFault("failed", `the server does not take the nick ${account.nick}; choose another`);
    case "433":
    case "436":
      return new SignInFault(
        "failed",
        `the nick ${account.nick} is in use: by another gateway (stop it, or give each a nick of its own), by a person, or by our own lost connection; trying again every 30 s`,
        30_000,
      );
    case "464":
      return new SignInFault(
        "failed",
        "the server refused the password; correct channels.irc.password",
        300_000,
      );
    case "465":
      return new SignInFault("failed", "the server has banned us; ask the network's operators", 300_000);
    default:
      return undefined;
  }
}

function said(line: IrcLine): string {
  return `the server said: ${withoutControls(line.params.at(-1) ?? "").slice(0, 200)}`;
}
