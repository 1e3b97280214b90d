import type { GatewayEnd } from "./gateway.ts";
import { failureText, RestFault } from "./rest.ts";

/** What a failed attempt to connect means, in words for the operator, and how long to wait. */
export interface Trouble {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  readonly waitMs: number;
}

/** What only a person can set right is tried again this seldom: each new try counts against the bot's day. */
const personWaitMs = 300_000;
const revoked =
  "token revoked: Discord does not know this bot token; reset it in the Developer Portal (Bot), set it as token and restart the channel";

/** Of a call that failed; `backoffMs` is the wait for what may pass by itself. */
export function troubleOf(error: unknown, backoffMs: number): Trouble {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  if (!(error instanceof RestFault)) {
    return { state: "failed", detail: `an error of our own, see the log; ${again}`, waitMs: backoffMs };
  }
  const { failure } = error;
  if (failure.kind === "limited") {
    const waitMs = Math.max(backoffMs, failure.retryAfterMs);
    const detail = `Discord asks for ${Math.ceil(waitMs / 1000)} s of pause`;
    return { state: "reconnecting", detail, waitMs };
  }
  if (failure.kind === "network") {
    const detail = `Discord cannot be reached: ${failureText(failure)}; check the network; ${again}`;
    return { state: "reconnecting", detail, waitMs: backoffMs };
  }
  if (failure.status === 401) return { state: "failed", detail: revoked, waitMs: personWaitMs };
  if (failure.status >= 500) {
    const detail = `Discord has trouble: ${failureText(failure)}; ${again}`;
    return { state: "reconnecting", detail, waitMs: backoffMs };
  }
  return { state: "failed", detail: `${error.message}; correct the settings; ${again}`, waitMs: backoffMs };
}

/** Of a connection that ended. */
export function endTrouble(end: GatewayEnd, backoffMs: number): Trouble {
  switch (end.code) {
    case 4004:
      return { state: "failed", detail: revoked, waitMs: personWaitMs };
    case 4013:
    case 4014:
      return {
        state: "failed",
        detail:
          "Discord does not allow the bot to read messages: turn on the Message Content Intent in the Developer Portal (Bot), or set intents.messageContent to false; trying again every 5 min",
        waitMs: personWaitMs,
      };
    case 4010:
    case 4011:
    case 4012:
      return {
        state: "failed",
        detail: `Discord refuses this way of connecting (${end.code}); a bot in more than 2500 servers needs sharding, which is not supported`,
        waitMs: personWaitMs,
      };
    default: {
      const waitMs = end.isAsked ? 0 : backoffMs;
      const detail = `the connection ended (${end.code}); ${
        waitMs === 0 ? "connecting again" : `trying again in ${Math.ceil(waitMs / 1000)} s`
      }`;
      return { state: "reconnecting", detail, waitMs };
    }
  }
}
