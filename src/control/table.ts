import { createHealth } from "./health.ts";
import type { Method } from "./method.ts";
import { accessMethods } from "./methods/access.ts";
import { agentFileMethods } from "./methods/agent-files.ts";
import { agentSettingsMethods } from "./methods/agent-settings.ts";
import { agentMethods } from "./methods/agents.ts";
import { approvalRequestMethods } from "./methods/approval-requests.ts";
import { approvalsDocumentMethods } from "./methods/approvals-document.ts";
import { channelMethods } from "./methods/channels.ts";
import { chatMethods } from "./methods/chat.ts";
import { combinedMethods } from "./methods/combined.ts";
import { configDocumentMethods } from "./methods/config-document.ts";
import { cronMethods } from "./methods/cron.ts";
import { lifecycleMethods } from "./methods/lifecycle.ts";
import { notYetMethods } from "./methods/not-yet.ts";
import { observationMethods } from "./methods/observation.ts";
import { operationMethods } from "./methods/operations.ts";
import { outgoingMethods } from "./methods/outgoing.ts";
import { pollMethods } from "./methods/poll.ts";
import { sessionReportMethods } from "./methods/session-reports.ts";
import { sessionMethods } from "./methods/sessions.ts";
import { systemMethods } from "./methods/system.ts";
import { taskMethods } from "./methods/tasks.ts";
import { toolInvokeMethods } from "./methods/tool-invoke.ts";
import { transcriptMethods } from "./methods/transcript.ts";
import { wakeMethods } from "./methods/wake.ts";
import type { ControlParts } from "./parts.ts";
import type { SessionNames } from "./session-names.ts";
import { createSnapshots, type Snapshots } from "./snapshot.ts";

/** Every method there is, by name: the one table behind dispatch, hello-ok and the tests. `others`: rows with parts of their own. */
export function methodTable(
  parts: ControlParts,
  names: SessionNames,
  others: readonly Method[],
): { readonly methods: ReadonlyMap<string, Method>; readonly snapshots: Snapshots } {
  const health = createHealth(parts);
  const snapshots = createSnapshots(parts, health);
  const plain = [
    ...systemMethods(parts, health, snapshots),
    ...chatMethods(parts, names),
    ...sessionMethods(parts, names),
    ...operationMethods(parts),
    ...accessMethods(parts.access),
    ...agentMethods(parts, names),
    ...agentFileMethods(parts),
    ...agentSettingsMethods(parts),
    ...approvalRequestMethods(parts),
    ...approvalsDocumentMethods(parts),
    ...channelMethods(parts),
    ...configDocumentMethods(parts),
    ...cronMethods(),
    ...lifecycleMethods(parts),
    ...notYetMethods(parts),
    ...observationMethods(parts),
    ...outgoingMethods(parts),
    ...pollMethods(parts),
    ...sessionReportMethods(parts, names),
    ...taskMethods(parts),
    ...toolInvokeMethods(parts, names),
    ...transcriptMethods(parts, names),
    ...wakeMethods(parts, names),
  ];
  const rows = [...plain, ...combinedMethods(plain), ...others];
  const methods = new Map(rows.map((row) => [row.name, row]));
  if (methods.size !== rows.length) throw new Error("two rows of the method table have one name");
  return { methods, snapshots };
}
