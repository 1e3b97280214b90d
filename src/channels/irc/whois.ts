import type { IrcConnection } from "./connection.ts";
import type { Session } from "./session.ts";
import type { IrcLine, Prefix } from "./wire.ts";

const deadlineMs = 15_000;

/** Who holds a nick now, as the server says; undefined when nobody does. */
export interface Holder {
  readonly user: string;
  readonly host: string;
  /** The account it is logged in to (330); undefined for none. */
  readonly account: string | undefined;
}

/** Rejects with ConnectionLost or NoAnswer. */
export function whois(connection: IrcConnection, session: Session, nick: string): Promise<Holder | "nobody"> {
  const name = session.fold(nick);
  let user = "";
  let host = "";
  let account: string | undefined;
  let isThere = false;
  const look = (line: IrcLine): Holder | "nobody" | undefined => {
    if (session.fold(line.params[1] ?? "") !== name) return undefined;
    switch (line.command) {
      case "311":
        isThere = true;
        user = line.params[2] ?? "";
        host = line.params[3] ?? "";
        return undefined;
      case "330":
        account = line.params[2];
        return undefined;
      case "401":
        return "nobody";
      case "318":
        return isThere ? { user, host, account } : "nobody";
      default:
        return undefined;
    }
  };
  return connection.ask([`WHOIS ${nick}`], look, deadlineMs);
}

/**
 * The account behind a message, for servers that do not say it with each. Between the message and the answer the nick
 * may have changed hands, so the answer counts only for the very connection that wrote: same user, same host.
 */
export async function accountBehind(
  connection: IrcConnection,
  session: Session,
  from: Prefix,
): Promise<string | undefined> {
  const holder = await whois(connection, session, from.nick);
  if (holder === "nobody" || holder.user !== from.user || holder.host !== from.host) return undefined;
  return holder.account;
}
