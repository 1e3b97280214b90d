import {
  type ApiTokens,
  type AuthSettings,
  authenticateRequest,
  type BrowserSessions,
  holds,
  type Lockout,
  mayCall,
  type Principal,
  type ProxyCallers,
  requestClass,
  type Scope,
} from "../../auth/mod.ts";
import { admitted, type Clock, type Reason, reasonText, sleep, type Verdict } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpHead } from "../../network/mod.ts";
import { apiError, missingScope } from "./answers.ts";

export interface Door {
  /** The answer that ends the request, or undefined when the caller may go on. Asked before the body is read. */
  check(
    head: HttpHead,
    method: "GET" | "POST",
    /** The protocol's method that does the same: who may not call it may not do it here. */
    capability: string,
    /** True: the page's own cookie counts as well. Only for what changes nothing. */
    forPage?: boolean,
  ): Promise<HttpAnswer | undefined>;
  /** Who it is; asked again once the body is there, so that a secret that was rotated meanwhile counts no more. */
  callerOf(head: HttpHead, forPage?: boolean): Verdict<Principal>;
}

export function createDoor(ports: {
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly apiTokens: Pick<ApiTokens, "find">;
  readonly browserSessions: Pick<BrowserSessions, "check">;
  readonly lockout: Lockout;
  readonly clock: Clock;
  /** The scope of a method of the protocol: the same row decides for both carriers. */
  readonly scopeOf: (capability: string) => Scope;
  readonly refused: (reason: Reason, address: string, path: string) => Promise<void>;
}): Door {
  const presentedOf = (head: HttpHead, forPage: boolean) => {
    const { arrival, headers, cookie } = head;
    return {
      ...(forPage ? { page: { session: ports.browserSessions.check(cookie) } } : {}),
      ...credentialOf(headers.authorization),
      scopes: headers["x-openclaw-scopes"]?.split(/[,\s]+/),
      identity: arrival && ports.callers.known(arrival),
      isLocal: arrival?.isLocal === true,
    };
  };

  const callerOf = (head: HttpHead, forPage = false) =>
    authenticateRequest(presentedOf(head, forPage), ports.authSettings(), { apiToken: ports.apiTokens.find });

  async function check(
    head: HttpHead,
    method: "GET" | "POST",
    capability: string,
    forPage = false,
  ): Promise<HttpAnswer | undefined> {
    const { arrival } = head;
    if (!arrival || foreignPage(head))
      return apiError(403, "origin_refused", reasonText("network.origin_refused"));
    // A page can make a browser on this machine guess; its origin is counted instead, and loopback excuses nothing.
    const fromPage = arrival.origin !== undefined;
    const from = arrival.limitKey;
    const key = requestClass(credentialOf(head.headers.authorization)) === "api" ? `api:${from}` : from;
    const isLoopback = arrival.isLoopback && !fromPage;
    const lockedForMs = ports.lockout.lockedForMs(key, isLoopback);
    if (lockedForMs > 0) return tooMany(lockedForMs);
    // Fetches what is needed to know the caller.
    await ports.callers.identify(arrival);
    const verdict = callerOf(head, forPage);
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
    const scope = ports.scopeOf(capability);
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

interface Given {
  readonly token?: string;
  readonly password?: string;
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
