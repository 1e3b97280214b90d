import { schema as s } from "../../kernel/mod.ts";
import { count, httpUrl, milliseconds, named, secret, section, strings, unread } from "./section.ts";

export const skills = section({
  allowBundled: strings,
  entries: named(
    section({
      enabled: s.boolean(),
      apiKey: secret,
      env: named(secret),
      config: unread("The skill's own settings."),
    }),
  ),
  load: section({
    extraDirs: strings,
    allowSymlinkTargets: strings,
    watch: s.boolean({ default: true }),
    watchDebounceMs: milliseconds,
  }),
  install: section({
    preferBrew: s.boolean(),
    nodeManager: s.oneOf(["npm", "pnpm", "yarn", "bun"]),
    allowUploadedArchives: s.boolean({ default: false }),
  }),
  workshop: section({
    autonomous: section({ mode: s.oneOf(["auto", "propose", "off"]) }),
    approvalPolicy: s.string(),
    maxPending: count,
    maxSkillBytes: count,
  }),
  limits: unread("How many skills are described to the model."),
});

export const plugins = section({
  enabled: s.boolean(),
  allow: strings,
  deny: strings,
  load: section({ paths: strings }),
  slots: named(s.string()),
  entries: named(
    section({
      enabled: s.boolean(),
      config: unread("Checked against the plugin's own schema."),
      hooks: unread("Which hook points the plugin may use."),
      apiKey: secret,
      env: named(secret),
      subagent: unread("Which models the plugin may start runs with."),
    }),
  ),
  installs: named(unread("Record of an installation.")),
});

const server = section({
  enabled: s.boolean({ default: true }),
  command: s.string({ minLength: 1 }),
  args: strings,
  env: named(s.union([secret, s.number(), s.boolean()])),
  cwd: s.string(),
  workingDirectory: s.string(),
  url: httpUrl,
  transport: s.oneOf(["stdio", "sse", "streamable-http"]),
  headers: named(secret),
  auth: s.oneOf(["oauth"]),
  oauth: section({
    scope: s.string(),
    authProfileId: s.string(),
    identity: s.oneOf(["per-requester"]),
    clientId: s.string(),
    clientSecret: secret,
    redirectUri: s.string(),
  }),
  toolFilter: section({ include: strings, exclude: strings }),
  connectionTimeoutMs: milliseconds,
  requestTimeoutMs: milliseconds,
  supportsParallelToolCalls: s.boolean(),
  sslVerify: s.boolean(),
  tlsVerify: s.boolean(),
  clientCert: s.string(),
  clientKey: s.string(),
  codex: section({ defaultToolsApprovalMode: s.oneOf(["auto", "prompt", "approve"]) }),
});

export const mcp = section({ servers: named(server), sessionIdleTtlMs: milliseconds });

export const memory = section({
  backend: s.string(),
  citations: s.union([s.boolean(), s.oneOf(["auto", "on", "off"])]),
  search: unread("Embedding model and index."),
  qmd: unread("Settings of an external index."),
});
