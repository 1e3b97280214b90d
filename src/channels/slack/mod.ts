/**
 * Slack, through Socket Mode or posted events, and its Web API (https://docs.slack.dev), with a client of our own: see
 * DEPENDENCIES.md for why. Holds the invariants of channels/mod.ts; those that are Slack's own:
 *
 * 1. An envelope is acknowledged only after its event is stored; one that cannot be stored is held and tried again.
 * 2. A mention that comes as two events is one message.
 * 3. Posted events are proved by their signature on the raw bytes, within five minutes, before anything is parsed; the
 *    challenge too.
 * 4. What another workspace or app sends, and what is in no conversation that Slack describes, is let go.
 * 5. What we write calls nobody, and has no preview fetched.
 * 6. The tokens go to the API's root and to Slack's own file host, and the ticket of a socket to Slack's own hosts.
 */
export { openSlack } from "./channel.ts";
