import { type Schema, type Static, schema as s } from "../../kernel/mod.ts";
import { ackReactionScope } from "./messages.ts";
import {
  count,
  httpUrl,
  identities,
  identity,
  milliseconds,
  named,
  port,
  secret,
  section,
  strings,
  unread,
} from "./section.ts";
import { toolLists, toolsBySender } from "./tools.ts";

export const dmPolicy = s.oneOf(["pairing", "allowlist", "open", "disabled"]);
export const groupPolicy = s.oneOf(["allowlist", "open", "disabled"]);
const contextVisibility = s.oneOf(["all", "allowlist", "allowlist_quote"]);
const reactionNotifications = s.oneOf(["off", "own", "all", "allowlist"]);
const auto = s.union([s.boolean(), s.oneOf(["auto"])]);
const implicitMentions = section({
  replyToBot: s.boolean(),
  quotedBot: s.boolean(),
  threadParticipation: s.boolean(),
});
const healthMonitor = section({ enabled: s.boolean({ default: true }) });
const heartbeatVisibility = section({
  showOk: s.boolean(),
  showAlerts: s.boolean(),
  useIndicator: s.boolean(),
});

/** A room, or a topic in it. The key that it stands under doubles as an allowlist entry. */
const room = {
  enabled: s.boolean(),
  requireMention: s.boolean(),
  ignoreOtherMentions: s.boolean(),
  groupPolicy,
  allowFrom: identities,
  tools: toolLists,
  toolsBySender,
  skills: strings,
  systemPrompt: s.string(),
  agentId: s.string(),
} as const;
const group = section({ ...room, topics: named(section(room)) });

const streaming = section({
  mode: s.oneOf(["off", "partial", "block", "progress"]),
  chunkMode: s.oneOf(["length", "newline"]),
  block: section({
    enabled: s.boolean(),
    coalesce: s.union([s.boolean(), section({ minChars: count, maxChars: count, idleMs: milliseconds })]),
  }),
  preview: unread("How the growing reply is shown."),
  progress: unread("How progress is shown."),
  nativeTransport: s.boolean(),
});

const execApprovals = section({
  enabled: auto,
  approvers: identities,
  target: s.oneOf(["dm", "channel", "both"]),
  agentFilter: strings,
  sessionFilter: strings,
});

/** So many messages in so many seconds (60), `burst` of them at once. */
const rate = s.union([
  s.object({
    messages: s.integer({ minimum: 1 }),
    seconds: s.optional(s.number({ minimum: 1 })),
    burst: s.optional(s.integer({ minimum: 1 })),
  }),
  s.oneOf([false]),
]);
const messageLimits = section({
  perSender: rate,
  perChat: rate,
  perSenderPerDay: s.integer({ minimum: 1 }),
});

/** Keys that every channel, and every account of it, understands. */
const common = {
  enabled: s.boolean(),
  name: s.string(),
  dmPolicy,
  dm: section({
    enabled: s.boolean(),
    policy: dmPolicy,
    allowFrom: identities,
    groupEnabled: s.boolean(),
    groupChannels: identities,
  }),
  allowFrom: identities,
  groupPolicy,
  groupAllowFrom: identities,
  groups: named(group),
  requireMention: s.boolean(),
  dangerouslyAllowNameMatching: s.boolean({ default: false }),
  mentionPatterns: section({ mode: s.oneOf(["allow", "deny"]), allowIn: identities, denyIn: identities }),
  implicitMentions,
  contextVisibility,
  historyLimit: count,
  dmHistoryLimit: count,
  dms: named(section({ historyLimit: count })),
  ackReaction: s.string(),
  ackReactionScope,
  responsePrefix: s.string(),
  allowBots: s.union([s.boolean(), s.oneOf(["mentions"])]),
  botLoopProtection: section({
    enabled: s.boolean(),
    maxEventsPerWindow: s.integer({ minimum: 1 }),
    windowSeconds: s.number({ minimum: 0 }),
    cooldownSeconds: s.number({ minimum: 0 }),
  }),
  messageLimits,
  configWrites: s.boolean(),
  joinIntro: s.boolean(),
  mediaMaxMb: s.number({ minimum: 0 }),
  healthMonitor,
  heartbeat: heartbeatVisibility,
  heartbeatVisibility,
  streaming: s.union([streaming, s.oneOf(["off", "partial", "block", "progress"]), s.boolean()]),
  blockStreaming: s.boolean(),
  chunkMode: s.oneOf(["length", "newline"]),
  textChunkLimit: s.integer({ minimum: 1 }),
  replyToMode: s.oneOf(["off", "first", "all", "batched"]),
  reactionNotifications,
  reactionLevel: s.oneOf(["off", "ack", "minimal", "extensive"]),
  actions: named(s.boolean()),
  commands: section({ native: auto, nativeSkills: auto }),
  execApprovals,
  markdown: unread("How tables and links are rendered."),
  retry: section({
    attempts: s.integer({ minimum: 1 }),
    minDelayMs: milliseconds,
    maxDelayMs: milliseconds,
    jitter: s.number({ minimum: 0, maximum: 1 }),
  }),
  proxy: s.string(),
  webhookPath: s.string({ pattern: "^/" }),
  capabilities: s.union([strings, unread("What the channel may show.")]),
} as const;

type Channel<M extends { readonly [name: string]: Schema }> = {
  readonly [K in keyof (typeof common & M)]?: Static<(typeof common & M)[K]>;
};

type WithAccounts<M extends { readonly [name: string]: Schema }> = Channel<M> & {
  readonly accounts?: { readonly [account: string]: Channel<M> };
  readonly defaultAccount?: string;
};

/** A channel: its own keys, the common ones, and accounts that override both. */
function channel<M extends { readonly [name: string]: Schema }>(own: M): Schema<WithAccounts<M>> {
  const members = { ...common, ...own };
  const whole = section({ ...members, accounts: named(section(members)), defaultAccount: s.string() });
  return whole as Schema<WithAccounts<M>>;
}

const telegram = channel({
  botToken: secret,
  tokenFile: s.string(),
  webhookUrl: s.string({ pattern: "^https://" }),
  webhookSecret: secret,
  webhookHost: s.string(),
  webhookPort: s.integer({ minimum: 0, maximum: 65535 }),
  webhookCertPath: s.string(),
  customCommands: s.array(
    s.object({ command: s.string({ pattern: "^/?[A-Za-z0-9_]{1,32}$" }), description: s.string() }),
  ),
  network: section({
    autoSelectFamily: s.boolean(),
    dnsResultOrder: s.oneOf(["ipv4first", "verbatim", "ipv6first"]),
    dangerouslyAllowPrivateNetwork: s.boolean({ default: false }),
  }),
  apiRoot: httpUrl,
  trustedLocalFileRoots: strings,
  direct: named(section({ ...room, topics: named(section(room)), dmPolicy, threadReplies: s.string() })),
  linkPreview: s.boolean(),
  timeoutSeconds: s.number({ minimum: 0 }),
  pollingStallThresholdMs: milliseconds,
  errorPolicy: s.string(),
  errorCooldownMs: milliseconds,
});

const whatsapp = channel({
  selfChatMode: s.boolean(),
  sendReadReceipts: s.boolean({ default: true }),
  messagePrefix: s.string(),
  debounceMs: milliseconds,
  authDir: s.string(),
});

const discordRoom = { ...room, users: identities, roles: identities, allow: s.boolean() } as const;
const discord = channel({
  token: secret,
  applicationId: identity,
  guilds: named(
    section({
      ...discordRoom,
      slug: s.string(),
      reactionNotifications,
      channels: named(
        section({ ...discordRoom, autoThread: s.boolean(), includeThreadStarter: s.boolean() }),
      ),
    }),
  ),
  maxLinesPerMessage: s.integer({ minimum: 1 }),
  threadBindings: section({
    enabled: s.boolean(),
    idleHours: s.number({ minimum: 0 }),
    maxAgeHours: s.number({ minimum: 0 }),
    spawnSessions: s.boolean(),
  }),
  voice: unread("Voice channels."),
  intents: section({ presence: s.boolean(), guildMembers: s.boolean(), messageContent: s.boolean() }),
  suppressEmbeds: s.boolean({ default: true }),
  apiRoot: httpUrl,
  ui: unread("Look of components."),
});

const slack = channel({
  mode: s.oneOf(["socket", "http", "relay"]),
  botToken: secret,
  appToken: secret,
  userToken: secret,
  userTokenReadOnly: s.boolean(),
  postAs: s.oneOf(["bot", "user"]),
  signingSecret: secret,
  channels: named(section({ ...room, users: identities, allowBots: s.boolean() })),
  thread: section({
    historyScope: s.oneOf(["thread", "channel"]),
    inheritParent: s.boolean(),
    initialHistoryLimit: count,
    requireExplicitMention: s.boolean(),
  }),
  slashCommand: section({
    enabled: s.boolean(),
    name: s.string(),
    sessionPrefix: s.string(),
    ephemeral: s.boolean(),
  }),
  typingReaction: s.string(),
  replyToModeByChatType: named(s.oneOf(["off", "first", "all", "batched"])),
  reactionAllowlist: identities,
  apiRoot: httpUrl,
});

const signal = channel({
  account: s.string(),
  accountUuid: s.string(),
  transport: section({
    kind: s.oneOf(["managed-native", "external-native", "container"]),
    url: s.string(),
    host: s.string(),
    port,
    socketPath: s.string(),
    cliPath: s.string(),
  }),
  cliPath: s.string(),
  configPath: s.string(),
  httpUrl,
  httpHost: s.string(),
  httpPort: port,
  socketPath: s.string(),
  autoStart: s.boolean(),
  startupTimeoutMs: milliseconds,
  receiveMode: s.oneOf(["on-start", "on-connection", "manual"]),
  ignoreAttachments: s.boolean(),
  ignoreStories: s.boolean(),
  sendReadReceipts: s.boolean(),
  reactionAllowlist: identities,
});

const imessage = channel({
  cliPath: s.string(),
  dbPath: s.string(),
  remoteHost: s.string(),
  service: s.oneOf(["auto", "imessage", "sms"]),
  sendTransport: s.oneOf(["auto", "bridge", "applescript"]),
  region: s.string(),
  includeAttachments: s.boolean({ default: false }),
  attachmentRoots: strings,
  remoteAttachmentRoots: strings,
  probeTimeoutMs: milliseconds,
});

const passwordKeys = { password: secret, passwordFile: s.string() } as const;
const irc = channel({
  host: s.string(),
  port,
  tls: s.boolean({ default: true }),
  tlsCaFile: s.string(),
  nick: s.string(),
  username: s.string(),
  realname: s.string(),
  ...passwordKeys,
  sasl: section({ username: s.string(), ...passwordKeys }),
  nickserv: section({ service: s.string(), ...passwordKeys }),
  channels: strings,
  lineIntervalMs: milliseconds,
});

const mailServer = section({
  host: s.string(),
  port,
  security: s.oneOf(["tls", "starttls", "none"]),
  tlsCaFile: s.string(),
});
const email = channel({
  address: s.string(),
  aliases: strings,
  displayName: s.string(),
  authservId: s.string(),
  mailbox: s.string(),
  imap: mailServer,
  smtp: mailServer,
  smtpKeepsSent: s.boolean({ default: false }),
  user: s.string(),
  ...passwordKeys,
  oauth2: section({
    tokenUrl: httpUrl,
    clientId: s.string(),
    clientSecret: secret,
    clientSecretFile: s.string(),
    refreshToken: secret,
    refreshTokenFile: s.string(),
    scope: s.string(),
  }),
});

const github = channel({
  appId: identity,
  privateKey: secret,
  privateKeyFile: s.string(),
  installationId: s.integer({ minimum: 1 }),
  token: secret,
  tokenFile: s.string(),
  webhookSecret: secret,
  webhookSecretFile: s.string(),
  repositories: strings,
  apiRoot: httpUrl,
});

/** A channel whose own keys are not described here: the common ones are checked, the rest pass. */
function other(): Schema<WithAccounts<Record<never, never>>> {
  const account = s.open(section(common));
  return s.open(section({ ...common, accounts: named(account), defaultAccount: s.string() }));
}

export const channels = section({
  defaults: section({
    dmPolicy,
    groupPolicy,
    contextVisibility,
    implicitMentions,
    heartbeat: heartbeatVisibility,
    heartbeatVisibility,
    healthMonitor,
    botLoopProtection: common.botLoopProtection,
    messageLimits,
  }),
  modelByChannel: named(named(s.string({ minLength: 1 }))),
  telegram,
  whatsapp,
  discord,
  slack,
  signal,
  imessage,
  irc,
  email,
  github,
  webchat: other(),
  a2a: other(),
  bluebubbles: other(),
  feishu: other(),
  googlechat: other(),
  line: other(),
  matrix: other(),
  mattermost: other(),
  msteams: other(),
  "nextcloud-talk": other(),
  nostr: other(),
  qqbot: other(),
  sms: other(),
  "synology-chat": other(),
  tlon: other(),
  twitch: other(),
  zalo: other(),
  zalouser: other(),
});
