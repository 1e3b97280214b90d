import { hash } from "node:crypto";
import { type Clock, type Commit, type Random, Secret, token, type Write } from "../kernel/mod.ts";

/** Sessions of the web page, by the hash of their cookie: the cookie itself is never stored. */
export interface BrowserSessionStore {
  find(hash: string): { readonly expiresAtMs: number } | undefined;
  put(hash: string, createdAtMs: number, expiresAtMs: number): Write;
  remove(hash: string): Write;
  removeAll(): Write;
}

export interface BrowserSessions {
  /** A one-time sign-in ticket: works once, for ten minutes. */
  issueTicket(): Secret;
  /** True at most once per ticket. */
  redeem(ticket: string): boolean;
  /** A new session; resolves with the cookie's value once the session is on disk. */
  open(): Promise<Secret>;
  /** The session's public id, or undefined when the cookie is none of ours or has expired. */
  check(cookie: string): string | undefined;
  close(cookie: string): Promise<void>;
  /** Ends every session, and every ticket that was not used yet. */
  closeAll(): Promise<void>;
}

const ticketLifetimeMs = 10 * 60 * 1000;
const sessionLifetimeMs = 30 * 24 * 60 * 60 * 1000;
const maxTickets = 32;

export function createBrowserSessions(ports: {
  readonly store: BrowserSessionStore;
  readonly commit: Commit;
  readonly clock: Clock;
  readonly random: Random;
}): BrowserSessions {
  // Tickets live in memory only: one that was printed before a restart is worth nothing after it.
  const tickets = new Map<string, number>();
  const hashOf = (value: string) => hash("sha256", value);

  return {
    issueTicket() {
      const now = ports.clock.monotonic();
      for (const [key, expires] of tickets) if (expires <= now) tickets.delete(key);
      if (tickets.size >= maxTickets) tickets.delete(tickets.keys().next().value as string);
      const value = token(ports.random);
      tickets.set(hashOf(value), now + ticketLifetimeMs);
      return new Secret(value);
    },
    redeem(ticket) {
      // Looked up by hash, so the time it takes tells nothing about how much of a guess was right.
      const key = hashOf(ticket);
      const expires = tickets.get(key);
      tickets.delete(key);
      return expires !== undefined && expires > ports.clock.monotonic();
    },
    async open() {
      const value = token(ports.random);
      const now = ports.clock.now();
      await ports.commit([ports.store.put(hashOf(value), now, now + sessionLifetimeMs)]);
      return new Secret(value);
    },
    check(cookie) {
      const key = hashOf(cookie);
      const session = ports.store.find(key);
      return session && session.expiresAtMs > ports.clock.now() ? key.slice(0, 12) : undefined;
    },
    close: (cookie) => ports.commit([ports.store.remove(hashOf(cookie))]),
    closeAll() {
      tickets.clear();
      return ports.commit([ports.store.removeAll()]);
    },
  };
}
