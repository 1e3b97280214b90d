/**
 * The two ends of the durable path: what a platform hands in, and what goes back to it.
 *
 * In: InboundMessages from channels. Out: OutboundMessages to them, each in exactly one visible final state.
 * 1. An event is accepted once: the same channel, account and event id is recognised, not run again.
 * 2. An event is acknowledged to its platform only after it is on disk.
 * 3. `sending` is on disk before a request leaves. What was `sending` at a crash, and what left and got no answer, is
 *    asked about; it is sent again only where the platform surely lacks it, and is `unknown` where nobody can tell.
 * 4. Messages of one conversation leave in the order in which they were written.
 * 5. What a file is, its content says; a name that somebody chose leads nowhere and ends no line.
 * 6. Only a whole line of a reply, outside of code, names a file that is to go with it.
 * 7. Signs (an emoji for "seen", a prefix) stand only where the config wants them.
 * 8. What completes a message edits it, again and again until that is certain, and is never sent beside it, unless the
 *    platform surely refuses the edit, or the message was a mere sign of work that never came.
 * 9. A poll that its platform cannot have is refused before it is accepted, with the limit that it passes.
 */
export type * from "./channel.ts";
export { ackEmoji, withPrefix } from "./manners.ts";
export { agrees, mediaKind, mediaType } from "./media-type.ts";
export {
  createGrowingReply,
  type GrowingReply,
  plainName,
  plainType,
  replyParts,
  shownSoFar,
  sizeText,
  withFileLines,
  wordsOf,
} from "./media-words.ts";
export { createOutboxSender, type Sender as OutboxSender } from "./outbox.ts";
export { pollProblem, pollText } from "./poll.ts";
export type * from "./queue.ts";
export { addressed, digestOf, inboxRowOf, replyRows, sameConversation, type Target } from "./rows.ts";
export { type DeliverySettings, deliverySettings, type StreamingSettings } from "./settings.ts";
