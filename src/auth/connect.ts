import { admit, type Refusal, refuse, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import { apiTokenParts } from "./api-token-records.ts";
import type { DeviceToken } from "./device-records.ts";
import { makePrincipal, type Principal, type Role } from "./principal.ts";
import type { Identity } from "./proxy-caller.ts";
import { firstMissing, holds, knownScopes } from "./scopes.ts";
import type { AuthSettings } from "./settings.ts";
import type { SetupCode } from "./setup-codes.ts";

/** What a WebSocket client presents in `connect`, after its shape was checked. */
export interface Presented {
  readonly clientId: string;
  readonly clientMode: string;
  readonly role: Role;
  readonly scopes: readonly string[];
  readonly token?: string;
  readonly password?: string;
  readonly deviceToken?: string;
  readonly bootstrapToken?: string;
  /** The id of the browser session whose valid cookie came with the upgrade. */
  readonly browserSession?: string;
  /** The device whose signature over all of this was checked. */
  readonly deviceId?: string;
  /** What a proxy or Tailscale says of who it is; absent where they have no say. */
  readonly identity?: Verdict<Identity>;
  /** Direct from this machine. */
  readonly isLocal: boolean;
}

/** How a client proved that it may sign in. */
export type Credential =
  | { readonly kind: "browser-session"; readonly method: "browser-session"; readonly session: string }
  | { readonly kind: "shared"; readonly method: "token" | "password" | "none" }
  | { readonly kind: "identity"; readonly method: Identity["method"]; readonly identity: Identity }
  | { readonly kind: "device-token"; readonly method: "device-token" }
  | { readonly kind: "api-token"; readonly method: "api-token"; readonly principal: Principal }
  | { readonly kind: "setup-code"; readonly method: "bootstrap-token"; readonly code: SetupCode };

/** Failures are counted for each kind by itself: guesses at one must not lock out the other. */
export type CredentialClass = "shared" | "device" | "bootstrap" | "api";

export interface KnownCredentials {
  /** The device's valid token in this role when the candidate is it. */
  readonly deviceToken: (deviceId: string, role: Role, candidate: string) => DeviceToken | undefined;
  readonly setupCode: (candidate: string) => SetupCode | undefined;
  /** The principal of an API token that is good now. */
  readonly apiToken: (candidate: string) => Principal | undefined;
  /** True while too many failures of this kind came from the client's address: then nothing is compared. */
  readonly isLocked: (kind: CredentialClass) => boolean;
}

/** Refusals that say no more than that nothing was given. */
const nothingGiven: ReadonlySet<string> = new Set([
  "auth.secret_missing",
  "auth.device_required",
  "auth.device_identity_required",
]);

/**
 * Decides whether a WebSocket client may sign in, and how it proved it: by what stands in front of the gateway, the
 * page's cookie, the shared secret, a device's own token (with its signature only), or a setup code (a new node only).
 */
export function authenticateConnect(
  presented: Presented,
  settings: AuthSettings,
  known: KnownCredentials,
): Verdict<Credential> {
  const { identity } = presented;
  if (identity?.ok && identityCounts(presented, identity.value))
    return admit({ kind: "identity", method: identity.value.method, identity: identity.value });
  const isProxys = settings.mode === "trusted-proxy" && identity !== undefined && !identity.ok;
  if (!isProxys) return ownCredential(presented, settings, known);
  // The proxy alone signs in whoever is elsewhere: a cookie from before it stood there is worth nothing.
  const { browserSession, ...others } = presented;
  const verdict = ownCredential(presented.isLocal ? presented : others, settings, known);
  // Somebody whom the proxy should have signed in learns why it did not.
  return !verdict.ok && nothingGiven.has(verdict.reason) ? identity : verdict;
}

/**
 * An operator only. Tailscale's word stands for a missing secret, on a page with a device of its own; it does not stand
 * for the device.
 */
function identityCounts(presented: Presented, identity: Identity): boolean {
  if (presented.role !== "operator") return false;
  if (identity.method === "trusted-proxy") return true;
  const { token, password, deviceToken, bootstrapToken } = presented;
  const isTokenless = !token && !password && !deviceToken && !bootstrapToken;
  return isTokenless && presented.deviceId !== undefined && isPage(presented);
}

function ownCredential(
  presented: Presented,
  settings: AuthSettings,
  known: KnownCredentials,
): Verdict<Credential> {
  const { browserSession, deviceId } = presented;
  if (browserSession !== undefined && presented.role === "operator" && deviceId === undefined)
    return admit({ kind: "browser-session", method: "browser-session", session: browserSession });
  if (deviceId === undefined) {
    if (presented.role !== "operator") return refuse("auth.device_identity_required", presented.role);
    if (isPage(presented)) return refuse("auth.device_required", presented.clientId);
    const api = apiToken(presented, settings, known);
    if (api) return api;
    const shared = sharedSecret(presented, settings, known);
    // Without a secret and without a device there is nothing to check: what is missing is an identity.
    return !shared.ok && shared.reason === "auth.secret_missing"
      ? refuse("auth.device_identity_required")
      : shared;
  }
  const api = apiToken(presented, settings, known);
  if (api) return api;
  const shared = sharedSecret(presented, settings, known);
  if (shared.ok) return shared;
  const own = deviceToken(presented, deviceId, known);
  if (own) return own.ok || own.reason !== "auth.secret_mismatch" ? own : shared;
  return setupCode(presented, known) ?? shared;
}

/**
 * The principal of a client without a device. A browser session stands for the operator who opened it, and gets what
 * it asks for of the known scopes. The shared secret stands for the operator too, but keeps the claimed scopes only
 * for one of the two command-line kinds on direct loopback; everybody else gets none (advisory GHSA-rqpp-rjj8-7wv8:
 * scopes that a client merely declares).
 */
export function principalWithoutDevice(
  presented: Presented,
  arrival: Arrival,
  credential: Credential & { readonly kind: "browser-session" | "shared" | "identity" },
): Principal {
  // What a page merely asks for it does not get: what its user was given in the config it has.
  if (credential.kind === "identity") {
    const { user, scopes } = credential.identity;
    return makePrincipal(`user:${user}`, scopes, credential.method, { user });
  }
  if (credential.kind === "browser-session")
    return makePrincipal(`browser:${credential.session}`, knownScopes(presented.scopes), credential.method);
  return makePrincipal(
    "operator",
    keepsScopes(presented, arrival) ? presented.scopes : [],
    credential.method,
  );
}

/** An API token's principal on this connection: with those of its scopes that were asked for. */
export function principalOfToken(
  presented: Presented,
  credential: Credential & { readonly kind: "api-token" },
): Principal {
  const { id, scopes, method, limits } = credential.principal;
  const granted = knownScopes(presented.scopes).filter((scope) => holds(scopes, scope));
  return makePrincipal(id, granted, method, { limits });
}

/** Checks the shared secret of a request; the value is how it was proved. */
export function checkSecret(
  presented: { readonly token?: string; readonly password?: string; readonly isLocal: boolean },
  settings: AuthSettings,
): Verdict<"token" | "password" | "none"> {
  if (settings.mode === "none") return admit("none");
  // Where the proxy says who comes in, the password is for this machine itself, and nobody's who was forwarded.
  if (settings.mode === "trusted-proxy" && !presented.isLocal) return refuse("auth.secret_missing");
  const { secret } = settings;
  const mode = settings.mode === "trusted-proxy" ? "password" : settings.mode;
  // Either field may carry the secret; when both came, the one that fits the mode counts.
  const given =
    mode === "password" ? (presented.password ?? presented.token) : (presented.token ?? presented.password);
  if (secret === undefined || given === undefined || given === "") return refuse("auth.secret_missing");
  return secret.equals(given) ? admit(mode) : refuse("auth.secret_mismatch");
}

/** The kind of credential that a refusal was about, when it was a wrong one. */
export function guessedAt(refusal: Refusal): CredentialClass | undefined {
  switch (refusal.reason) {
    case "auth.secret_mismatch":
      return "shared";
    case "auth.device_token_mismatch":
      return "device";
    case "auth.bootstrap_invalid":
      return "bootstrap";
    case "auth.api_token_invalid":
      return "api";
    default:
      return undefined;
  }
}

function sharedSecret(
  presented: Presented,
  settings: AuthSettings,
  known: KnownCredentials,
): Verdict<Credential & { readonly kind: "shared" }> {
  const isGiven = Boolean(presented.token || presented.password);
  if (settings.mode !== "none" && isGiven && known.isLocked("shared")) return refuse("auth.rate_limited");
  const proved = checkSecret(presented, settings);
  return proved.ok ? admit({ kind: "shared", method: proved.value }) : proved;
}

/**
 * Undefined for a secret that has not an API token's shape. A device that brings one is not paired by it: it would
 * keep rights that outlive the token (GHSA-rqpp-rjj8-7wv8 is the same mistake with scopes).
 */
function apiToken(
  presented: Presented,
  settings: AuthSettings,
  known: KnownCredentials,
): Verdict<Credential> | undefined {
  // Where the proxy says who comes in, a token is for this machine itself, as the password is.
  if (settings.mode === "trusted-proxy" && !presented.isLocal) return undefined;
  const candidate = presented.token || presented.password;
  if (!candidate || !apiTokenParts(candidate)) return undefined;
  if (known.isLocked("api")) return refuse("auth.rate_limited");
  const principal = known.apiToken(candidate);
  // It stands for a program that asks; a node is a machine that acts, and proves itself by its own key.
  if (!principal || presented.role !== "operator") return refuse("auth.api_token_invalid");
  return admit({ kind: "api-token", method: "api-token", principal });
}

/** Undefined when no device token was given. */
function deviceToken(
  presented: Presented,
  deviceId: string,
  known: KnownCredentials,
): Verdict<Credential> | undefined {
  const { token, deviceToken: own, role } = presented;
  const candidate = own || token;
  if (!candidate) return undefined;
  // The signature covers `token` when there is one: then it says nothing about a token beside it.
  if (own && token && own !== token) return refuse("auth.device_token_mismatch");
  if (known.isLocked("device")) return refuse("auth.rate_limited");
  const found = known.deviceToken(deviceId, role, candidate);
  if (!found) return own ? refuse("auth.device_token_mismatch") : refuse("auth.secret_mismatch");
  const beyond = firstMissing(found.scopes, role === "operator" ? presented.scopes : []);
  if (beyond !== undefined) return refuse("auth.device_scope_mismatch", beyond);
  return admit({ kind: "device-token", method: "device-token" });
}

/** Undefined when no setup code was given, or something better. */
function setupCode(presented: Presented, known: KnownCredentials): Verdict<Credential> | undefined {
  const { bootstrapToken } = presented;
  if (!bootstrapToken || presented.token || presented.password || presented.deviceToken) return undefined;
  if (known.isLocked("bootstrap")) return refuse("auth.rate_limited");
  const code = known.setupCode(bootstrapToken);
  // A code is for a new node; whoever asks for more with it asks for what nobody promised.
  if (!code || presented.role !== "node" || presented.scopes.length > 0)
    return refuse("auth.bootstrap_invalid");
  return admit({ kind: "setup-code", method: "bootstrap-token", code });
}

function isPage(presented: Presented): boolean {
  return presented.clientMode === "ui" || presented.clientMode === "webchat";
}

function keepsScopes(presented: Presented, arrival: Arrival): boolean {
  if (!arrival.isLocal) return false;
  const kind = `${presented.clientId}/${presented.clientMode}`;
  return kind === "cli/cli" || kind === "gateway-client/backend";
}
