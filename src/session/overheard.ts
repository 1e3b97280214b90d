import type { Conversation, InboundMessage, InboxRow } from "../delivery/mod.ts";

/**
 * What was said in groups without addressing the agent, for the next turn there. In memory alone: words that nobody
 * sent to the agent are on no disk, and gone after a restart.
 */
export interface Overheard {
  note(message: InboundMessage, target: { readonly agentId: string; readonly sessionKey: string }): void;
  /** What was said there since the last turn, oldest first, for this turn: asked again, it gets the same. "": nothing. */
  take(row: InboxRow): string;
  /** The turn has ended. */
  ended(runId: string): void;
  forgetSession(sessionKey: string): void;
  /** All that these said; "telegram:42". */
  forgetAuthors(authors: readonly string[]): void;
}

interface Group {
  readonly sessionKey: string;
  readonly said: Said[];
}

interface Said {
  readonly author: string;
  readonly line: string;
}

/** Of one message, and of what one turn is shown; UTF-16 units. */
const maxMessageChars = 2000;
const maxTurnChars = 20_000;
/** Of groups that are remembered; the one that was silent longest is forgotten. */
const maxGroups = 200;

/** `limitOf`: how many messages of a group are kept; 0: none. */
export function createOverheard(
  limitOf: (channel: string, account: string, agentId: string) => number,
): Overheard {
  const groups = new Map<string, Group>();
  const taken = new Map<string, string>();

  return {
    note(message, { agentId, sessionKey }) {
      const { channel, account, conversation, sender } = message;
      if (conversation.kind === "direct") return;
      const key = keyOf(agentId, channel, account, conversation);
      const said = [
        ...(groups.get(key)?.said ?? []),
        { author: `${channel}:${sender.id}`, line: lineOf(message) },
      ];
      // Last in the map: the one that spoke last.
      groups.delete(key);
      const kept = newest(said, limitOf(channel, account, agentId));
      if (kept.length > 0) groups.set(key, { sessionKey, said: kept });
      const [silent] = groups.keys();
      if (groups.size > maxGroups && silent !== undefined) groups.delete(silent);
    },
    take({ runId, agentId, channel, account, reply }) {
      const before = taken.get(runId);
      if (before !== undefined) return before;
      if (!reply) return "";
      const key = keyOf(agentId, channel, account, reply.conversation);
      const said = newest(groups.get(key)?.said ?? [], limitOf(channel, account, agentId));
      groups.delete(key);
      const text = said.map(({ line }) => line).join("\n");
      if (text !== "") taken.set(runId, text);
      return text;
    },
    ended: (runId) => void taken.delete(runId),
    forgetSession(sessionKey) {
      for (const [key, group] of groups) if (group.sessionKey === sessionKey) groups.delete(key);
    },
    forgetAuthors(authors) {
      for (const [key, { sessionKey, said }] of groups)
        groups.set(key, { sessionKey, said: said.filter(({ author }) => !authors.includes(author)) });
    },
  };
}

function newest(said: readonly Said[], limit: number): Said[] {
  const kept: Said[] = [];
  let chars = 0;
  for (const item of limit === 0 ? [] : said.slice(-limit).reverse()) {
    chars += item.line.length + 1;
    if (chars > maxTurnChars) break;
    kept.unshift(item);
  }
  return kept;
}

/** One line for each line of the message, so that none can be taken for another person's. */
function lineOf({ channel, sender, text, attachments = [] }: InboundMessage): string {
  const name = (sender.claimedName ?? "").replace(breaks, " ").replaceAll('"', "'").trim().slice(0, 60);
  // The proved id comes first: a name may look like another one.
  const who = `${channel}:${sender.id}${name === "" ? "" : ` "${name}"`}`;
  const files = attachments.length === 0 ? "" : ` [${attachments.length} file(s), not fetched]`;
  const words = text.length > maxMessageChars ? `${text.slice(0, maxMessageChars)}…` : text;
  return `${who}: ${words.replace(breaks, "\n    ")}${files}`;
}

const breaks = /\r\n|[\p{Cc}\p{Zl}\p{Zp}]/gu;

function keyOf(
  agentId: string,
  channel: string,
  account: string,
  { kind, id, threadId }: Conversation,
): string {
  return JSON.stringify([agentId, channel, account, kind, id, threadId ?? null]);
}
