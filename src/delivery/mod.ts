/**
 * The two ends of the durable path: what a platform hands in, and what goes back to it.
 *
 * In: InboundMessages from channels. Out: OutboundMessages to them, each in exactly one visible final state.
 * 1. An event is accepted once: the same channel, account and event id is recognised, not run again.
 * 2. An event is acknowledged to its platform only after it is on disk.
 * 3. `sending` is on disk before a request leaves; what was `sending` at a crash becomes `unknown`, never resent blindly.
 * 4. Messages of one conversation leave in the order in which they were written.
 */
export type * from "./channel.ts";
export { createOutboxSender, type Sender as OutboxSender } from "./outbox.ts";
export type * from "./queue.ts";
export { digestOf, inboxRowOf, replyRows, sameConversation, type Target } from "./rows.ts";
