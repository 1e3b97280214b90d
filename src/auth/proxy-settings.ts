import type { OpenClawConfig } from "../config/mod.ts";
import { knownScopes, type Scope } from "./scopes.ts";

/** gateway.auth.trustedProxy, in mode trusted-proxy. */
export interface ProxySettings {
  /** Lower case; "" where only a signed assertion says who it is. */
  readonly userHeader: string;
  /** Lower case. */
  readonly requiredHeaders: readonly string[];
  /** Undefined: everybody whom the proxy signed in. Empty: nobody. */
  readonly allowUsers: ReadonlySet<string> | undefined;
  readonly allowLoopback: boolean;
  /** Undefined: a new device waits for an operator. */
  readonly autoApproveScopes: readonly Scope[] | undefined;
  readonly assertion: AssertionSettings | undefined;
}

export interface AssertionSettings {
  /** Lower case. */
  readonly header: string;
  /** https */
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
}

/** How callers are known by what stands in front of the gateway. */
export interface IdentitySettings {
  /** Undefined in every other mode, and while the settings cannot be acted on: then the proxy signs in nobody. */
  readonly proxy: ProxySettings | undefined;
  readonly allowTailscale: boolean;
  /** gateway.auth.identityScopes of somebody whose identity was verified. */
  readonly scopesOf: (user: string) => readonly Scope[];
  /** The headers that are read, lower case: what the network layer lets through from a trusted proxy. */
  readonly headerNames: readonly string[];
  /** What cannot be acted on; a start refuses, a reload says so and signs in nobody this way. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Narrows what a request may do, never widens it. */
export const scopesHeader = "x-openclaw-scopes";

const defaultAutoApproveScopes: readonly Scope[] = [
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.questions",
];

/**
 * Whether somebody whom the proxy or Tailscale signed in under `before` is, under `after`, who he was: anything else
 * has to come in anew.
 */
export function staysSignedIn(
  before: IdentitySettings,
  after: IdentitySettings,
  { method, user }: { readonly method: string; readonly user: string | undefined },
): boolean {
  if (user === undefined || String(before.scopesOf(user)) !== String(after.scopesOf(user))) return false;
  if (method === "tailscale") return after.allowTailscale;
  const [was, is] = [before.proxy, after.proxy];
  if (!was || !is || rest(was) !== rest(is)) return false;
  // Nobody is named any more, so nobody is the owner by name.
  if (was.allowUsers && !is.allowUsers) return false;
  return is.allowUsers?.has(user) ?? true;
}

/** All but whom it lets in, in one spelling. */
function rest({ allowUsers: _, ...proxy }: ProxySettings): string {
  return JSON.stringify(proxy);
}

type AuthConfig = NonNullable<NonNullable<OpenClawConfig["gateway"]>["auth"]>;
type AssertionConfig = NonNullable<NonNullable<AuthConfig["trustedProxy"]>["assertion"]>;

export function identitySettings(
  config: OpenClawConfig,
  env: Readonly<Record<string, string | undefined>>,
): IdentitySettings {
  const auth = config.gateway?.auth ?? {};
  const problems: string[] = [];
  const warnings: string[] = [];
  const proxy = auth.mode === "trusted-proxy" ? proxyOf(config, auth, env, problems, warnings) : undefined;
  const scopes = new Map(
    Object.entries(auth.identityScopes ?? {}).map(([user, granted]) => [
      identityKey(user),
      knownScopes(granted),
    ]),
  );
  return Object.freeze({
    proxy: problems.length === 0 ? proxy : undefined,
    allowTailscale: auth.allowTailscale ?? config.gateway?.tailscale?.mode === "serve",
    scopesOf: (user: string) => scopes.get(identityKey(user)) ?? [],
    headerNames: proxy
      ? [proxy.userHeader, proxy.assertion?.header ?? "", ...proxy.requiredHeaders, scopesHeader].filter(
          (name) => name !== "",
        )
      : [],
    problems,
    warnings,
  });
}

function proxyOf(
  config: OpenClawConfig,
  auth: AuthConfig,
  env: Readonly<Record<string, string | undefined>>,
  problems: string[],
  warnings: string[],
): ProxySettings {
  const given = auth.trustedProxy ?? {};
  const at = "gateway.auth.trustedProxy";
  const mode = 'gateway.auth.mode is "trusted-proxy"';
  if (auth.token !== undefined || env.OPENCLAW_GATEWAY_TOKEN)
    problems.push(
      `gateway auth mode is trusted-proxy, but a shared token is also configured; remove gateway.auth.token (and OPENCLAW_GATEWAY_TOKEN), or set gateway.auth.mode to "token"`,
    );
  if ((config.gateway?.trustedProxies ?? []).length === 0)
    problems.push(`${mode}, but gateway.trustedProxies is empty; list the address of the proxy`);
  if (given.userHeader === undefined && given.assertion === undefined)
    problems.push(`${mode}, but nothing says who a caller is; set ${at}.userHeader or ${at}.assertion`);
  const names = [given.userHeader, ...(given.requiredHeaders ?? [])].filter((name) => name !== undefined);
  for (const name of names)
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
      problems.push(`${at}: ${JSON.stringify(name)} is not the name of a header`);
  if (given.allowUsers === undefined)
    warnings.push(`${at}.allowUsers is not set: everybody whom the proxy signs in may use this gateway`);
  else if (given.allowUsers.length === 0)
    warnings.push(`${at}.allowUsers is empty: the proxy signs in nobody; name users, or remove the key`);
  if (given.allowLoopback)
    warnings.push(`${at}.allowLoopback is on: every program on this machine can say who it is`);
  const approve = given.deviceAutoApprove;
  return {
    userHeader: (given.userHeader ?? "").toLowerCase(),
    requiredHeaders: (given.requiredHeaders ?? []).map((name) => name.toLowerCase()),
    allowUsers: given.allowUsers && new Set(given.allowUsers.map((user) => user.trim())),
    allowLoopback: given.allowLoopback === true,
    autoApproveScopes: approve?.enabled ? knownScopes(approve.scopes ?? defaultAutoApproveScopes) : undefined,
    assertion: given.assertion && assertionOf(given.assertion, `${at}.assertion`, problems),
  };
}

function assertionOf(given: AssertionConfig, at: string, problems: string[]): AssertionSettings {
  const { provider, audience } = given;
  const issuer = (given.issuer ?? (provider === "iap" ? "https://cloud.google.com/iap" : "")).trim();
  if (issuer === "") problems.push(`${at}.issuer is needed with provider "${provider}"`);
  const jwksUrl = given.jwksUrl ?? publishedKeys(provider, issuer);
  if (jwksUrl === undefined) problems.push(`${at}.jwksUrl is needed with provider "${provider}"`);
  else if (!/^https:\/\/[^/@\s]+\//.test(jwksUrl))
    problems.push(
      `${at}.jwksUrl must be an https:// address: over http anybody on the way could put his own key there`,
    );
  return { header: assertionHeaders[provider], jwksUrl: jwksUrl ?? "", issuer, audience };
}

/** As each provider documents it. */
const assertionHeaders = {
  cloudflare: "cf-access-jwt-assertion",
  iap: "x-goog-iap-jwt-assertion",
  pomerium: "x-pomerium-jwt-assertion",
} as const;

function publishedKeys(provider: AssertionConfig["provider"], issuer: string): string | undefined {
  if (provider === "iap") return "https://www.gstatic.com/iap/verify/public_key-jwk";
  return provider === "cloudflare" && issuer !== ""
    ? `${issuer.replace(/\/$/, "")}/cdn-cgi/access/certs`
    : undefined;
}

/** E-mail addresses are compared without case, everything else as it is. */
function identityKey(user: string): string {
  return user.includes("@") ? user.trim().toLowerCase() : user.trim();
}
