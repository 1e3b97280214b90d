import { schema as s } from "../../kernel/mod.ts";
import { count, identities, milliseconds, named, section, strings, unread } from "./section.ts";

const alias = s.string({ pattern: "^[a-z][a-z0-9_-]{0,63}$" });
const absolutePath = s.string({ pattern: "^(/|~|[A-Za-z]:[\\\\/])" });

const provider = s.union([
  s.object({ source: s.oneOf(["env"]), allowlist: s.optional(strings) }),
  s.object({
    source: s.oneOf(["file"]),
    path: s.string({ minLength: 1 }),
    mode: s.optional(s.oneOf(["json", "singleValue"])),
    timeoutMs: s.optional(milliseconds),
    maxBytes: s.optional(count),
  }),
  s.object({
    source: s.oneOf(["exec"]),
    command: absolutePath,
    args: s.optional(strings),
    env: s.optional(named(s.string())),
    passEnv: s.optional(strings),
    trustedDirs: s.optional(strings),
    timeoutMs: s.optional(milliseconds),
    noOutputTimeoutMs: s.optional(milliseconds),
    maxOutputBytes: s.optional(count),
    jsonOnly: s.optional(s.boolean()),
  }),
  s.object({ source: s.oneOf(["store"]) }),
]);

export const secrets = section({
  providers: s.record(provider, { keys: alias }),
  defaults: section({ env: alias, file: alias, exec: alias, store: alias }),
  egressProxy: section({
    enabled: s.boolean({ default: false }),
    allowedHosts: strings,
    bypassHosts: strings,
  }),
  resolution: unread("Limits of secret resolution."),
});

export const security = section({
  audit: section({
    suppressions: s.array(
      s.object({
        checkId: s.string({ minLength: 1 }),
        titleIncludes: s.optional(s.string()),
        detailIncludes: s.optional(s.string()),
        reason: s.optional(s.string()),
      }),
    ),
  }),
  installPolicy: s.union([
    s.string(),
    s.open(section({ enabled: s.boolean(), command: s.string(), args: strings, timeoutMs: milliseconds })),
  ]),
});

export const accessGroups = named(
  s.union([
    s.object({ type: s.oneOf(["message.senders"]), members: named(identities) }),
    s.object({
      type: s.oneOf(["discord.channelAudience"]),
      guildId: s.string(),
      channelId: s.string(),
      membership: s.optional(s.oneOf(["canViewChannel"])),
    }),
  ]),
);

export const proxy = section({
  enabled: s.boolean(),
  proxyUrl: s.string({ pattern: "^https?://" }),
  tls: section({ caFile: s.string() }),
  loopbackMode: s.oneOf(["gateway-only", "proxy", "block"]),
});
