/**
 * Signal, through signal-cli: its JSON-RPC over a socket or HTTP, or the signal-cli-rest-api container. Holds the
 * invariants of channels/mod.ts; those that are Signal's own:
 *
 * 1. Signal delivers once: what signal-cli hands over is on our disk before the gateway hears of it (arrivals.ts).
 * 2. A sender is the account that Signal's server vouches for. Its id is its uuid; its number is an alias, as far as the
 *    envelope itself proves it. Who took a number over is another account, and answers go to the account.
 * 3. Nobody's words reach us as a message without being one: not receipts, reactions, edits, stories or our own.
 * 4. signal-cli asks for no password: one that we start listens on a socket in a folder of ours alone.
 */
export { openSignal } from "./channel.ts";
