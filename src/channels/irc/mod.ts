/**
 * IRC (RFC 2812, with the capabilities of IRCv3 where the server has them), by a small client of our own. Holds the
 * invariants of channels/mod.ts; those that are IRC's own:
 *
 * 1. A sender is proved by an account that the server vouches for with the message, or right after it for the same
 *    connection; a nick alone is a claim.
 * 2. A direct answer goes to a nick only after the server said that the account holds it now.
 * 3. With SASL configured, nothing is done before it succeeded.
 * 4. No text, name or id of anybody's becomes a command: what leaves is one line of at most 512 bytes.
 * 5. Notices and our own words are never answered.
 * 6. Where the server keeps a history, what was not stored is asked for again; elsewhere it is kept in the state folder.
 */
export { openIrc } from "./channel.ts";
