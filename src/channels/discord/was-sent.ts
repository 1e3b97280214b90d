import type { OutboundMessage, WasSent } from "../../delivery/channel.ts";
import { fileName } from "./files.ts";
import { contentOf } from "./outbound.ts";
import { isGone, type Places } from "./places.ts";
import type { Rest } from "./rest.ts";
import { isSnowflake, type WireMessage } from "./wire.ts";

const pageSize = 100;
const maxPages = 5;

/**
 * Did this message reach its channel before a crash? The history after the message that it answers is read, which
 * nobody sees: it holds all of ours, with their text as it was sent. `isKnown` says that a message is one that we know
 * under another name. Rejects when Discord cannot be asked now; "unknown" where the history is too long to tell.
 */
export async function wasSent(
  message: OutboundMessage,
  isKnown: (platformId: string) => boolean,
  ports: { readonly rest: Rest; readonly places: Places; readonly botId: string | undefined },
): Promise<WasSent> {
  const { botId } = ports;
  let after = message.afterMessageId;
  if (!isSnowflake(after) || botId === undefined) return "unknown";
  const content = contentOf(message).trim();
  try {
    const channelId = await ports.places.channelOf(message.conversation);
    for (let page = 0; page < maxPages; page++) {
      const path = `/channels/${channelId}/messages?after=${after}&limit=${pageSize}`;
      const answer = await ports.rest.call({ method: "GET", path });
      const messages = (Array.isArray(answer) ? answer : []) as readonly WireMessage[];
      const ours = messages.filter((item) => item.author?.id === botId && !isKnown(item.id));
      const found = ours.find(
        (item) => item.content?.trim() === content && hasFile(item, message) && hasPoll(item, message),
      );
      if (found) return { platformId: found.id, isExact: true };
      if (messages.length < pageSize) return "absent";
      after = newest(messages);
    }
    return "unknown";
  } catch (error) {
    // Where nothing can be read, nothing could be sent; sending it again will say why.
    if (isGone(error)) return "absent";
    throw error;
  }
}

function hasFile(item: WireMessage, message: OutboundMessage): boolean {
  const count = item.attachments?.length ?? 0;
  if (!message.file) return count === 0;
  // Discord writes blanks in names as "_".
  const name = fileName(message.file.name).replaceAll(" ", "_");
  return item.attachments?.[0]?.filename?.replaceAll(" ", "_") === name;
}

function hasPoll({ poll }: WireMessage, message: OutboundMessage): boolean {
  if (!message.poll) return true;
  const answers = poll?.answers?.map((answer) => answer.poll_media?.text);
  const { question, options } = message.poll;
  return poll?.question?.text === question && JSON.stringify(answers) === JSON.stringify(options);
}

export function newest(messages: readonly WireMessage[]): string {
  return messages.reduce((most, { id }) => (BigInt(id) > BigInt(most) ? id : most), "0");
}
