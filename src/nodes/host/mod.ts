/**
 * A headless node: this machine as a gateway's hands. It decides by its own rules what it runs; the gateway decides
 * before it asks. In: what the gateway asks; out: answers, and nothing that nobody asked for.
 *
 * 1. The node's key and tokens are in files of its own, mode 600; a token goes to the gateway only that gave it.
 * 2. A command runs as it was prepared: argv, folder, environment, agent and session, program and script; once.
 * 3. The node's rules hold whatever the gateway says; the stricter side wins; rules that cannot be read allow nothing.
 * 4. What people are shown is what runs: a text that does not fit its argv is refused.
 * 5. A rule covers one program by its real path, never one that runs what it is told.
 * 6. A lost connection ends what it asked for, and is tried again with growing pauses.
 */
export { nodeCommands } from "./commands.ts";
export { openIdentity } from "./identity.ts";
export {
  type LinkSocket,
  type LinkSocketEvents,
  type LinkState,
  type NodeLink,
  startLink,
} from "./link.ts";
export { createNodeRules } from "./rules.ts";
export { createRunner } from "./runner.ts";
export { findProgram, trustedFolders } from "./snapshot.ts";
