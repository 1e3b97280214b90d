import {
  type ControlParts,
  type DeviceControlParts,
  deviceMethods,
  type Method,
  methodTable,
  nodeApprovalMethods,
  nodeMethods,
  nodeSideMethods,
  type PrivacyControl,
  privacyMethods,
  type Questions,
  questionMethods,
  type SandboxControl,
  type SessionNames,
  sandboxMethods,
  tokenMethods,
  type VoicewakePort,
  voicewakeMethods,
} from "../../src/control/mod.ts";

/** Every row that a gateway serves. They close over their parts and touch none of them before they are called. */
export function methodRows(): readonly Method[] {
  const nodes = {} as Parameters<typeof nodeMethods>[0];
  const approvals = {} as Parameters<typeof nodeApprovalMethods>[0];
  const others = [
    ...tokenMethods({} as Parameters<typeof tokenMethods>[0]),
    ...voicewakeMethods({} as VoicewakePort),
    ...privacyMethods({} as PrivacyControl),
    ...questionMethods({} as Questions, {} as SessionNames, () => false),
    ...deviceMethods({} as DeviceControlParts),
    ...sandboxMethods({} as SandboxControl, () => ({ agentId: "main", sessionKey: "agent:main:main" })),
    ...nodeMethods(nodes),
    ...nodeSideMethods(nodes),
    ...nodeApprovalMethods(approvals),
  ];
  return [...methodTable({} as ControlParts, {} as SessionNames, others).methods.values()];
}
