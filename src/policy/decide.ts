import type { ToolRequest } from "../agent/mod.ts";
import { admit, InputError, refuse, schema, type Verdict } from "../kernel/mod.ts";
import { hostVerdict } from "./address.ts";
import { judgeCommand, judgeInput, judgeOnNode } from "./command-effects.ts";
import type { Judged, PolicyContext } from "./context.ts";
import type { Effect } from "./effect.ts";
import type { Question } from "./question.ts";
import { instructs } from "./settings.ts";
import { judgeTool, ruleText } from "./tool-policy.ts";

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

/**
 * May this call happen? Tool policy first (deny always wins), then the arguments' shape, then each effect.
 * Pure; the zero is refuse: an effect that no rule knows is refused.
 */
export function decide(request: ToolRequest, context: PolicyContext): Decision {
  const { tool, settings } = context;
  const name = request.tool;
  if (!tool) return refuse("policy.tool_unknown", name);
  const refused = judgeTool(name, settings.layers);
  if (refused) return refuse("policy.tool_denied", `${name}: ${ruleText(refused)}`);
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
  let asked: Question["approval"] | undefined;
  let canReview = false;
  const judgedEffects: Effect[] = [];
  for (const effect of effects) {
    const judged = judge(effect, request, context);
    if ("ok" in judged) return judged;
    judgedEffects.push(...judged.effects);
    if (!judged.ask) continue;
    // One question names one command: a call that would need two is not asked for, it is refused.
    if (asked) return refuse("policy.tool_denied", "the call asks for more than one approval");
    asked = judged.ask;
    canReview = judged.canReview === true;
  }
  return asked
    ? { ok: "ask", question: { approval: asked, request, effects: judgedEffects, canReview } }
    : admit(Permit.of(request, judgedEffects));
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

function judge(effect: Effect, request: ToolRequest, context: PolicyContext): Judged {
  const allowed = { effects: [effect] };
  switch (effect.kind) {
    // Where a path leads is not a string's to say: the sandbox opens it inside the workspace, or refuses.
    case "file.read":
      return allowed;
    case "file.write":
    case "file.delete":
      return instructs(effect.path, context.settings)
        ? refuse("policy.instructions_kept", effect.path)
        : allowed;
    case "process":
      return effect.input === undefined ? allowed : judgeInput(effect, effect.input, request, context);
    case "fetch": {
      const verdict = hostVerdict(effect.url, context.ssrf);
      return verdict.ok ? allowed : refuse("policy.url_refused", verdict.detail);
    }
    case "command":
      return judgeCommand(effect, request, context);
    case "node.command":
      return judgeOnNode(effect, request, context);
    default:
      return refuse("policy.tool_denied", `unknown effect ${JSON.stringify((effect as Effect).kind)}`);
  }
}
