/**
 * Discord, through its gateway (v10, a WebSocket) and REST API (https://docs.discord.com/developers), with a client of
 * our own: see DEPENDENCIES.md for why. Holds the invariants of channels/mod.ts; those that are Discord's own:
 *
 * 1. Discord is never asked to go on behind an event that is not stored; a session that is lost is made up for from
 *    the history of every channel that was written in meanwhile.
 * 2. Edits, notices, reactions, our own messages and forwarded words never speak for a sender.
 * 3. A channel that Discord does not describe is no conversation; a webhook is nobody.
 * 4. What we write calls nobody, and has no preview fetched unless that is asked for.
 * 5. What a button sends is a text of the user who pressed it, and nothing more.
 * 6. The token goes to the API's root and to Discord's own gateway hosts, and nowhere else.
 */
export { openDiscord } from "./channel.ts";
