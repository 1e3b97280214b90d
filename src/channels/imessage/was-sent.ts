import type { Conversation, OutboundMessage, WasSent } from "../../delivery/channel.ts";
import { isObject } from "../settings-reader.ts";
import { textOf } from "./outbound.ts";

const historyPage = 200;
/** Messages writes down what it sends within a moment; a sending that imsg began may outlive it. */
const looksAfterMs = [0, 1_000, 2_000];

export interface HistoryPorts {
  call(method: string, params: object): Promise<unknown>;
  /** The numbers of the chats that are this conversation: a person may have one for each service. */
  chatsOf(conversation: Conversation): Promise<readonly number[]>;
  wait(ms: number): Promise<void>;
}

interface Row {
  readonly id: number;
  readonly guid: string;
  readonly isOurs: boolean;
  readonly text: string;
}

/**
 * Did Messages send this before a crash? Its database tells, by the text, behind the message that it answers. `isKnown`
 * says that a message there is another of ours. Never "absent": what Messages was asked for while it hung it may send
 * later. Rejects when imsg does not answer now.
 */
export async function wasSent(
  message: OutboundMessage,
  isKnown: (platformId: string) => boolean,
  ports: HistoryPorts,
): Promise<WasSent> {
  const { afterMessageId } = message;
  // A file has no text to be known by.
  if (afterMessageId === undefined || message.file) return "unknown";
  const text = textOf(message);
  for (const ms of looksAfterMs) {
    await ports.wait(ms);
    for (const chat of await ports.chatsOf(message.conversation)) {
      const rows = rowsOf(await ports.call("messages.history", { chat_id: chat, limit: historyPage }));
      const answered = rows.find(({ guid }) => guid === afterMessageId);
      // An imsg that names nothing that it sends leaves us none that we know: then this may be an earlier one.
      if (!answered || !rows.some(({ guid, isOurs }) => isOurs && isKnown(guid))) continue;
      const found = rows.filter(
        (row) => row.isOurs && row.id > answered.id && row.text === text && !isKnown(row.guid),
      );
      if (found.length > 1) return "unknown";
      if (found[0]) return { platformId: found[0].guid, isExact: true };
    }
  }
  return "unknown";
}

function rowsOf(answer: unknown): readonly Row[] {
  const messages = isObject(answer) && Array.isArray(answer.messages) ? answer.messages.filter(isObject) : [];
  return messages.flatMap(({ id, guid, is_from_me: isOurs, text }) =>
    typeof id === "number" && typeof guid === "string"
      ? [{ id, guid, isOurs: isOurs === true, text: typeof text === "string" ? text : "" }]
      : [],
  );
}
