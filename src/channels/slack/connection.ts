import type { SocketEnd } from "./socket-mode.ts";
import { ApiFault, failureText } from "./web-api.ts";

/** What a failed attempt to connect means, in words for the operator, and how long to wait. */
export interface Trouble {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  readonly waitMs: number;
}

const personWaitMs = 300_000;

/** What only a person can set right, by Slack's own word for it. */
const forPersons: Readonly<Record<string, string>> = {
  invalid_auth: "revoked",
  not_authed: "revoked",
  account_inactive: "revoked",
  token_revoked: "revoked",
  token_expired: "revoked",
  org_login_required: "revoked",
  team_access_not_granted: "revoked",
  not_allowed_token_type: "the token is of another kind: botToken begins with xoxb-, appToken with xapp-",
  missing_scope: "the token lacks a scope: appToken needs connections:write",
  foreign_socket_url: "Slack names a socket that is not its own; check apiRoot and the proxy",
  forbidden_team: "the app may not be used in this workspace",
};

/** Of a call that failed; `backoffMs` is the wait for what may pass by itself. */
export function troubleOf(error: unknown, backoffMs: number): Trouble {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  if (!(error instanceof ApiFault)) {
    return { state: "failed", detail: `an error of our own, see the log; ${again}`, waitMs: backoffMs };
  }
  const { failure, method } = error;
  if (failure.kind === "limited") {
    const waitMs = Math.max(backoffMs, failure.retryAfterMs);
    return { state: "reconnecting", detail: `Slack asks for ${Math.ceil(waitMs / 1000)} s of pause`, waitMs };
  }
  if (failure.kind === "network" || failure.kind === "http") {
    const detail = `Slack cannot be reached: ${failureText(failure)}; check the network; ${again}`;
    return { state: "reconnecting", detail, waitMs: backoffMs };
  }
  const words = Object.hasOwn(forPersons, failure.error) ? forPersons[failure.error] : undefined;
  if (words === undefined) {
    return { state: "reconnecting", detail: `${error.message}; ${again}`, waitMs: backoffMs };
  }
  const token = method === "apps.connections.open" ? "appToken" : "botToken";
  const detail =
    words === "revoked"
      ? `token revoked: Slack does not take the ${token} (${failure.error}); make a new one at api.slack.com/apps, set it and restart the channel`
      : `${error.message}: ${words}`;
  return { state: "failed", detail, waitMs: personWaitMs };
}

/** Of a connection that ended. */
export function endTrouble(end: SocketEnd, backoffMs: number): Trouble {
  if (end.isDisabled) {
    const detail =
      "Socket Mode is turned off for the app: turn it on at api.slack.com/apps (Socket Mode), or set mode to http";
    return { state: "failed", detail, waitMs: personWaitMs };
  }
  const waitMs = end.isAsked && end.wasReady ? 0 : backoffMs;
  const next = waitMs === 0 ? "connecting again" : `trying again in ${Math.ceil(waitMs / 1000)} s`;
  return { state: "reconnecting", detail: `the connection ended (${end.code}); ${next}`, waitMs };
}
