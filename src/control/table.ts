import { createHealth } from "./health.ts";
import type { Method } from "./method.ts";
import { agentMethods } from "./methods/agents.ts";
import { approvalRequestMethods } from "./methods/approval-requests.ts";
import { approvalsDocumentMethods } from "./methods/approvals-document.ts";
import { channelMethods } from "./methods/channels.ts";
import { chatMethods } from "./methods/chat.ts";
import { configDocumentMethods } from "./methods/config-document.ts";
import { cronMethods } from "./methods/cron.ts";
import { observationMethods } from "./methods/observation.ts";
import { operationMethods } from "./methods/operations.ts";
import { sessionMethods } from "./methods/sessions.ts";
import { systemMethods } from "./methods/system.ts";
import { taskMethods } from "./methods/tasks.ts";
import { transcriptMethods } from "./methods/transcript.ts";
import { wakeMethods } from "./methods/wake.ts";
import type { ControlParts } from "./parts.ts";
import type { SessionNames } from "./session-names.ts";
import { createSnapshots, type Snapshots } from "./snapshot.ts";

/** Every method there is, by name: the one table behind dispatch, hello-ok and the tests. */
export function methodTable(
  parts: ControlParts,
  names: SessionNames,
): { readonly methods: ReadonlyMap<string, Method>; readonly snapshots: Snapshots } {
  const health = createHealth(parts);
  const snapshots = createSnapshots(parts, health);
  const rows = [
    ...systemMethods(parts, health, snapshots),
    ...chatMethods(parts, names),
    ...sessionMethods(parts, names),
    ...operationMethods(parts),
    ...agentMethods(parts, names),
    ...approvalRequestMethods(parts),
    ...approvalsDocumentMethods(parts),
    ...channelMethods(parts),
    ...configDocumentMethods(parts),
    ...cronMethods(),
    ...observationMethods(parts),
    ...taskMethods(parts),
    ...transcriptMethods(parts, names),
    ...wakeMethods(parts, names),
  ];
  const methods = new Map(rows.map((row) => [row.name, row]));
  if (methods.size !== rows.length) throw new Error("two rows of the method table have one name");
  return { methods, snapshots };
}
