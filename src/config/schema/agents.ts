import { schema as s } from "../../kernel/mod.ts";
import { groupChat } from "./messages.ts";
import { modelChoice } from "./models.ts";
import {
  count,
  duration,
  identity,
  milliseconds,
  named,
  port,
  seconds,
  secret,
  section,
  strings,
  unread,
} from "./section.ts";
import { dmScope, groupScope } from "./session.ts";
import { agentTools } from "./tools.ts";

const limits = named(s.union([s.string(), s.number(), section({ soft: count, hard: count })]));

/** Ours: what a sandbox may reach, through a proxy that puts each request on record. docs/egress.md */
const egress = s.array(
  section(
    {
      host: s.string({ minLength: 1, maxLength: 260 }),
      port,
      methods: strings,
      paths: strings,
      allowPrivate: s.boolean(),
      inject: section(
        { header: s.string({ minLength: 1 }), value: secret },
        { required: ["header", "value"] },
      ),
    },
    { required: ["host"] },
  ),
);

const sandbox = section({
  mode: s.oneOf(["off", "non-main", "all"]),
  scope: s.oneOf(["agent", "session", "shared"]),
  workspaceAccess: s.oneOf(["none", "ro", "rw"]),
  backend: s.oneOf(["bubblewrap", "docker", "podman", "ssh", "openshell", "crabbox"]),
  workspaceRoot: s.string(),
  sessionToolsVisibility: s.oneOf(["spawned", "all"]),
  egress,
  docker: section({
    image: s.string(),
    containerPrefix: s.string(),
    workdir: s.string(),
    readOnlyRoot: s.boolean(),
    tmpfs: strings,
    network: s.string(),
    user: s.string(),
    capDrop: strings,
    env: named(s.string()),
    setupCommand: s.union([s.string(), strings]),
    pidsLimit: s.integer({ minimum: 1 }),
    memory: s.union([s.string(), s.number()]),
    memorySwap: s.union([s.string(), s.number()]),
    cpus: s.number({ minimum: 0 }),
    ulimits: limits,
    seccompProfile: s.string(),
    apparmorProfile: s.string(),
    dns: strings,
    extraHosts: strings,
    gpus: s.string(),
    binds: strings,
    dangerouslyAllowContainerNamespaceJoin: s.boolean(),
    dangerouslyAllowExternalBindSources: s.boolean(),
    dangerouslyAllowReservedContainerTargets: s.boolean(),
  }),
  browser: section({
    enabled: s.boolean({ default: false }),
    image: s.string(),
    containerPrefix: s.string(),
    network: s.string(),
    cdpPort: port,
    cdpSourceRange: s.string(),
    vncPort: port,
    noVncPort: port,
    headless: s.boolean(),
    enableNoVnc: s.boolean(),
    allowHostControl: s.boolean({ default: false }),
    autoStart: s.boolean(),
    autoStartTimeoutMs: milliseconds,
    binds: strings,
  }),
  ssh: section({
    target: s.string(),
    command: s.string(),
    workspaceRoot: s.string(),
    strictHostKeyChecking: s.boolean(),
    updateHostKeys: s.boolean(),
    identityFile: s.string(),
    certificateFile: s.string(),
    knownHostsFile: s.string(),
    identityData: secret,
    certificateData: secret,
    knownHostsData: secret,
  }),
  prune: section({ idleHours: s.number({ minimum: 0 }), maxAgeDays: s.number({ minimum: 0 }) }),
});

const heartbeat = section({
  every: duration,
  activeHours: section({ start: s.string(), end: s.string(), timezone: s.string() }),
  model: s.string(),
  session: s.string(),
  target: s.string(),
  directPolicy: s.oneOf(["allow", "block"]),
  to: identity,
  accountId: s.string(),
  prompt: s.string(),
  ackMaxChars: count,
  timeoutSeconds: seconds,
  lightContext: s.boolean({ default: false }),
  isolatedSession: s.boolean({ default: false }),
  includeReasoning: s.boolean(),
});

const subagents = section({
  allowAgents: strings,
  requireAgentId: s.boolean({ default: false }),
  model: modelChoice,
  thinking: s.string(),
  maxConcurrent: s.integer({ minimum: 1 }),
  maxChildrenPerAgent: s.integer({ minimum: 1 }),
  maxSpawnDepth: s.integer({ minimum: 1, maximum: 5 }),
  runTimeoutSeconds: seconds,
  announceTimeoutMs: milliseconds,
  archiveAfterMinutes: s.number({ minimum: 0 }),
});

const compaction = section({
  enabled: s.boolean({ default: true }),
  mode: s.oneOf(["default", "safeguard"]),
  keepRecentTokens: count,
  reserveTokens: count,
  reserveTokensFloor: count,
  maxHistoryShare: s.number({ minimum: 0, maximum: 1 }),
  model: s.string(),
  provider: s.string(),
  timeoutSeconds: seconds,
  customInstructions: s.string(),
  maxActiveTranscriptBytes: s.union([s.string(), count]),
  midTurnPrecheck: section({ enabled: s.boolean({ default: false }) }),
  notifyUser: s.boolean(),
  memoryFlush: s.open(section({ enabled: s.boolean(), softThresholdTokens: count, prompt: s.string() })),
  qualityGuard: s.open(section({ enabled: s.boolean(), maxRetries: count })),
});

const contextPruning = section({
  mode: s.oneOf(["off", "cache-ttl"]),
  ttl: duration,
  keepLastAssistants: count,
  softTrimRatio: s.number({ minimum: 0, maximum: 1 }),
  hardClearRatio: s.number({ minimum: 0, maximum: 1 }),
  minPrunableToolChars: count,
  softTrim: section({ maxChars: count, headChars: count, tailChars: count }),
  tools: section({ allow: strings, deny: strings }),
  hardClear: section({ enabled: s.boolean(), placeholder: s.string() }),
});

const thinking = s.oneOf(["off", "minimal", "low", "medium", "high", "xhigh", "max", "adaptive"]);
const onOff = s.oneOf(["on", "off"]);

/** What both the defaults and one agent may set. */
const shared = {
  workspace: s.string({ minLength: 1 }),
  cwd: s.string(),
  model: modelChoice,
  utilityModel: s.string(),
  imageModel: modelChoice,
  thinkingDefault: thinking,
  reasoningDefault: s.oneOf(["on", "off", "stream"]),
  verboseDefault: s.oneOf(["on", "off", "full"]),
  fastModeDefault: s.boolean(),
  contextTokens: s.integer({ minimum: 1 }),
  bootstrapMaxChars: count,
  bootstrapTotalMaxChars: count,
  timeoutSeconds: seconds,
  mediaMaxMb: s.number({ minimum: 0 }),
  sandbox,
  heartbeat,
  subagents,
  skills: strings,
  params: unread("Passed to the model as they are."),
  compaction,
  contextPruning,
  silentReply: named(s.oneOf(["allow", "deny", "disallow"])),
  humanDelay: section({
    mode: s.oneOf(["off", "natural", "custom"]),
    minMs: milliseconds,
    maxMs: milliseconds,
  }),
  typingMode: s.oneOf(["never", "instant", "thinking", "message"]),
  memorySearch: unread("Memory index of the agent."),
  groupChat,
} as const;

const defaults = section({
  ...shared,
  models: named(
    section({
      alias: s.string(),
      params: unread("Passed to the model as they are."),
      streaming: s.boolean(),
    }),
  ),
  modelPolicy: section({ allow: strings }),
  maxConcurrent: s.integer({ minimum: 1 }),
  elevatedDefault: s.oneOf(["off", "on", "ask", "full"]),
  imageGenerationModel: modelChoice,
  videoGenerationModel: modelChoice,
  pdfModel: modelChoice,
  skipBootstrap: s.boolean(),
  repoRoot: s.string(),
  userTimezone: s.string(),
  timeFormat: s.oneOf(["auto", "12", "24"]),
  envelopeTimezone: s.string(),
  envelopeTimestamp: onOff,
  envelopeElapsed: onOff,
  typingIntervalSeconds: seconds,
  blockStreamingDefault: onOff,
  blockStreamingBreak: s.oneOf(["text_end", "message_end"]),
  blockStreamingChunk: unread("Size of streamed blocks."),
  blockStreamingCoalesce: unread("How streamed blocks are joined."),
  imageMaxDimensionPx: s.integer({ minimum: 1 }),
  cliBackends: named(unread("An external agent command.")),
});

const agent = {
  ...shared,
  name: s.string(),
  /** Retired, read for older files: the agent that answers when no binding matches. */
  default: s.boolean(),
  agentDir: s.string(),
  identity: section({
    name: s.string(),
    theme: s.string(),
    emoji: s.string(),
    avatar: s.string(),
    vibe: s.string(),
    creature: s.string(),
  }),
  tools: agentTools,
  runtime: s.union([s.string(), unread("What runs the agent.")]),
  tts: unread("Spoken replies."),
} as const;

/** Agent ids become folder names and parts of session keys. */
const agentId = s.string({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$" });

export const agents = section({
  defaults,
  list: s.array(section({ id: agentId, ...agent }, { required: ["id"] })),
  entries: s.record(section(agent), { keys: agentId }),
});

export const bindings = s.array(
  section(
    {
      agentId: s.string({ minLength: 1 }),
      type: s.oneOf(["route", "acp"]),
      comment: s.string(),
      match: section({
        channel: s.string(),
        accountId: s.string(),
        peer: section({ kind: s.oneOf(["direct", "dm", "group", "channel"]), id: identity }),
        guildId: identity,
        roles: s.array(identity),
        teamId: identity,
      }),
      session: section({ dmScope, groupScope }),
      acp: unread("Settings of an external agent session."),
    },
    { required: ["agentId"] },
  ),
);
