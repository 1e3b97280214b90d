import type { OutboundMessage, WasSent } from "../../delivery/channel.ts";
import { metadataOf } from "./outbound.ts";
import { type Places, threadOf } from "./places.ts";
import { ApiFault, type WebApi } from "./web-api.ts";
import { isTimestamp } from "./wire.ts";

const pageSize = 100;
const maxPages = 5;

/** Errors of a conversation that nothing can have been sent to. */
const gone: ReadonlySet<string> = new Set(["channel_not_found", "not_in_channel", "thread_not_found"]);

interface HistoryPage {
  readonly messages?: readonly {
    readonly ts?: string;
    readonly metadata?: { readonly event_payload?: { readonly id?: unknown } };
  }[];
  readonly has_more?: boolean;
  readonly response_metadata?: { readonly next_cursor?: string };
}

/**
 * Did this message reach its conversation before a crash? The history after the message that it answers is read, which
 * nobody sees; each of ours carries its own id there. Rejects when Slack cannot be asked now; "unknown" for a file,
 * which has no such mark, and where the history is too long or cannot be read.
 */
export async function wasSent(
  message: OutboundMessage,
  ports: { readonly api: WebApi; readonly places: Places },
): Promise<WasSent> {
  if (!isTimestamp(message.afterMessageId) || message.file) return "unknown";
  const wanted = metadataOf(message.id).event_payload.id;
  const thread = threadOf(message.conversation);
  try {
    const channel = await ports.places.channelOf(message.conversation);
    let cursor: string | undefined;
    for (let page = 0; page < maxPages; page++) {
      const answer: HistoryPage = await ports.api.call(
        thread === undefined ? "conversations.history" : "conversations.replies",
        {
          channel,
          ts: thread,
          oldest: message.afterMessageId,
          limit: String(pageSize),
          include_all_metadata: "true",
          cursor,
        },
      );
      const found = answer.messages?.find((item) => item.metadata?.event_payload?.id === wanted);
      if (found) return isTimestamp(found.ts) ? { platformId: found.ts, isExact: true } : "sent";
      cursor = answer.response_metadata?.next_cursor;
      if (answer.has_more !== true || !cursor) return "absent";
    }
    return "unknown";
  } catch (error) {
    if (!(error instanceof ApiFault) || error.failure.kind !== "answer") throw error;
    return gone.has(error.failure.error) ? "absent" : "unknown";
  }
}
