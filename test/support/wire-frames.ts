import { ProtocolSchemas } from "@openclaw/gateway-protocol/schema";
import Compile from "typebox/compile";
import type { Payload } from "./gateway-client.ts";

type SchemaName = keyof typeof ProtocolSchemas;

/** Results whose schema is not called like their method. */
const resultSchemas: Readonly<Record<string, SchemaName>> = {
  connect: "HelloOk",
  "config.schema": "ConfigSchemaResponse",
  "cron.get": "CronJob",
  "device.scopes.requestUpgrade": "ScopeUpgradeRegistration",
  "device.scopes.waitUpgrade": "ScopeUpgradeResult",
  "exec.approvals.get": "ExecApprovalsSnapshot",
  "exec.approvals.set": "ExecApprovalsSnapshot",
  "sessions.delete": "SessionsDeleteResult",
};

/** The schema of what is inside an event, where the package has one. */
const eventSchemas: Readonly<Record<string, SchemaName>> = {
  agent: "AgentEvent",
  "session.tool": "AgentEvent",
  chat: "ChatEvent",
  tick: "TickEvent",
  shutdown: "ShutdownEvent",
  "device.pair.requested": "DevicePairRequestedEvent",
  "device.pair.resolved": "DevicePairResolvedEvent",
  "device.pair.setup.completed": "DevicePairSetupCompletedEvent",
  "node.invoke.request": "NodeInvokeRequestEvent",
  "node.invoke.input": "NodeInvokeInputEvent",
  "question.requested": "QuestionRecord",
  "question.resolved": "QuestionResolvedEvent",
};

/**
 * Where our frames say more than the schemas of 2026.9.1, and why. Each of these keys is taken out before the rest is
 * held against its schema, which is closed; nothing else may differ.
 */
export const deviations: readonly {
  readonly schema: SchemaName;
  readonly path: string;
  readonly reason: string;
}[] = [
  {
    schema: "HelloOk",
    path: "auth.method",
    reason: "the existing system sends it (recorded), and a client learns from it which credential counted",
  },
  {
    schema: "AgentEvent",
    path: "sessionKey",
    reason: "the existing system sends it (recorded): without it a client cannot tell whose run it sees",
  },
  { schema: "AgentEvent", path: "agentId", reason: "as sessionKey" },
  {
    schema: "ExecApprovalsSnapshot",
    path: "file.agents",
    reason: "our rules bind words, folder and time (docs/decisions); what a rule of theirs has is among it",
  },
];

/** Methods of our own that a later method of the existing system is called like, with another result. */
const ownResults: ReadonlySet<string> = new Set(["audit.list"]);

/** Events that are for one socket alone: they are not counted. */
const unnumbered = /^(?:connect\.challenge|node\.invoke\.|voicewake\.)/;

const validators = new Map<SchemaName, ReturnType<typeof Compile>>();

function problemsOf(name: SchemaName, value: unknown): string[] {
  let validator = validators.get(name);
  if (!validator) {
    validator = Compile(ProtocolSchemas[name]);
    validators.set(name, validator);
  }
  const known = deviations.filter((item) => item.schema === name);
  const held = known.length === 0 ? value : known.reduce((rest, item) => without(rest, item.path), value);
  if (validator.Check(held)) return [];
  return validator.Errors(held).map((problem) => `${name}${problem.instancePath} ${problem.message}`);
}

function without(value: unknown, path: string): unknown {
  const [first = "", ...rest] = path.split(".");
  if (typeof value !== "object" || value === null || !(first in value)) return value;
  const { [first]: inner, ...others } = value as Record<string, unknown>;
  return rest.length === 0 ? others : { ...others, [first]: without(inner, rest.join(".")) };
}

/** Holds every frame that one connection is sent against the published schemas. Give it each frame, in order. */
export function createFrameCheck(): {
  asked(id: string, method: string): void;
  /** What is wrong with it; empty for a frame as it should be. */
  problems(frame: Payload): string[];
} {
  const methods = new Map<unknown, string>();
  let seq = 0;

  function ofEvent(frame: Payload): string[] {
    const { event, payload } = frame;
    const problems = problemsOf("EventFrame", frame);
    if (frame.seq !== undefined) {
      if (frame.seq !== seq + 1) problems.push(`seq ${frame.seq} follows ${seq}`);
      seq = frame.seq;
    } else if (!unnumbered.test(event) && event !== "node.pair.resolved") problems.push("no seq");
    const name = eventSchemas[event];
    if (name) problems.push(...problemsOf(name, payload));
    if (event === "presence")
      for (const entry of payload.presence) problems.push(...problemsOf("PresenceEntry", entry));
    if (event === "sessions.changed" && payload.session)
      problems.push(...problemsOf("SessionRow", payload.session));
    if (["presence", "health"].includes(event) && !frame.stateVersion) problems.push("no stateVersion");
    return problems;
  }

  function ofResponse(frame: Payload): string[] {
    // A request without a proper id is answered with what it had instead.
    const problems = problemsOf("ResponseFrame", { ...frame, id: String(frame.id) });
    const method = methods.get(frame.id);
    if (frame.ok === (frame.error !== undefined)) problems.push("ok and error disagree");
    if (frame.error?.details?.code === "MISSING_SCOPE")
      problems.push(...problemsOf("MissingScopeErrorDetails", frame.error.details));
    if (!frame.ok || method === undefined || frame.payload?.status === "accepted") return problems;
    const name = resultSchemas[method] ?? (`${pascal(method)}Result` as SchemaName);
    if (name in ProtocolSchemas && !ownResults.has(method)) problems.push(...problemsOf(name, frame.payload));
    if (method === "sessions.list")
      for (const row of frame.payload.sessions) problems.push(...problemsOf("SessionRow", row));
    if (method === "system-presence")
      for (const entry of frame.payload) problems.push(...problemsOf("PresenceEntry", entry));
    return problems;
  }

  return {
    asked: (id, method) => void methods.set(id, method),
    problems(frame) {
      if (frame.type === "event") return ofEvent(frame);
      return frame.type === "res" ? ofResponse(frame) : [`type ${frame.type}`];
    },
  };
}

function pascal(method: string): string {
  return method
    .split(/[.-]/)
    .map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`)
    .join("");
}
