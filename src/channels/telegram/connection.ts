import { ApiFault, failureText } from "./bot-api.ts";

/** What a failed attempt to connect means, in words for the operator, and how long to wait. */
export interface Trouble {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  readonly waitMs: number;
}

const conflictWaitMs = 30_000;
const revokedWaitMs = 300_000;

/** `backoffMs` is the wait for what may pass by itself. */
export function troubleOf(error: unknown, backoffMs: number): Trouble {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  if (!(error instanceof ApiFault)) {
    return { state: "failed", detail: `an error of our own, see the log; ${again}`, waitMs: backoffMs };
  }
  const { failure } = error;
  if (failure.kind === "network") {
    const detail = `Telegram cannot be reached: ${failureText(failure)}; check the network and apiRoot; ${again}`;
    return { state: "reconnecting", detail, waitMs: backoffMs };
  }
  switch (failure.code) {
    case 401:
    case 404:
      return {
        state: "failed",
        detail:
          "token revoked: Telegram does not know this bot token; get a new one from @BotFather, set it as botToken and restart the channel",
        waitMs: revokedWaitMs,
      };
    case 409:
      return {
        state: "failed",
        detail:
          "another process is receiving this bot's messages: stop it, or give each gateway a bot of its own; trying again every 30 s",
        waitMs: conflictWaitMs,
      };
    case 429: {
      const waitMs = Math.max(backoffMs, failure.retryAfterMs ?? 0);
      return {
        state: "reconnecting",
        detail: `Telegram asks for ${Math.ceil(waitMs / 1000)} s of pause`,
        waitMs,
      };
    }
    default:
      if (failure.code >= 500) {
        return {
          state: "reconnecting",
          detail: `Telegram has trouble: ${failureText(failure)}; ${again}`,
          waitMs: backoffMs,
        };
      }
      return {
        state: "failed",
        detail: `${error.message}; correct the settings; ${again}`,
        waitMs: backoffMs,
      };
  }
}
