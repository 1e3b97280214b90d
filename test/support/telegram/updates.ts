import type { Update } from "grammy/types";

/** A message in few words; {@link updateOf} fills in what Telegram would add. */
export interface TextFrom {
  readonly text: string;
  /** User id; 42 unless told. */
  readonly from?: number;
  readonly firstName?: string;
  /** Chat id: the user's own unless told; negative makes a group. */
  readonly chat?: number;
  readonly topic?: number;
  /** Marks every `@name` and `/command` the way Telegram does. */
  readonly entities?: boolean;
  readonly more?: Readonly<Record<string, unknown>>;
}

export function updateOf(updateId: number, message: TextFrom): Update {
  const from = message.from ?? 42;
  const chat = message.chat ?? from;
  const firstName = message.firstName ?? "Ada";
  return {
    update_id: updateId,
    message: {
      message_id: updateId + 1000,
      date: Math.floor(Date.now() / 1000),
      from: { id: from, is_bot: false, first_name: firstName },
      chat:
        chat < 0
          ? { id: chat, type: "supergroup", title: "The group", ...(message.topic ? { is_forum: true } : {}) }
          : { id: chat, type: "private", first_name: firstName },
      ...(message.more?.caption === undefined ? { text: message.text } : {}),
      ...(message.topic ? { message_thread_id: message.topic, is_topic_message: true } : {}),
      ...(message.entities === false ? {} : { entities: entitiesOf(message.text) }),
      ...message.more,
    },
  } as unknown as Update;
}

function entitiesOf(text: string): { type: string; offset: number; length: number }[] {
  const found = text.matchAll(/(?<![\p{L}\p{N}@/])(?:@[A-Za-z]\w{4,}|\/[a-z_]+(?:@\w+)?)/gu);
  return [...found].map((match) => ({
    type: match[0].startsWith("@") ? "mention" : "bot_command",
    offset: match.index,
    length: match[0].length,
  }));
}
