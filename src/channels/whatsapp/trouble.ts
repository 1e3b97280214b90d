import type { ConnectionEnd } from "./connection.ts";

export interface Trouble {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  /** Undefined: not before the channel is restarted. */
  readonly waitMs: number | undefined;
}

const replacedWaitMs = 300_000;

/** What the end of a connection means. `backoffMs` is the wait for what may pass by itself. */
export function troubleOf({ status, wasOpen }: ConnectionEnd, backoffMs: number, folder: string): Trouble {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  switch (status) {
    case 401:
      return {
        state: "failed",
        detail: `logged out: this device was removed in WhatsApp's app; remove ${folder}, restart the channel and link it again`,
        waitMs: undefined,
      };
    case 403:
      return {
        state: "failed",
        detail:
          "WhatsApp refuses this account; it may be banned: look into the app, then restart the channel",
        waitMs: undefined,
      };
    case 411:
      return {
        state: "failed",
        detail: `the keys do not fit this account; remove ${folder}, restart the channel and link it again`,
        waitMs: undefined,
      };
    case 440:
      return {
        state: "failed",
        detail:
          "another process uses this linked device: stop it, or link each gateway as a device of its own",
        waitMs: replacedWaitMs,
      };
    case 515:
      // Asked for after linking; otherwise it must not become a busy loop.
      return {
        state: "reconnecting",
        detail: "WhatsApp asks for a new connection",
        waitMs: wasOpen ? backoffMs : 0,
      };
    case 408:
      return {
        state: "reconnecting",
        detail: `no answer in time, or nobody scanned the code; ${again}`,
        waitMs: backoffMs,
      };
    default:
      return {
        state: "reconnecting",
        detail: `the connection to WhatsApp ended${status === undefined ? "" : ` (${status})`}; ${again}`,
        waitMs: backoffMs,
      };
  }
}
