/**
 * Paired nodes: other machines that the gateway may ask for something. In: their connections and what they declare;
 * out: who they are, what each may be asked for, and asking. Paired devices are files, for operators to read and edit.
 *
 * 1. A change to paired.json or surfaces.json is noticed within a second, whether or not the file system tells of it.
 * 2. A node may be asked for what it declares now, what a person approved, and what policy lets through: all three.
 * 3. What a node adds when it comes back waits for a person; nothing is approved by reconnecting.
 * 4. Whoever approves holds what he gives away: operator.admin for commands that run programs.
 * 5. A node that was removed, revoked or paired anew keeps nothing of what was approved before.
 * 6. Cameras, screens, messages and the like are off until the config names them; deny wins; a platform that we do not
 *    know runs no commands.
 * 7. One idempotency key, one invocation; its repeats get its result, and other input under it is refused.
 * 8. An answer counts from the connection that was asked, once; everything else is dropped and logged.
 * 9. What waits for a node is bounded in number, size and time, and ends when its connection does.
 * 10. surfaces.json that cannot be read allows nothing.
 */
export { commandText, nodeArgv } from "./command-text.ts";
export { openDeviceFiles, openSurfaceFile, watchFile } from "./device-files.ts";
export type { Invocation, InvokeOutcome } from "./invocations.ts";
export { type Invoked, type Nodes, type NotSent, openNodes } from "./nodes.ts";
export { createRepeats } from "./repeats.ts";
export { nodeSettings } from "./settings.ts";
export type { NodeView } from "./view.ts";
