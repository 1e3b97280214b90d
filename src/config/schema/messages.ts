import { schema as s } from "../../kernel/mod.ts";
import { count, identities, milliseconds, named, section, strings, unread } from "./section.ts";

const visibleReplies = s.oneOf(["automatic", "message_tool"]);
const queueMode = s.oneOf(["steer", "followup", "collect", "interrupt"]);

export const ackReactionScope = s.oneOf(["group-mentions", "group-all", "direct", "all", "off", "none"]);

export const groupChat = section({
  mentionPatterns: strings,
  historyLimit: count,
  visibleReplies,
  unmentionedInbound: s.oneOf(["user_request", "room_event"]),
});

export const messages = section({
  ackReaction: s.string(),
  ackReactionScope,
  removeAckAfterReply: s.boolean(),
  responsePrefix: s.string(),
  messagePrefix: s.string(),
  visibleReplies,
  groupChat,
  suppressToolErrors: s.boolean(),
  inbound: section({
    debounceMs: milliseconds,
    byChannel: named(milliseconds),
    maxAgeMinutes: s.number({
      minimum: 0,
      description: "Older messages are told of to the owner instead of answered, after an outage. 0: never.",
    }),
  }),
  queue: section({
    mode: queueMode,
    cap: s.integer({ minimum: 1 }),
    drop: s.oneOf(["summarize", "old", "new"]),
    debounceMs: milliseconds,
    byChannel: named(queueMode),
    debounceMsByChannel: named(milliseconds),
  }),
  statusReactions: unread("Reactions that show progress."),
  tts: unread("Spoken replies."),
});

const auto = s.union([s.boolean(), s.oneOf(["auto"])]);

export const commands = section({
  native: auto,
  nativeSkills: auto,
  text: s.boolean({ default: true }),
  bash: s.boolean({ default: false }),
  bashForegroundMs: milliseconds,
  config: s.boolean({ default: false }),
  mcp: s.boolean({ default: false }),
  plugins: s.boolean({ default: false }),
  debug: s.boolean({ default: false }),
  restart: s.boolean({ default: true }),
  useAccessGroups: s.boolean(),
  ownerAllowFrom: identities,
  allowFrom: named(identities),
});

export const broadcast = s.record(s.union([strings, s.oneOf(["parallel", "sequential"])]), {
  description: "Peer id -> agents that all answer; `strategy` says in which order.",
});
