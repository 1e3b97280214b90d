/**
 * Telegram, through the Bot API (https://core.telegram.org/bots/api) with grammY: long polling by default, a webhook
 * where one is configured. Holds the invariants of channels/mod.ts; those that are Telegram's own:
 *
 * 1. An update is confirmed (the offset moves past it) only when it and all before it are stored.
 * 2. No pending update is ever dropped, whichever way of receiving is set up.
 * 3. Edits, channel posts, service messages and forwarded words never speak for the sender.
 * 4. Our text reaches Telegram with every character escaped; only http and https become links.
 * 5. What a button sends is a text of the user who pressed it, and nothing more.
 */
export { openTelegram } from "./channel.ts";
