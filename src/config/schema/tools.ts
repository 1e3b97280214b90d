import { schema as s } from "../../kernel/mod.ts";
import {
  count,
  httpUrl,
  identities,
  identity,
  milliseconds,
  named,
  seconds,
  secret,
  section,
  strings,
  unread,
} from "./section.ts";

/** Which tools are offered, in one scope. `allow` and `alsoAllow` exclude each other (cross-check). */
const listing = { allow: strings, alsoAllow: strings, deny: strings } as const;
const profile = s.oneOf(["minimal", "messaging", "coding", "full"]);

export const toolLists = section(listing);
export const toolsBySender = named(toolLists);

const exec = section({
  host: s.oneOf(["auto", "sandbox", "gateway", "node"]),
  mode: s.oneOf(["deny", "allowlist", "ask", "auto", "full"]),
  security: s.oneOf(["deny", "allowlist", "full"]),
  ask: s.oneOf(["off", "on-miss", "always"]),
  node: s.string(),
  timeoutSeconds: seconds,
  backgroundMs: milliseconds,
  notifyOnExit: s.boolean(),
  approvalRunningNoticeMs: milliseconds,
  strictInlineEval: s.boolean(),
  commandHighlighting: s.boolean(),
  pathPrepend: strings,
  safeBins: strings,
  safeBinTrustedDirs: strings,
  safeBinProfiles: named(
    section({
      minPositional: count,
      maxPositional: count,
      allowedValueFlags: strings,
      deniedFlags: strings,
    }),
  ),
  grantExpiryDays: count,
  applyPatch: section({ enabled: s.boolean(), workspaceOnly: s.boolean(), allowModels: strings }),
  reviewer: section({
    model: s.string(),
    timeoutMs: milliseconds,
    thinking: s.string(),
    fastMode: s.boolean(),
  }),
});

/** Agents that may use the host ("main"), or senders per channel: two published shapes, both read. */
const elevated = section({
  enabled: s.boolean(),
  allowFrom: s.union([strings, named(identities)]),
  requireApproval: s.boolean(),
});

const fs = section({ workspaceOnly: s.boolean() });

const web = section({
  fetch: section({
    enabled: s.boolean(),
    provider: s.string(),
    maxChars: count,
    maxCharsCap: count,
    maxResponseBytes: s.integer({ minimum: 32_000, maximum: 10_000_000 }),
    timeoutSeconds: seconds,
    cacheTtlMinutes: s.number({ minimum: 0 }),
    maxRedirects: count,
    readability: s.boolean(),
    userAgent: s.string(),
    headers: named(secret),
    /** Ours: when it is there, only these hosts are fetched; none when it is empty. */
    allowlist: strings,
    useTrustedEnvProxy: s.boolean(),
    ssrfPolicy: section({
      dangerouslyAllowPrivateNetwork: s.boolean({ default: false }),
      allowedHostnames: strings,
      blockedHostnames: strings,
      allowRfc2544BenchmarkRange: s.boolean(),
      allowIpv6UniqueLocalRange: s.boolean(),
    }),
  }),
  search: section({
    enabled: s.boolean(),
    provider: s.string(),
    apiKey: secret,
    /** Ours: where a SearXNG is, or another provider that is not where it usually is. */
    baseUrl: httpUrl,
    maxResults: s.integer({ minimum: 1 }),
    timeoutSeconds: seconds,
    cacheTtlMinutes: s.number({ minimum: 0 }),
  }),
});

const loopDetection = section({
  enabled: s.boolean({ default: false }),
  historySize: count,
  warningThreshold: count,
  criticalThreshold: count,
  globalCircuitBreakerThreshold: count,
  detectors: named(s.boolean()),
  postCompactionGuard: section({ enabled: s.boolean(), windowSize: count }),
});

const byProvider = named(section({ ...listing, profile }));
const sandbox = section({ tools: toolLists });

/** What an agent may set for itself; every value only narrows the global one. */
export const agentTools = section({
  ...listing,
  profile,
  byProvider,
  toolsBySender,
  exec,
  elevated,
  fs,
  sandbox,
  loopDetection,
});

export const tools = section({
  ...listing,
  profile,
  byProvider,
  toolsBySender,
  exec,
  elevated,
  fs,
  web,
  loopDetection,
  sandbox,
  subagents: section({ tools: toolLists }),
  bash: section({ enabled: s.boolean() }),
  message: section({
    crossContext: section({ allowWithinProvider: s.boolean(), allowAcrossProviders: s.boolean() }),
  }),
  agentToAgent: section({ enabled: s.boolean(), allow: strings }),
  sessions: section({ visibility: s.oneOf(["self", "tree", "agent", "all"]) }),
  sessions_spawn: section({
    attachments: section({
      enabled: s.boolean({ default: false }),
      maxTotalBytes: count,
      maxFiles: count,
      maxFileBytes: count,
      retainOnSessionKeep: s.boolean(),
    }),
  }),
  media: unread("Image, audio and video understanding."),
  links: unread("Link understanding."),
});

const approvalRouting = section({
  enabled: s.boolean(),
  mode: s.oneOf(["session", "targets", "both"]),
  agentFilter: strings,
  sessionFilter: strings,
  targets: s.array(section({ channel: s.string(), to: identity, accountId: s.string(), threadId: identity })),
});

export const approvals = section({ exec: approvalRouting, plugin: approvalRouting });

export const browser = section({
  enabled: s.boolean(),
  evaluateEnabled: s.boolean(),
  headless: s.boolean(),
  noSandbox: s.boolean(),
  attachOnly: s.boolean(),
  executablePath: s.string(),
  cdpUrl: s.string(),
  color: s.string(),
  defaultProfile: s.string(),
  remoteCdpTimeoutMs: milliseconds,
  allowLegacyAuth: s.boolean(),
  extraArgs: strings,
  extensionRelay: section({ enabled: s.boolean(), allowLegacyAuth: s.boolean() }),
  ssrfPolicy: section({
    dangerouslyAllowPrivateNetwork: s.boolean({ default: false }),
    allowedHostnames: strings,
    blockedHostnames: strings,
    hostnameAllowlist: strings,
  }),
  profiles: named(unread("One browser profile.")),
});
