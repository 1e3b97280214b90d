import { admit, type Clock, refuse, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";

/** The login behind an address of the tailnet (`tailscale whois --json`); undefined when there is none. May reject. */
export type Whois = (address: string) => Promise<string | undefined>;

/** Who in the tailnet is calling. */
export type TailnetLogin = (arrival: Arrival) => Promise<Verdict<string>>;

/** Each question is a process: an answer is kept for a moment, and only so many are asked at a time. */
const keptMs = 10_000;
const maxKept = 1000;
const maxAsking = 4;

/**
 * The header alone proves nothing, since every program on this machine can write it: the login counts only when it came
 * in at the entrance for `tailscale serve`, and the local tailscaled names the same login for the caller's address.
 * What came from the internet (Funnel) is nobody's in the tailnet. Anything in doubt is a refusal.
 */
export function createTailnetLogin(whois: Whois, clock: Clock): TailnetLogin {
  const kept = new Map<string, { readonly at: number; readonly login: Promise<string | undefined> }>();
  let asking = 0;

  function loginOf(address: string): Promise<string | undefined> {
    const known = kept.get(address);
    if (known && clock.monotonic() - known.at < keptMs) return known.login;
    if (asking >= maxAsking) return Promise.resolve(undefined);
    asking += 1;
    // One question at a time for an address, however many sockets it opens.
    const login = whois(address)
      .catch(() => undefined)
      .finally(() => {
        asking -= 1;
      });
    kept.delete(address);
    kept.set(address, { at: clock.monotonic(), login });
    if (kept.size > maxKept) kept.delete(kept.keys().next().value as string);
    return login;
  }

  return async (arrival) => {
    const claimed = arrival.identityHeaders["tailscale-user-login"];
    const isServed = arrival.entrance === "tailscale" && arrival.via === "proxy";
    if (!isServed || !claimed || arrival.identityHeaders["tailscale-funnel-request"] !== undefined)
      return refuse("auth.tailscale_unverified", "no login of the tailnet");
    const login = await loginOf(arrival.address);
    // As the CLI prints it: nothing is trimmed or folded, so that two names are never one.
    return login !== undefined && login === claimed
      ? admit(login)
      : refuse(
          "auth.tailscale_unverified",
          `tailscale knows ${arrival.address} by another name, or not at all`,
        );
  };
}
