import {
  type ApiTokens,
  type AuthSettings,
  apiTokenParts,
  checkSecret,
  holds,
  type Identity,
  type Limits,
  type Lockout,
  mayCall,
  operatorScopes,
  type ProxyCallers,
  type Scope,
  within,
} from "../../auth/mod.ts";
import {
  admit,
  admitted,
  type Clock,
  type Reason,
  reasonText,
  refuse,
  sleep,
  type Verdict,
} from "../../kernel/mod.ts";
import type { HttpAnswer, HttpHead } from "../../network/mod.ts";
import { apiError, missingScope } from "./answers.ts";

/** Who calls over HTTP, proved by the gateway's secret. */
export interface Caller {
  /** As on the WebSocket: whoever holds the shared secret is the operator. */
  readonly id: string;
  readonly scopes: readonly string[];
  readonly method: "token" | "password" | "none" | "trusted-proxy" | "api-token";
  /** What it is kept to beyond its scopes. */
  readonly limits: Limits;
  /** True when it may do all that the owner may. */
  readonly isOwner: boolean;
}

/** What a caller has whom nobody named. */
const openScopes: readonly Scope[] = ["operator.read", "operator.write"];

/** What the shared secret stands for over HTTP. */
const ownerScopes: readonly Scope[] = [
  "operator.admin",
  "operator.approvals",
  "operator.pairing",
  "operator.read",
  "operator.talk.secrets",
  "operator.write",
];

export interface Door {
  /** The answer that ends the request, or undefined when the caller may go on. Asked before the body is read. */
  check(
    head: HttpHead,
    method: "GET" | "POST",
    scope: Scope,
    /** The protocol's method that does the same: who may not call it may not do it here. */
    capability: string,
  ): Promise<HttpAnswer | undefined>;
  /** Who it is; asked again once the body is there, so that a secret that was rotated meanwhile counts no more. */
  callerOf(head: HttpHead): Verdict<Caller>;
}

export function createDoor(ports: {
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly apiTokens: Pick<ApiTokens, "find">;
  readonly lockout: Lockout;
  readonly clock: Clock;
  readonly refused: (reason: Reason, address: string, path: string) => Promise<void>;
}): Door {
  function callerOf(head: HttpHead): Verdict<Caller> {
    const { arrival } = head;
    const named = arrival && ports.callers.known(arrival);
    if (named?.ok) return admit(callerOfProxy(named.value));
    const given = { ...credentialOf(head.headers.authorization), isLocal: arrival?.isLocal === true };
    // Where the proxy says who comes in, a token is for this machine itself, as the password is.
    const isTaken = ports.authSettings().mode !== "trusted-proxy" || given.isLocal;
    if (isTaken && isApiToken(given)) return callerOfToken(given);
    const proved = checkSecret(given, ports.authSettings());
    // Somebody whom the proxy should have signed in learns why it did not.
    if (!admitted(proved)) return named && proved.reason === "auth.secret_missing" ? named : proved;
    // Whoever proves the shared secret is the operator, whatever narrower scopes the request names; without a secret
    // the request gets what it names, and nothing that the operator's own hand should do when it names none.
    const scopes = proved.value === "none" ? namedScopes(head.headers["x-openclaw-scopes"]) : ownerScopes;
    return admit({
      id: "operator",
      scopes,
      method: proved.value,
      limits: {},
      isOwner: holds(scopes, "operator.admin"),
    });
  }

  function callerOfToken(given: Given): Verdict<Caller> {
    const found = ports.apiTokens.find(given.token ?? given.password ?? "");
    if (!found) return refuse("auth.api_token_invalid");
    const { id, scopes, limits, isOwner } = found;
    return admit({ id, scopes, limits, isOwner, method: "api-token" });
  }

  async function check(
    head: HttpHead,
    method: "GET" | "POST",
    scope: Scope,
    capability: string,
  ): Promise<HttpAnswer | undefined> {
    const { arrival } = head;
    if (!arrival || foreignPage(head))
      return apiError(403, "origin_refused", reasonText("network.origin_refused"));
    // A page can make a browser on this machine guess; its origin is counted instead, and loopback excuses nothing.
    const fromPage = arrival.origin !== undefined;
    const from = arrival.limitKey;
    // Guesses at one kind of credential lock out no other.
    const key = isApiToken(credentialOf(head.headers.authorization)) ? `api:${from}` : from;
    const isLoopback = arrival.isLoopback && !fromPage;
    const lockedForMs = ports.lockout.lockedForMs(key, isLoopback);
    if (lockedForMs > 0) return tooMany(lockedForMs);
    // Fetches what is needed to know the caller.
    await ports.callers.identify(arrival);
    const verdict = callerOf(head);
    if (!admitted(verdict)) {
      if (verdict.reason === "auth.secret_mismatch" || verdict.reason === "auth.api_token_invalid") {
        const delayMs = ports.lockout.fail(key, isLoopback);
        await ports.refused(verdict.reason, arrival.address, head.path);
        await sleep(ports.clock, delayMs);
      }
      return unauthorized(verdict.reason);
    }
    const { method: proof } = verdict.value;
    if (proof === "token" || proof === "password") ports.lockout.succeed(key);
    if (!holds(verdict.value.scopes, scope)) return missingScope(scope);
    const allowed = mayCall(verdict.value.limits, {
      name: capability,
      handsOutRights: false,
      // Which agent it is for is asked where the message or the tool call goes in.
      reach: () => ({ agents: [], channels: [] }),
    });
    if (!admitted(allowed))
      return apiError(403, "forbidden", reasonText(allowed.reason), { code: allowed.reason });
    if (method === "POST" && !isJson(head.headers["content-type"])) {
      // A form or text/plain is what a page on another site can send without asking.
      return apiError(415, "invalid_request_error", "Send the body as application/json.");
    }
    return undefined;
  }

  return { check, callerOf };
}

export function unauthorized(reason: Reason): HttpAnswer {
  const message =
    reason === "auth.secret_missing"
      ? "No credential was given. Send the gateway's token or password as Authorization: Bearer <secret>."
      : reason === "auth.secret_mismatch"
        ? "The credential is wrong. openclaw config file shows where the right one is kept."
        : reasonText(reason);
  return apiError(401, "unauthorized", message, {
    code: reason,
    headers: { "www-authenticate": 'Bearer realm="openclaw", Basic realm="openclaw", charset="UTF-8"' },
  });
}

export function tooMany(lockedForMs: number): HttpAnswer {
  return apiError(429, "rate_limited", reasonText("auth.rate_limited"), {
    code: "auth.rate_limited",
    headers: { "retry-after": String(Math.ceil(lockedForMs / 1000)) },
  });
}

export function isJson(contentType: string | undefined): boolean {
  return /^application\/json\s*(?:;|$)/i.test(contentType ?? "");
}

/** `Bearer <token or password>`, or Basic with the secret as the password (RFC 7617); the user's name says nothing. */
export function credentialOf(authorization: string | undefined): Given {
  const [, scheme = "", value = ""] = /^(\w+) +(\S+) *$/.exec(authorization ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return { token: value };
  if (scheme.toLowerCase() !== "basic") return {};
  const pair = Buffer.from(value, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? {} : { password: pair.slice(colon + 1) };
}

/**
 * Somebody whom the proxy signed in. Who is named in allowUsers stands for the operator; when that list is not set,
 * nobody has said that everybody whom the proxy knows is the owner.
 */
function callerOfProxy(identity: Identity): Caller {
  const base = identity.isNamed ? ownerScopes : [...openScopes, ...identity.scopes];
  const scopes = within(base, identity.limit);
  return {
    id: `user:${identity.user}`,
    scopes,
    method: "trusted-proxy",
    limits: {},
    isOwner: holds(scopes, "operator.admin"),
  };
}

interface Given {
  readonly token?: string;
  readonly password?: string;
}

function isApiToken(given: Given): boolean {
  return apiTokenParts(given.token ?? given.password ?? "") !== undefined;
}

function namedScopes(header: string | undefined): readonly string[] {
  if (header === undefined) return openScopes;
  const named = header.split(/[,\s]+/);
  return operatorScopes.filter((scope) => named.includes(scope));
}

/** True when a browser says that a page of another site made the request. (A foreign Origin got no further than network.) */
function foreignPage(head: HttpHead): boolean {
  const { headers, arrival } = head;
  const site = headers["sec-fetch-site"];
  if (arrival?.origin !== undefined) return false;
  if (site === "cross-site" || site === "same-site") return true;
  const { referer } = headers;
  if (referer === undefined) return false;
  return !URL.canParse(referer) || new URL(referer).host !== arrival?.host;
}
