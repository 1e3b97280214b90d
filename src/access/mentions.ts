import type { OpenClawConfig } from "../config/mod.ts";
import type { InboundMessage } from "../delivery/mod.ts";
import type { Problem } from "../kernel/mod.ts";
import { compilePattern, namePattern, type Pattern } from "./pattern.ts";
import type { Path } from "./senders.ts";
import type { AccessSettings, ImplicitMention, MentionSettings, Setting } from "./settings.ts";

/** What makes a text a mention of one agent. */
export interface MentionPatterns {
  readonly at: Path;
  readonly isSet: boolean;
  readonly patterns: readonly { readonly source: string; readonly pattern: Pattern; readonly at: Path }[];
}

export const noPatterns: MentionPatterns = Object.freeze({ at: [], isSet: false, patterns: [] });

/** Why a message counts as a mention, and the config that says so; undefined: it does not. */
export interface Mention {
  readonly by: "platform" | "pattern" | ImplicitMention;
  readonly at: Path;
  readonly isSet: boolean;
}

/** A platform's own mention first, then the implicit ones that are on, then what the text says. */
export function mentionOf(
  message: InboundMessage,
  agentId: string | undefined,
  settings: AccessSettings,
): Mention | undefined {
  if (message.mentionsBot) return { by: "platform", at: [], isSet: false };
  const implicit: readonly (readonly [ImplicitMention, boolean])[] = [
    ["replyToBot", message.repliesToBot],
    ["quotedBot", message.quotesBot === true],
    ["threadParticipation", message.inBotThread === true],
  ];
  for (const [by, isSo] of implicit) {
    const { value, at, isSet } = settings.implicitMentions[by];
    if (isSo && value) return { by, at, isSet };
  }
  return patternMention(message, agentId, settings.mentions);
}

function patternMention(
  message: InboundMessage,
  agentId: string | undefined,
  settings: MentionSettings,
): Mention | undefined {
  if (!patternsCountIn(message.conversation.id, settings)) return undefined;
  const { patterns } = settings.byAgent.get(agentId ?? "") ?? settings.otherwise;
  if (patterns.length === 0) return undefined;
  const text = message.ownText ?? ownText(message.text);
  const found = patterns.find((item) => item.pattern.found(text));
  return found && { by: "pattern", at: found.at, isSet: true };
}

function patternsCountIn(chatId: string, { mode, allowIn, denyIn }: MentionSettings): boolean {
  if (denyIn.has(chatId)) return false;
  return mode.value === "allow" || allowIn.has(chatId);
}

/** Without fenced code, inline code and quoted lines: a name in what somebody else said calls nobody (attack A-070). */
function ownText(text: string): string {
  return text
    .replace(/```[\s\S]*?(?:```|$)/g, " ")
    .replace(/`[^`\n]*`/g, " ")
    .replace(/^[ \t]{0,3}>.*$/gm, " ");
}

type Agent = NonNullable<NonNullable<OpenClawConfig["agents"]>["entries"]>[string];

/** Agents of both spellings (`agents.list`, `agents.entries`), with where they stand. */
export function agentsOf(
  config: OpenClawConfig,
): readonly { readonly id: string; readonly agent: Agent; readonly at: Path }[] {
  return [
    ...(config.agents?.list ?? []).map((agent, index) => ({
      id: agent.id,
      agent,
      at: ["agents", "list", index],
    })),
    ...Object.entries(config.agents?.entries ?? {}).map(([id, agent]) => ({
      id,
      agent,
      at: ["agents", "entries", id],
    })),
  ];
}

/** An agent's own patterns, else those of all agents, else its name and emoji. `[]` means none at all. */
export function mentionPatterns(config: OpenClawConfig): Pick<MentionSettings, "byAgent" | "otherwise"> {
  const ofDefaults = config.agents?.defaults?.groupChat?.mentionPatterns;
  const shared = ofDefaults ?? config.messages?.groupChat?.mentionPatterns;
  const place = ofDefaults ? ["agents", "defaults"] : ["messages"];
  const otherwise = shared ? compiled(shared, [...place, "groupChat", "mentionPatterns"]) : noPatterns;
  const byAgent = agentsOf(config).map(({ id, agent, at }) => {
    const own = agent.groupChat?.mentionPatterns;
    if (own) return [id, compiled(own, [...at, "groupChat", "mentionPatterns"])] as const;
    return [id, shared ? otherwise : derived(agent, at)] as const;
  });
  return { byAgent: new Map(byAgent), otherwise };
}

/** A pattern that is refused matches nothing; {@link patternProblems} says so before anything starts. */
function compiled(sources: readonly string[], at: Path): MentionPatterns {
  const patterns = sources.flatMap((source, index) => {
    const read = compilePattern(source);
    return "pattern" in read ? [{ source, pattern: read.pattern, at: [...at, index] }] : [];
  });
  return { at, isSet: true, patterns };
}

function derived(agent: Agent, at: Path): MentionPatterns {
  const identity: Readonly<Record<string, unknown>> = agent.identity ?? {};
  const patterns = ["name", "emoji"].flatMap((key) => {
    const source = identity[key];
    if (typeof source !== "string" || source.trim() === "") return [];
    return [{ source, pattern: namePattern(source.trim()), at: [...at, "identity", key] }];
  });
  return { at: [...at, "identity"], isSet: patterns.length > 0, patterns };
}

/** Patterns that are not understood or could not be matched in bounded time. */
export function patternProblems(config: OpenClawConfig): Problem[] {
  const lists: (readonly [readonly string[] | undefined, Path])[] = [
    [config.messages?.groupChat?.mentionPatterns, ["messages"]],
    [config.agents?.defaults?.groupChat?.mentionPatterns, ["agents", "defaults"]],
    ...agentsOf(config).map(({ agent, at }) => [agent.groupChat?.mentionPatterns, at] as const),
  ];
  return lists.flatMap(([sources, at]) =>
    (sources ?? []).flatMap((source, index): Problem[] => {
      const read = compilePattern(source);
      if ("pattern" in read) return [];
      const path = [...at, "groupChat", "mentionPatterns", index];
      return [{ path, kind: "value", message: `not ${read.problem}` }];
    }),
  );
}

/** The mention gate's own setting for a conversation. */
export function requireMentionIn(
  rooms: readonly { readonly requireMention: Setting<boolean> | undefined }[],
  settings: AccessSettings,
): Setting<boolean> {
  return rooms.find((room) => room.requireMention)?.requireMention ?? settings.requireMention;
}
