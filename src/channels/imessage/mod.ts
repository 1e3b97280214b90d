/**
 * iMessage, through `imsg rpc` on a Mac that is signed in: started here, or by a program that reaches the Mac over ssh.
 * Holds the invariants of channels/mod.ts; those that are iMessage's own:
 *
 * 1. Messages keeps everything: after a break, imsg is asked for what came after the last message on our disk.
 * 2. Apple vouches for who writes an iMessage. An SMS or RCS sender is a claim.
 * 3. What is not surely somebody else's is ours, and is not answered.
 * 4. A file is read only from under the configured folders, after all links.
 */
export { openIMessage } from "./channel.ts";
