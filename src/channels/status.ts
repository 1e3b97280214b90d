import type { ChannelHost, ChannelStatus } from "../delivery/channel.ts";
import type { Clock, Json, Log } from "../kernel/mod.ts";

/** A connection that works is reported again this often, for its time of last contact. */
const reportEveryMs = 30_000;

/** What a channel tells of its connection. */
export class StatusReports {
  readonly #clock: Clock;
  readonly #identity: () => string | undefined;
  #host: Pick<ChannelHost, "report"> | undefined;
  #state: ChannelStatus["state"] = "stopped";
  #detail: string | undefined;
  #reportedAtMs = 0;

  /** `identity`: the account's own name on the platform, once known. */
  constructor(clock: Clock, identity: () => string | undefined) {
    this.#clock = clock;
    this.#identity = identity;
  }

  get state(): ChannelStatus["state"] {
    return this.#state;
  }

  begin(host: Pick<ChannelHost, "report">): void {
    this.#host = host;
    this.report("starting");
  }

  report(state: ChannelStatus["state"], detail?: string): void {
    const now = this.#clock.now();
    this.#state = state;
    this.#detail = detail;
    this.#reportedAtMs = now;
    const identity = this.#identity();
    this.#host?.report({
      state,
      ...(detail === undefined ? {} : { detail }),
      ...(state === "connected" ? { lastConfirmedAtMs: now } : {}),
      ...(identity === undefined ? {} : { identity }),
    });
  }

  /** The platform has answered: reported when that is news, or when the last report is old. */
  confirm(detail?: string): void {
    const due = this.#clock.now() - this.#reportedAtMs >= reportEveryMs;
    if (this.#state !== "connected" || this.#detail !== detail || due) this.report("connected", detail);
  }

  end(): void {
    if (this.#state !== "stopped") this.report("stopped");
  }
}

export type ChannelLog = ReturnType<typeof channelLog>;

/**
 * Only an error's class is logged: its message may hold what the platform or a person wrote, or a request's URL and
 * with it the token.
 */
export function channelLog(log: Log, name: string) {
  return (what: string, error?: unknown, fields: Readonly<Record<string, Json>> = {}): void => {
    const kind = error instanceof Error ? error.name : typeof error;
    log(error === undefined ? "warn" : "error", `${name}: ${what}`, {
      ...fields,
      ...(error === undefined ? {} : { error: kind }),
    });
  };
}
