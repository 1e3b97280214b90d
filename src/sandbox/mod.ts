/**
 * Runs a Permit and nothing else. In: a permit, the tool it is for, and a session's powers; out: an Outcome.
 * Processes and outgoing connections of tools begin here and nowhere else.
 *
 * 1. A path is followed by descriptors from the workspace's root, never through a link, and never outside.
 * 2. What was checked is what is used: a file or folder that changes in between is refused.
 * 3. A tool touches only what its permit's effects name, once.
 * 4. A command's environment is built, never inherited; variables that redirect programs are refused by name.
 * 5. A request goes to an address that was judged, in every hop; a name is resolved once per hop.
 * 6. Time, output, bodies and process trees are bounded; nothing outlives its session or the gateway.
 * 7. A command line runs from the tree that was judged, each program with exactly its arguments; a program, script or
 *    folder that is another than the one judged is not started.
 * 8. A sandbox exists only once its promises were tried from inside and held; what is permitted for a sandbox runs in
 *    that one and nowhere else.
 * 9. A sandbox reaches only what a rule of its egress names, through a proxy that puts each request on record first;
 *    a credential is set there and is nowhere else.
 * 10. What a tool changes in a file can be taken back, once, and only while the file is what the change left.
 */

export { runArgv } from "./argv-command.ts";
export { createBubblewrap } from "./bubblewrap.ts";
export type { CommandHostDeps, SpawnLimits } from "./command-start.ts";
export { type CommandHost, createCommands } from "./commands.ts";
export { connectEngine } from "./container-engine.ts";
export { engineProblem } from "./container-facts.ts";
export { type ContainerHost, createContainerHost } from "./container-host.ts";
export { imageNames, makeSandboxImage } from "./container-image.ts";
export { containerSettings, defaultImage } from "./container-settings.ts";
export { type EngineKind, type EnginePlaces, findSocket } from "./container-sockets.ts";
export type { EgressDoor } from "./egress-forwarder.ts";
export { defaultEgressLimits } from "./egress-limits.ts";
export { type EgressEvent, type EgressProxy, openEgressProxy } from "./egress-proxy.ts";
export type { EgressRule } from "./egress-rules.ts";
export { egressRules } from "./egress-settings.ts";
export { type BaseEnvironment, environmentProblem } from "./environment.ts";
export { execute, type HostPowers, type Outcome, type PermitLike } from "./execute.ts";
export { identifyFile } from "./file-identity.ts";
export {
  createHelperPrograms,
  type HelperDeps,
  type HelperPrograms,
  type RunningHelper,
} from "./helper-program.ts";
export type { SendSignal } from "./process-tree.ts";
export { systemResolve } from "./resolve.ts";
export type {
  ProvenSandbox,
  PruneLimits,
  SandboxHost,
  SandboxProof,
  SandboxRow,
  SandboxSpec,
} from "./sandbox-host.ts";
export type {
  CommandExit,
  CommandRequest,
  Commands,
  HostCommands,
  Powers,
  RunningCommand,
  Tool,
  ToolOutput,
  Web,
  WebResponse,
  Workspace,
} from "./tool.ts";
export { openVersions, type VersionStore } from "./undo-store.ts";
export { keepingVersions } from "./undo-workspace.ts";
export { createWeb, type WebDeps } from "./web.ts";
export type { Resolve, ResolvedAddress } from "./web-address.ts";
export { type HostWorkspace, openWorkspace, type WorkspaceDeps } from "./workspace.ts";
