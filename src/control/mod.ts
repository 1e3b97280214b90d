/**
 * The operator API: the wire of protocol v4, its table of methods, and the events that clients follow.
 *
 * 1. Nothing is served before `connect`; what is malformed gets the documented error.
 * 2. Scope is checked before the method's existence, and that before its parameters.
 * 3. Each method has one row: name, role, scope, parameters, limits, handler. There is no other way in.
 * 4. An event goes only to connections whose scopes cover it; numbers have no gaps.
 * 5. A slow reader loses its own socket and delays nobody else.
 * 6. Who may not read is told that the gateway answers: no path, session, agent, channel or name, and not who is here.
 * 7. A request is as long and as frequent as its row allows; an idempotency key stands for one run and one answer.
 * 8. A file that a reply names is a block behind its text, the same in events and history; its line is never shown.
 * 9. A question ends once: by the first answer that fits it, by its time, with its asker's rights or with the gateway;
 *    the answer to a secret reaches who asked, and no other client, log or record.
 */
export {
  type Administration,
  type AdministrativeAction,
  changesBetween,
  createAdministration,
  recordedToo,
  showsOnly,
} from "./administration.ts";
export { connectError, pairingRequired, rateLimited } from "./connect-errors.ts";
export * from "./frames.ts";
export * from "./hub.ts";
export { connectDeadline, keepAlive } from "./liveness.ts";
export * from "./method.ts";
export type {
  AccessAnswer,
  AccessChange,
  AccessPort,
  AccessQuery,
  AccessStep,
  ToolReach,
} from "./methods/access.ts";
export { wireMessage } from "./methods/chat.ts";
export { type DeviceControlParts, deviceMethods, pendingInfo } from "./methods/devices.ts";
export { restartExpectedMs } from "./methods/lifecycle.ts";
export { nodeApprovalMethods } from "./methods/node-approvals.ts";
export { nodeSideMethods } from "./methods/node-side.ts";
export { type NodeCommandPort, nodeMethods } from "./methods/nodes.ts";
export { approvalInfo } from "./methods/operations.ts";
export {
  type ErasureReceipt,
  type ExportPage,
  type PrivacyControl,
  privacyMethods,
} from "./methods/privacy.ts";
export { questionMethods } from "./methods/questions.ts";
export {
  type SandboxControl,
  type SandboxExplanation,
  type SandboxProofFacts,
  type SandboxSummary,
  sandboxMethods,
} from "./methods/sandboxes.ts";
export { type TokenOrder, tokenMethods, wantedToken } from "./methods/tokens.ts";
export { type VoicewakePort, voicewakeMethods, wakeWords } from "./methods/voicewake.ts";
export { createPace } from "./pace.ts";
export type * from "./parts.ts";
export { presenceOf } from "./presence.ts";
export * from "./protocol.ts";
export { createQuestions, type Questions } from "./questions.ts";
export { type MethodReach, methodReach, placedMethods } from "./reach.ts";
export { createRepeats } from "./repeats.ts";
export { type AskedFile, askedFile, attachmentBlocks } from "./reply-files.ts";
export * from "./run-events.ts";
export { sessionInfo } from "./session-info.ts";
export { type SessionNames, sessionNames } from "./session-names.ts";
export { methodTable } from "./table.ts";
