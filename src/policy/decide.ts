import type { ToolRequest } from "../agent/mod.ts";
import { admit, InputError, type Refusal, refuse, schema, type Verdict } from "../kernel/mod.ts";
import type { Tool } from "../sandbox/tool.ts";
import { hostVerdict, type SsrfSettings } from "./address.ts";
import type { ApprovalRequest } from "./approval.ts";
import { type CommandRules, classifyCommand } from "./command-rules.ts";
import type { Effect } from "./effect.ts";
import { nameMatches, type PolicySettings } from "./settings.ts";

/** Proof that exactly these effects may happen, once, for this request. Only {@link decide} makes one. */
class Permit {
  readonly request: ToolRequest;
  readonly effects: readonly Effect[];
  readonly #spent = { value: false };

  private constructor(request: ToolRequest, effects: readonly Effect[]) {
    this.request = request;
    this.effects = effects;
  }

  static of(request: ToolRequest, effects: readonly Effect[]): Permit {
    return new Permit(request, effects);
  }

  /** True the first time: a permit is good for one execution. */
  spend(): boolean {
    if (this.#spent.value) return false;
    this.#spent.value = true;
    return true;
  }
}

export type { Permit };

export type Decision =
  | Verdict<Permit>
  /** Neither yes nor no: an operator must say. Handing the answer to {@link settle} gives the verdict. */
  | { readonly ok: "ask"; readonly question: Question };

export interface Question {
  readonly approval: Omit<ApprovalRequest, "host">;
  readonly request: ToolRequest;
  readonly effects: readonly Effect[];
}

export interface PolicyContext {
  readonly settings: PolicySettings;
  readonly tool: Pick<Tool, "spec" | "plan"> | undefined;
  readonly commands: CommandRules;
  readonly ssrf: SsrfSettings;
}

/**
 * May this call happen? Tool policy first (deny always wins), then the arguments' shape, then each effect.
 * Pure; the zero is refuse: an effect that no rule knows is refused.
 */
export function decide(request: ToolRequest, context: PolicyContext): Decision {
  const { tool, settings } = context;
  const name = request.tool;
  if (!tool) return refuse("policy.tool_unknown", name);
  if (!toolAllowed(name, settings)) return refuse("policy.tool_denied", name);
  const problems = schema.check(tool.spec.parameters, request.arguments);
  if (problems.length > 0)
    return refuse("policy.arguments_invalid", problems.map(schema.problemText).join("; "));
  let effects: readonly Effect[];
  try {
    effects = tool.plan(request.arguments);
  } catch (error) {
    if (error instanceof InputError) return refuse("policy.arguments_invalid", error.message);
    throw error;
  }
  let question: Question | undefined;
  for (const effect of effects) {
    const judged = judge(effect, request, context);
    if (judged === "allow") continue;
    if ("ok" in judged) return judged;
    // One question names one command: a call that would need two is not asked for, it is refused.
    if (question) return refuse("policy.tool_denied", "the call asks for more than one approval");
    question = { approval: judged, request, effects };
  }
  return question ? { ok: "ask", question } : admit(Permit.of(request, effects));
}

/** The verdict once an operator has answered. Only a literal allow permits. */
export function settle(question: Question, decision: string | undefined): Verdict<Permit> {
  if (decision === "allow-once" || decision === "allow-always") {
    return admit(Permit.of(question.request, question.effects));
  }
  return decision === "deny"
    ? refuse("policy.approval_denied", question.approval.command)
    : refuse("policy.approval_expired", question.approval.command);
}

export function toolAllowed(name: string, settings: PolicySettings): boolean {
  if (nameMatches(name, settings.deny)) return false;
  return settings.allow === undefined || nameMatches(name, settings.allow);
}

function judge(effect: Effect, request: ToolRequest, context: PolicyContext) {
  switch (effect.kind) {
    // Where a path leads is not a string's to say: the sandbox opens it inside the workspace, or refuses.
    case "file.read":
    case "file.write":
    case "file.delete":
      return "allow" as const;
    case "process":
      return effect.input === undefined
        ? ("allow" as const)
        : judgeInput(effect, effect.input, request, context);
    case "fetch": {
      const verdict = hostVerdict(effect.url, context.ssrf);
      return verdict.ok ? ("allow" as const) : refuse("policy.url_refused", verdict.detail);
    }
    case "command":
      return judgeCommand(effect, request, context);
    default:
      return refuse("policy.tool_denied", `unknown effect ${JSON.stringify((effect as Effect).kind)}`);
  }
}

/**
 * Typing into a running program is as good as starting one: an approved interpreter would run whatever it is told
 * next (attack A-122), so input is judged like a command that is on no list.
 */
function judgeInput(
  effect: Extract<Effect, { kind: "process" }>,
  input: string,
  request: ToolRequest,
  context: PolicyContext,
): "allow" | Refusal | Question["approval"] {
  const { mode } = context.settings.exec;
  const command = `${effect.action} into running command ${effect.processId}: ${input}`;
  if (mode === "full") return "allow";
  if (mode === "deny") return refuse("policy.exec_denied", command);
  const why = "It types into a program that is running; what that program does with it cannot be told.";
  if (mode === "allowlist") return refuse("policy.exec_not_allowlisted", why);
  return {
    command,
    cwd: context.settings.workspaceRoot,
    env: {},
    agentId: request.agentId,
    sessionKey: request.sessionKey,
    runId: request.runId,
    toolCallId: request.id,
    warningText: why,
    allowedDecisions: ["allow-once", "deny"],
    resolvedPath: null,
  };
}

function judgeCommand(
  effect: Extract<Effect, { kind: "command" }>,
  request: ToolRequest,
  context: PolicyContext,
) {
  const { mode } = context.settings.exec;
  if (mode === "deny") return refuse("policy.exec_denied", effect.command);
  const problem = context.commands.environmentProblem(effect.env);
  if (problem !== undefined) return refuse("policy.arguments_invalid", problem);
  if (mode === "full") return "allow" as const;
  const judged = classifyCommand(effect, request.agentId, context.settings.exec, context.commands);
  if (judged.listed) return "allow" as const;
  if (mode === "allowlist") return refuse("policy.exec_not_allowlisted", judged.why);
  return {
    command: effect.command,
    cwd:
      effect.workdir === "."
        ? context.settings.workspaceRoot
        : `${context.settings.workspaceRoot}/${effect.workdir}`,
    env: effect.env,
    agentId: request.agentId,
    sessionKey: request.sessionKey,
    runId: request.runId,
    toolCallId: request.id,
    warningText: judged.why,
    allowedDecisions: judged.canRemember
      ? (["allow-once", "allow-always", "deny"] as const)
      : (["allow-once", "deny"] as const),
    resolvedPath: judged.program ?? null,
  };
}
