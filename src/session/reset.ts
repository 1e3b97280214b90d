import type { OpenClawConfig } from "../config/mod.ts";

/** When a conversation begins anew by itself. */
export interface ResetRule {
  readonly mode: "none" | "daily" | "idle";
  /** Local hour of the daily one, 0 to 23. */
  readonly atHour: number;
  readonly idleMinutes: number | undefined;
}

export interface ResetSettings {
  readonly base: ResetRule;
  readonly byType: Readonly<Partial<Record<"direct" | "group" | "thread", ResetRule>>>;
  /** By channel; wins over the type's. */
  readonly byChannel: ReadonlyMap<string, ResetRule>;
}

type Section = NonNullable<OpenClawConfig["session"]>;

const never: ResetRule = Object.freeze({ mode: "none", atHour: 4, idleMinutes: undefined });

export function resetSettings(session: Section | undefined): ResetSettings {
  // The older key alone asks for idle resets.
  const older = session?.idleMinutes;
  const base: ResetRule =
    session?.reset === undefined && older !== undefined
      ? { ...never, mode: "idle", idleMinutes: older }
      : ruleOf(session?.reset, never);
  const { direct, dm, group, thread } = session?.resetByType ?? {};
  const one = direct ?? dm;
  return Object.freeze({
    base,
    byType: {
      ...(one === undefined ? {} : { direct: ruleOf(one, base) }),
      ...(group === undefined ? {} : { group: ruleOf(group, base) }),
      ...(thread === undefined ? {} : { thread: ruleOf(thread, base) }),
    },
    byChannel: new Map(
      Object.entries(session?.resetByChannel ?? {}).map(([channel, rule]) => [channel, ruleOf(rule, never)]),
    ),
  });
}

function ruleOf(rule: Section["reset"], base: ResetRule): ResetRule {
  return {
    mode: rule?.mode ?? (rule?.idleMinutes === undefined ? base.mode : "idle"),
    atHour: rule?.atHour ?? base.atHour,
    idleMinutes: rule?.idleMinutes ?? base.idleMinutes,
  };
}

/** What a rule is chosen by. */
export interface ResetPlace {
  /** Absent for control clients. */
  readonly channel?: string;
  readonly kind: "direct" | "group" | "thread";
}

export function resetRule(settings: ResetSettings, place: ResetPlace): ResetRule {
  const ofChannel = place.channel === undefined ? undefined : settings.byChannel.get(place.channel);
  return ofChannel ?? settings.byType[place.kind] ?? settings.base;
}

/**
 * Is the conversation stale: did the daily hour pass since it began, or was it idle for too long? Whichever of the two
 * comes first counts where a daily rule names idle minutes too. Times are Unix ms; `lastDailyMs` gives the newest
 * moment, not after now, at which the local clock showed that hour.
 */
export function isStale(
  rule: ResetRule,
  session: { readonly startedAt: number; readonly lastInteractionAt: number },
  nowMs: number,
  lastDailyMs: (hour: number) => number,
): boolean {
  if (rule.mode === "none") return false;
  const { idleMinutes } = rule;
  if (idleMinutes !== undefined && idleMinutes > 0) {
    if (nowMs - session.lastInteractionAt >= idleMinutes * 60_000) return true;
  }
  return rule.mode === "daily" && session.startedAt < lastDailyMs(rule.atHour);
}

/** The newest moment, not after `nowMs`, at which it was `hour` o'clock in the time zone; hours that a zone skips move on. */
export function lastDaily(nowMs: number, hour: number, timeZone: string | undefined): number {
  const clock = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    ...(timeZone === undefined ? {} : { timeZone }),
  });
  const [h = 0, m = 0, s = 0] = clock.format(nowMs).split(":").map(Number);
  const sinceHour = (((h - hour + 24) % 24) * 3600 + m * 60 + s) * 1000 + (nowMs % 1000);
  return nowMs - sinceHour;
}
