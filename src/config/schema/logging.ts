import { logLevels, schema as s } from "../../kernel/mod.ts";
import { count, milliseconds, named, secret, section, strings, unread } from "./section.ts";

const level = s.oneOf([...logLevels, "silent"] as const);

export const logging = section({
  level,
  file: s.string(),
  consoleLevel: level,
  consoleStyle: s.oneOf(["pretty", "compact", "json"]),
  maxFileBytes: s.integer({ minimum: 1 }),
  redactSensitive: s.oneOf(["tools", "off"]),
  redactPatterns: strings,
  audit: section({
    enabled: s.boolean({ default: true }),
    executionIdentity: s.boolean({ default: false }),
    messages: s.oneOf(["off", "direct", "all"]),
  }),
});

export const diagnostics = section({
  enabled: s.boolean(),
  flags: strings,
  stuckSessionWarnMs: milliseconds,
  otel: section({
    enabled: s.boolean(),
    endpoint: s.string(),
    protocol: s.oneOf(["http/protobuf"]),
    headers: named(secret),
    serviceName: s.string(),
    traces: s.boolean(),
    metrics: s.boolean(),
    logs: s.boolean(),
    sampleRate: s.number({ minimum: 0, maximum: 1 }),
    flushIntervalMs: milliseconds,
    captureContent: s.union([s.boolean(), unread("Which content is exported.")]),
  }),
  cacheTrace: unread("Trace of prompt cache use."),
  retentionDays: count,
});
