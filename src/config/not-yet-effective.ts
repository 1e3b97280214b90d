import { type ConfigPath, formatPath } from "./config-path.ts";

const idleExecKeys = [
  ...["backgroundMs", "notifyOnExit", "approvalRunningNoticeMs", "commandHighlighting"],
  ...["safeBinTrustedDirs", "safeBinProfiles", "grantExpiryDays", "applyPatch"],
  ...["reviewer.thinking", "reviewer.fastMode"],
];

/**
 * What is read and checked but changes nothing yet, so that nobody relies on a setting that does not act.
 * The longest prefix wins; `*` stands for one key. A feature that lands moves its line to `effective`.
 */
export const notYetEffective: readonly string[] = [
  "gateway",
  "discovery",
  "channels",
  ...["channels.telegram", "channels.telegram.accounts.*"].flatMap((at) =>
    ["chunkMode", "block", "nativeTransport"].map((key) => `${at}.streaming.${key}`),
  ),
  "accessGroups",
  "commands",
  "messages",
  "broadcast",
  "session",
  "auth",
  "tools",
  ...["cacheTtlMinutes", "provider", "readability", "useTrustedEnvProxy"].map(
    (key) => `tools.web.fetch.${key}`,
  ),
  "tools.web.search.cacheTtlMinutes",
  ...["tools", "agents.list.*.tools", "agents.entries.*.tools"].flatMap((at) =>
    idleExecKeys.map((key) => `${at}.exec.${key}`),
  ),
  ...["agents.list.*.tools", "agents.entries.*.tools"].map((at) => `${at}.exec.pathPrepend`),
  "approvals",
  "browser",
  "skills",
  "plugins",
  "mcp",
  "memory",
  "hooks",
  ...["wakeMode", "thinking"].map((key) => `hooks.mappings.*.${key}`),
  "cron",
  ...["egressProxy", "resolution", "defaults.store"].map((key) => `secrets.${key}`),
  "security",
  "proxy",
  "diagnostics",
  "canvasHost",
  "ui",
  "talk",
  "audio",
  "media",
  "web",
  "update",
  "telemetry",
  "acp",
  "nodeHost",
  "worktrees",
  "fleet",
  "agents.defaults",
  "agents.list.*",
  "agents.entries.*",
];

const perAgent = [
  "identity",
  "model",
  "workspace",
  "id",
  "name",
  "contextTokens",
  "bootstrapMaxChars",
  "timeoutSeconds",
  ...["enabled", "keepRecentTokens", "model", "timeoutSeconds", "customInstructions"].map(
    (key) => `compaction.${key}`,
  ),
];

/** What the access stage reads of every channel. */
const accessKeys = [
  "enabled",
  "dmPolicy",
  "dm",
  "allowFrom",
  "groupPolicy",
  "groupAllowFrom",
  "groups",
  "requireMention",
  "mentionPatterns",
  "implicitMentions",
  "contextVisibility",
  "historyLimit",
  "dmHistoryLimit",
  "dms",
  "allowBots",
  "botLoopProtection",
  "messageLimits",
  "dangerouslyAllowNameMatching",
  "textChunkLimit",
  "responsePrefix",
];

/** Of channels that show a reply while it grows. */
const streamingKeys = ["mode", "preview", "progress"].map((key) => `streaming.${key}`);

/** Of channels that carry files and reactions. */
const mediaKeys = ["mediaMaxMb", "ackReaction", "ackReactionScope"];

/** A channel's keys that act, for itself and for each of its accounts. */
function channelKeys(channel: string, own: readonly string[]): string[] {
  const keys = [...accessKeys, ...own];
  return [`channels.${channel}`, `channels.${channel}.accounts.*`].flatMap((at) =>
    keys.map((key) => `${at}.${key}`),
  );
}

const effective: readonly string[] = [
  ...["mode", "port", "bind", "auth", "controlUi", "reload", "trustedProxies", "tailscale"].map(
    (key) => `gateway.${key}`,
  ),
  "channels.telegram",
  ...channelKeys("discord", [
    ...mediaKeys,
    ...streamingKeys,
    ...["token", "suppressEmbeds", "intents.messageContent", "apiRoot"],
  ]),
  ...channelKeys("slack", [
    ...mediaKeys,
    ...streamingKeys,
    "mode",
    "botToken",
    "appToken",
    "signingSecret",
    "webhookPath",
    "apiRoot",
  ]),
  ...channelKeys("email", [
    ...["address", "aliases", "displayName", "authservId", "mailbox", "imap", "smtp", "smtpKeepsSent"],
    ...["user", "password", "passwordFile", "oauth2", "mediaMaxMb"],
  ]),
  ...channelKeys("irc", [
    ...["host", "port", "tls", "tlsCaFile", "nick", "username", "realname"],
    ...["password", "passwordFile", "sasl", "nickserv", "channels", "lineIntervalMs"],
  ]),
  ...channelKeys("whatsapp", ["authDir", "sendReadReceipts"]),
  ...channelKeys("imessage", [
    ...["cliPath", "dbPath", "remoteHost", "service", "region", "includeAttachments"],
    ...["attachmentRoots", "probeTimeoutMs"],
  ]),
  ...channelKeys("signal", [
    ...["account", "accountUuid", "transport", "cliPath", "configPath", "socketPath", "autoStart"],
    ...["httpUrl", "httpHost", "httpPort", "startupTimeoutMs", "receiveMode", "sendReadReceipts"],
    ...["ignoreAttachments", "ignoreStories"],
  ]),
  ...channelKeys("github", [
    ...["appId", "privateKey", "privateKeyFile", "installationId", "token", "tokenFile", "repositories"],
    ...["webhookSecret", "webhookSecretFile", "webhookPath", "apiRoot"],
  ]),
  "channels.defaults",
  ...["agents.defaults", "agents.list.*", "agents.entries.*"].flatMap((at) =>
    perAgent.map((key) => `${at}.${key}`),
  ),
  ...["tools", "agents.list.*.tools", "agents.entries.*.tools"].flatMap((at) =>
    ["allow", "alsoAllow", "deny", "profile", "byProvider", "exec", "elevated"].map((key) => `${at}.${key}`),
  ),
  ...["web", "fs", "subagents.tools"].map((key) => `tools.${key}`),
  "approvals.exec",
  ...["chatCompletions", "responses"].flatMap((name) =>
    ["enabled", "maxBodyBytes"].map((key) => `gateway.http.endpoints.${name}.${key}`),
  ),
  "gateway.http.allowSessionKeyOverride",
  "gateway.tools",
  ...["tls", "publicOrigin", "allowRealIpFallback", "http.securityHeaders", "customBindHost"].map(
    (key) => `gateway.${key}`,
  ),
  "discovery.mdns",
  "gateway.nodes.pairing.autoApproveLocal",
  "gateway.nodes.pairing.autoApproveCidrs",
  "gateway.nodes.commands",
  ...[
    "enabled",
    "token",
    "path",
    "maxBodyBytes",
    "allowedAgentIds",
    "defaultSessionKey",
    "allowRequestSessionKey",
    "allowedSessionKeyPrefixes",
    "presets",
    "mappings",
  ].map((key) => `hooks.${key}`),
  ...["dmScope", "scope", "groupScope", "identityLinks", "idleMinutes", "sendPolicy"].map(
    (key) => `session.${key}`,
  ),
  ...["reset", "resetByType", "resetByChannel", "resetTriggers", "retention"].map((key) => `session.${key}`),
  "messages.inbound.maxAgeMinutes",
  ...["ackReaction", "ackReactionScope", "removeAckAfterReply", "responsePrefix"].map(
    (key) => `messages.${key}`,
  ),
  "agents.defaults.mediaMaxMb",
  ...["mode", "cap", "drop", "byChannel"].map((key) => `messages.queue.${key}`),
  ...["ownerAllowFrom", "allowFrom", "useAccessGroups"].map((key) => `commands.${key}`),
  ...["agents.defaults", "agents.list.*", "agents.entries.*"].flatMap((at) =>
    ["mode", "scope", "workspaceAccess", "backend", "workspaceRoot", "docker", "egress"].map(
      (key) => `${at}.sandbox.${key}`,
    ),
  ),
  "agents.defaults.sandbox.prune",
  ...["tools", "agents.list.*.tools", "agents.entries.*.tools"].map((at) => `${at}.sandbox`),
  ...["type", "members", "guildId", "channelId", "membership"].map((key) => `accessGroups.*.${key}`),
  "messages.groupChat.mentionPatterns",
  "messages.groupChat.historyLimit",
  ...["agents.defaults", "agents.list.*", "agents.entries.*"].flatMap((at) => [
    `${at}.groupChat.mentionPatterns`,
    `${at}.groupChat.historyLimit`,
    `${at}.tools.toolsBySender`,
  ]),
  "tools.toolsBySender",
];

interface Branch {
  readonly children: Map<string, Branch>;
  acts: boolean | undefined;
}

/** The paths that are set in `config` and have no effect yet, each as short as it can be said; in file order. */
export function ineffectivePaths(config: unknown): string[] {
  const table: Branch = { children: new Map(), acts: undefined };
  for (const path of notYetEffective) branch(table, path).acts = false;
  for (const path of effective) branch(table, path).acts = true;
  const found: string[] = [];
  const visit = (value: unknown, at: Branch | undefined, acts: boolean, path: ConfigPath): void => {
    const now = at?.acts ?? acts;
    const isLeaf = typeof value !== "object" || value === null || !at || at.children.size === 0;
    if (isLeaf) {
      if (!now) found.push(formatPath(path));
      return;
    }
    for (const [key, member] of Object.entries(value)) {
      const next = at.children.get(key) ?? at.children.get("*");
      visit(member, next, now, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  visit(config, table, true, []);
  return found;
}

function branch(root: Branch, path: string): Branch {
  let at = root;
  for (const key of path.split(".")) {
    let next = at.children.get(key);
    if (!next) {
      next = { children: new Map(), acts: undefined };
      at.children.set(key, next);
    }
    at = next;
  }
  return at;
}
