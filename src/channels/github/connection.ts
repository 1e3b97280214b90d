import { ApiFault, failureText } from "./rest.ts";
import type { GithubAuth } from "./settings.ts";

/** What a failed attempt to connect means, in words for the operator, and how long to wait. */
export interface Trouble {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  readonly waitMs: number;
}

const personWaitMs = 300_000;

const whatToDo: Readonly<Record<GithubAuth["kind"], string>> = {
  app: "GitHub does not take the App's key: check appId, make a new private key (the App's settings, Private keys), and this machine's clock",
  token:
    "token revoked or ended: make a new one (Settings, Developer settings), set it and restart the channel",
};

/** Of a call that failed; `backoffMs` is the wait for what may pass by itself. */
export function troubleOf(error: unknown, backoffMs: number, auth: GithubAuth["kind"]): Trouble {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  if (!(error instanceof ApiFault)) {
    return { state: "failed", detail: `an error of our own, see the log; ${again}`, waitMs: backoffMs };
  }
  const { failure } = error;
  if (failure.kind === "limited") {
    const waitMs = Math.max(backoffMs, failure.retryAfterMs);
    return {
      state: "reconnecting",
      detail: `GitHub asks for ${Math.ceil(waitMs / 1000)} s of pause`,
      waitMs,
    };
  }
  if (
    failure.kind === "answer" &&
    (failure.status === 401 || failure.status === 403 || failure.status === 404)
  ) {
    return { state: "failed", detail: `${whatToDo[auth]} (${failureText(failure)})`, waitMs: personWaitMs };
  }
  const detail = `GitHub cannot be reached: ${failureText(failure)}; check the network; ${again}`;
  return { state: "reconnecting", detail, waitMs: backoffMs };
}
