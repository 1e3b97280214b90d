/**
 * GitHub, through signed webhooks, its REST API and (for discussions) GraphQL (https://docs.github.com), with a client of
 * our own over HTTP. Holds the invariants of channels/mod.ts; those that are GitHub's own:
 *
 * 1. An event is proved by its signature on the raw bytes; nothing is read from a header, because none is signed.
 * 2. An event is answered with 200 only after its message is stored. What did not arrive is asked for again, from
 *    GitHub's own log of what it posted.
 * 3. A post is handed in once, as it was first written, and only as the words of who wrote it now.
 * 4. What people do not see in a text is not handed in.
 * 5. What we write calls nobody, closes and refers to nothing in another repository, and has no picture fetched.
 * 6. A key signs only for GitHub's API; a token is good for one repository and ends within the hour, or is the one
 *    that was configured.
 */
export { openGithub } from "./channel.ts";
