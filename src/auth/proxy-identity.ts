import { admit, type Refusal, refuse, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import type { ProxySettings } from "./proxy-settings.ts";

const maxUserChars = 256;

/**
 * Whether a request may be signed in by its proxy at all: it came through a trusted one (that is what `via` says), and
 * not from a program on this very machine, which could say anything. `ownAddresses` throws when the machine
 * does not tell its addresses; then nobody is signed in.
 */
export function judgeProxy(
  arrival: Arrival,
  settings: ProxySettings,
  ownAddresses: () => readonly string[],
): Verdict<undefined> {
  if (arrival.via !== "proxy" || arrival.entrance !== "main")
    return refuse("auth.trusted_proxy_untrusted_source", arrival.peer);
  const isLoopback = arrival.peer.startsWith("127.") || arrival.peer === "::1";
  if (isLoopback && !settings.allowLoopback)
    return refuse("auth.trusted_proxy_loopback_source", arrival.peer);
  let own: readonly string[];
  try {
    own = ownAddresses();
  } catch (error) {
    return refuse("auth.trusted_proxy_local_interface_check_failed", (error as Error).message);
  }
  if (!isLoopback && own.includes(arrival.peer))
    return refuse("auth.trusted_proxy_local_interface_source", arrival.peer);
  for (const name of settings.requiredHeaders)
    if (!arrival.identityHeaders[name]?.trim()) return refuse("auth.trusted_proxy_missing_header", name);
  return admit(undefined);
}

/** The user whom the proxy names in its header. */
export function userOfHeader(arrival: Arrival, name: string): Verdict<string> {
  const user = arrival.identityHeaders[name]?.trim() ?? "";
  if (user === "") return refuse("auth.trusted_proxy_user_missing", name);
  // A comma is what is left of two headers that something in between joined into one: then somebody added his own.
  if (user.length > maxUserChars || !/^[^\p{C},]+$/u.test(user))
    return refuse("auth.trusted_proxy_user_missing", `${name} holds no plain name`);
  return admit(user);
}

/** Compared exactly. Undefined: the user may. */
export function judgeUser(user: string, settings: ProxySettings): Refusal | undefined {
  const { allowUsers } = settings;
  return allowUsers && !allowUsers.has(user)
    ? refuse("auth.trusted_proxy_user_not_allowed", user)
    : undefined;
}
