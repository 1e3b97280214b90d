import { admit, type Clock, type Log, type Reason, refuse, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import { type AssertionKeys, createAssertionKeys } from "./assertion-keys.ts";
import { verifyAssertion } from "./assertion-token.ts";
import { judgeProxy, judgeUser, userOfHeader } from "./proxy-identity.ts";
import {
  type AssertionSettings,
  type IdentitySettings,
  type ProxySettings,
  scopesHeader,
} from "./proxy-settings.ts";
import { holds, knownScopes, type Scope } from "./scopes.ts";
import { createTailnetLogin, type Whois } from "./tailnet.ts";

/** Somebody whom what stands in front of the gateway has signed in. */
export interface Identity {
  readonly user: string;
  readonly method: "trusted-proxy" | "tailscale";
  /** Named in gateway.auth.trustedProxy.allowUsers, and not merely anybody whom the proxy let through. */
  readonly isNamed: boolean;
  /** gateway.auth.identityScopes of this user, within `limit`. */
  readonly scopes: readonly Scope[];
  /** What the request itself is narrowed to; undefined when it is not. */
  readonly limit: readonly Scope[] | undefined;
  /** The scopes that a new device of this user may have without a question; undefined: it waits for an operator. */
  readonly autoApproveScopes: readonly Scope[] | undefined;
}

export interface ProxyCallers {
  /**
   * Who is calling, where a proxy or Tailscale may say so; undefined, at once, where they have no say. Fetches keys and
   * asks Tailscale when that is needed.
   */
  identify(arrival: Arrival): Promise<Verdict<Identity>> | undefined;
  /** The same for the proxy, with the keys that are there: for a second look at what was identified before. */
  known(arrival: Arrival): Verdict<Identity> | undefined;
}

export function createProxyCallers(ports: {
  readonly settings: () => IdentitySettings;
  readonly ownAddresses: () => readonly string[];
  /** The text at an https address. */
  readonly fetchText: (url: string) => Promise<string>;
  readonly whois: Whois;
  readonly clock: Clock;
  readonly log: Log;
}): ProxyCallers {
  const { settings, clock, log } = ports;
  const tailnetLogin = createTailnetLogin(ports.whois, clock);
  const saidAt = new Map<Reason, number>();
  let source: { readonly url: string; readonly keys: AssertionKeys } | undefined;

  /** Another address means other keys; what the old one gave is forgotten. */
  function keysAt(url: string): AssertionKeys {
    if (source?.url !== url)
      source = { url, keys: createAssertionKeys({ fetchKeys: () => ports.fetchText(url), clock, log }) };
    return source.keys;
  }

  function userOfAssertion(arrival: Arrival, assertion: AssertionSettings): Verdict<string> {
    const token = arrival.identityHeaders[assertion.header];
    if (!token) return refuse("auth.assertion_missing", assertion.header);
    return verifyAssertion(token, { ...assertion, nowMs: clock.now() }, keysAt(assertion.jwksUrl).find);
  }

  function userOf(arrival: Arrival, proxy: ProxySettings): Verdict<string> {
    const sound = judgeProxy(arrival, proxy, ports.ownAddresses);
    if (!sound.ok) return sound;
    const user = proxy.assertion
      ? userOfAssertion(arrival, proxy.assertion)
      : userOfHeader(arrival, proxy.userHeader);
    return user.ok ? (judgeUser(user.value, proxy) ?? user) : user;
  }

  function ofProxy(arrival: Arrival, proxy: ProxySettings): Verdict<Identity> {
    const user = userOf(arrival, proxy);
    if (!user.ok) return user;
    const named = arrival.identityHeaders[scopesHeader];
    const limit = named === undefined ? undefined : knownScopes(named.split(/[,\s]+/));
    return admit({
      user: user.value,
      method: "trusted-proxy",
      isNamed: proxy.allowUsers !== undefined,
      scopes: within(settings().scopesOf(user.value), limit),
      limit,
      autoApproveScopes: proxy.autoApproveScopes,
    });
  }

  function known(arrival: Arrival): Verdict<Identity> | undefined {
    const { proxy } = settings();
    return proxy && ofProxy(arrival, proxy);
  }

  return {
    known,
    identify(arrival) {
      const { proxy, allowTailscale } = settings();
      if (arrival.entrance === "tailscale")
        return allowTailscale ? told(ofTailnet(arrival), arrival) : undefined;
      return proxy && told(withKeys(arrival, proxy), arrival);
    },
  };

  async function withKeys(arrival: Arrival, proxy: ProxySettings): Promise<Verdict<Identity>> {
    const first = ofProxy(arrival, proxy);
    if (!proxy.assertion) return first;
    const keys = keysAt(proxy.assertion.jwksUrl);
    const isUnknown = !first.ok && first.reason === "auth.assertion_key_unknown";
    // Asked again only for somebody who was believed, or whose key is not known.
    if (!isUnknown && !(first.ok && keys.isDue)) return first;
    await keys.refresh();
    return known(arrival) ?? refuse("auth.trusted_proxy_untrusted_source", "no longer");
  }

  async function ofTailnet(arrival: Arrival): Promise<Verdict<Identity>> {
    const login = await tailnetLogin(arrival);
    if (!login.ok) return login;
    const scopes = settings().scopesOf(login.value);
    const limits = { isNamed: false, limit: undefined, autoApproveScopes: undefined };
    return admit({ user: login.value, method: "tailscale", scopes, ...limits });
  }

  /** The operator of the proxy has to learn what is wrong with it; a flood of strangers is one line a minute. */
  async function told(asked: Promise<Verdict<Identity>>, arrival: Arrival): Promise<Verdict<Identity>> {
    const verdict = await asked;
    if (verdict.ok) return verdict;
    const last = saidAt.get(verdict.reason);
    if (last !== undefined && clock.monotonic() - last < 60_000) return verdict;
    saidAt.set(verdict.reason, clock.monotonic());
    const { reason, detail } = verdict;
    log("warn", "a caller was not signed in by what stands in front", { reason, detail, peer: arrival.peer });
    return verdict;
  }
}

/** What both lists allow; `limit` undefined: all of the first. */
export function within(granted: readonly string[], limit: readonly Scope[] | undefined): readonly Scope[] {
  const scopes = knownScopes(granted);
  if (limit === undefined) return scopes;
  return knownScopes([
    ...limit.filter((scope) => holds(scopes, scope)),
    ...scopes.filter((scope) => holds(limit, scope)),
  ]);
}
