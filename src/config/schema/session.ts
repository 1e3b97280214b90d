import { schema as s } from "../../kernel/mod.ts";
import { count, duration, named, section, size, strings } from "./section.ts";

export const dmScope = s.oneOf([
  "main",
  "default",
  "per-peer",
  "per-channel-peer",
  "per-account-channel-peer",
]);
export const groupScope = s.oneOf(["per-group", "main"]);

const reset = section({
  mode: s.oneOf(["none", "daily", "idle"]),
  atHour: s.integer({ minimum: 0, maximum: 23 }),
  idleMinutes: s.number({ minimum: 0 }),
});

export const session = section({
  scope: s.oneOf(["per-sender", "global"]),
  dmScope,
  groupScope,
  /** Read and ignored, as documented. */
  mainKey: s.string(),
  identityLinks: named(strings),
  idleMinutes: s.number({ minimum: 0 }),
  reset,
  resetByType: section({ direct: reset, dm: reset, group: reset, thread: reset }),
  resetByChannel: named(reset),
  resetTriggers: strings,
  /** Our own: "none" keeps nothing of a conversation on disk once its answer was delivered. */
  retention: s.oneOf(["keep", "none"]),
  store: s.string(),
  maintenance: section({
    mode: s.oneOf(["enforce", "warn"]),
    pruneAfter: duration,
    archiveDashboardAfter: duration,
    maxEntries: count,
    preserveRecent: s.union([duration, s.boolean()]),
    resetArchiveRetention: s.union([duration, s.oneOf([false])]),
    maxDiskBytes: size,
    highWaterBytes: size,
    coldStorage: section({ enabled: s.boolean(), afterDays: count }),
  }),
  sendPolicy: section({
    default: s.oneOf(["allow", "deny"]),
    rules: s.array(
      s.object({
        action: s.oneOf(["allow", "deny"]),
        match: s.optional(
          section({
            channel: s.string(),
            chatType: s.oneOf(["direct", "group", "channel", "room"]),
            keyPrefix: s.string(),
            rawKeyPrefix: s.string(),
          }),
        ),
      }),
    ),
  }),
  agentToAgent: section({ maxPingPongTurns: count }),
  threadBindings: section({
    enabled: s.boolean(),
    idleHours: s.number({ minimum: 0 }),
    maxAgeHours: s.number({ minimum: 0 }),
    spawnSessions: s.boolean(),
  }),
});
