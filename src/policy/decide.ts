import { hash } from "node:crypto";
import { posix } from "node:path";
import type { ToolRequest } from "../agent/mod.ts";
import {
  admit,
  canonicalJson,
  InputError,
  type Json,
  type Refusal,
  refuse,
  schema,
  type Verdict,
} from "../kernel/mod.ts";
import type { Tool } from "../sandbox/tool.ts";
import { hostVerdict, type SsrfSettings } from "./address.ts";
import type { ApprovalRequest } from "./approval.ts";
import { bindRun, type CommandJudgement, type CommandRules, classifyCommand } from "./command-rules.ts";
import type { HostRun } from "./command-tree.ts";
import type { Effect } from "./effect.ts";
import { type ElevatedCaller, elevatedAsks, judgeElevated } from "./elevated.ts";
import { stricter } from "./exec-mode.ts";
import { judgeNodeCommand, type NodeCommandFacts } from "./node-command.ts";
import { entryTo, type SandboxFacts } from "./sandbox-entry.ts";
import { type PolicySettings, toolAllowed, withExecRule } from "./settings.ts";
import { ruleForCommands, ruleForEntry } from "./standing-rule.ts";
import { judgeTool, type ToolStep } from "./tool-policy.ts";

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
  /** Mode auto, and all that would happen can be told from its text: a second model may be asked first. */
  readonly canReview?: boolean;
}

export interface PolicyContext {
  readonly settings: PolicySettings;
  readonly tool: Pick<Tool, "spec" | "plan"> | undefined;
  readonly commands: CommandRules;
  readonly ssrf: SsrfSettings;
  /** For a command on a node: what the node said of it when it prepared it. */
  readonly node?: NodeCommandFacts;
  /** Who would have a command leave its sandbox. Absent: nobody may. */
  readonly caller?: ElevatedCaller;
  /** There for every call of a sandboxed session, whether or not its sandbox can be used. */
  readonly sandbox?: SandboxFacts;
}

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

/** Which rule decided. Not where it stands: a path of the config may name people, and a model reads this. */
function ruleText({ layer, because }: ToolStep): string {
  return `${because} (rule: ${layer})`;
}

/** What a judged effect comes to: itself and what it brings with it, and the question that stands before it. */
type Judged =
  | Refusal
  | {
      readonly effects: readonly Effect[];
      readonly ask?: Question["approval"];
      /** The question may go to a second model before a person. */
      readonly canReview?: boolean;
    };

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

/**
 * Whoever could change what the agent is told before each turn would speak in the owner's turns too (attack A-213).
 * Compared without case: some file systems do not know it.
 */
function instructs(
  path: string,
  { instructionFiles = [], workspaceRoot }: Pick<PolicySettings, "instructionFiles" | "workspaceRoot">,
): boolean {
  const given = posix.resolve(workspaceRoot, path).toLowerCase();
  return instructionFiles.some((name) => posix.join(workspaceRoot, name).toLowerCase() === given);
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
): Judged {
  const { mode, asksAlways } = context.settings.exec;
  // Whoever may run anything in a sandbox may type anything there.
  if (context.sandbox) {
    const entry = entryTo(context.sandbox, context.settings.exec, undefined);
    if ("ok" in entry) return entry;
    if (!entry.ask) return { effects: [effect] };
  }
  const command = `${effect.action} into running command ${effect.processId}: ${input}`;
  if (mode === "full" && !asksAlways) return { effects: [effect] };
  if (mode === "deny") return refuse("policy.exec_denied", command);
  const why = "It types into a program that is running; what that program does with it cannot be told.";
  if (mode === "allowlist") return refuse("policy.exec_not_allowlisted", why);
  return {
    effects: [effect],
    ask: questionOf(request, {
      command,
      cwd: context.settings.workspaceRoot,
      env: {},
      warningText: why,
      allowedDecisions: ["allow-once", "deny"],
      resolvedPath: null,
      bound: { processId: effect.processId ?? "", input },
    }),
  };
}

function judgeCommand(
  effect: Extract<Effect, { kind: "command" }>,
  request: ToolRequest,
  given: PolicyContext,
): Judged {
  const context = { ...given, settings: hardened(given.settings, effect.ask) };
  const { settings, commands, sandbox } = context;
  if (settings.exec.mode === "deny") return refuse("policy.exec_denied", effect.command);
  const problem = commands.environmentProblem(effect.env);
  if (problem !== undefined) return refuse("policy.arguments_invalid", problem);
  if (sandbox && effect.elevated) return judgeElevatedCommand(effect, request, context);
  if (sandbox) return judgeInSandbox(effect, request, settings.exec, sandbox);
  // Never on the host what was meant for a sandbox.
  if (effect.host === "sandbox" || settings.exec.host === "sandbox")
    return refuse("policy.sandbox_unavailable", "this session has none (agents.defaults.sandbox.mode)");
  return judgeOnHost(effect, request, context);
}

/** A call may ask to be asked about; what it says never lets anything through. */
function hardened(settings: PolicySettings, ask: "on-miss" | "always" | undefined): PolicySettings {
  return ask === undefined
    ? settings
    : withExecRule(settings, stricter(settings.exec, { mode: "ask", asksAlways: ask === "always" }));
}

/** Out of its sandbox only through both gates; and then as any command of the host, asked about each time. */
function judgeElevatedCommand(
  effect: Extract<Effect, { kind: "command" }>,
  request: ToolRequest,
  context: PolicyContext,
): Judged {
  const { settings, caller } = context;
  if (!settings.elevated || !caller) return refuse("policy.elevated_denied", "nobody may ask for it here");
  const closed = judgeElevated(settings.elevated, caller);
  if (closed) return refuse("policy.elevated_denied", ruleText(closed));
  // What nobody waits for would be out of sight of the session that started it.
  if (effect.background)
    return refuse("policy.arguments_invalid", "an elevated command does not run in the background");
  if (effect.host === "sandbox")
    return refuse("policy.arguments_invalid", "elevated leaves the sandbox that host asks for");
  const exec = elevatedAsks(settings.elevated) ? { ...settings.exec, asksAlways: true } : settings.exec;
  return judgeOnHost(effect, request, { ...context, settings: { ...settings, exec } });
}

function judgeOnHost(
  effect: Extract<Effect, { kind: "command" }>,
  request: ToolRequest,
  { settings, commands }: PolicyContext,
): Judged {
  const { mode, asksAlways = false } = settings.exec;
  const { workspaceRoot } = settings;
  const judged = classifyCommand(effect, {
    agentId: request.agentId,
    settings: settings.exec,
    rules: commands,
    workspaceRoot,
    mayOpen: (access) => toolAllowed(access, settings),
  });
  if (judged.refused !== undefined) return refuse("policy.arguments_invalid", judged.refused);
  const kept = judged.files.find((file) => file.kind === "file.write" && instructs(file.path, settings));
  if (kept) return refuse("policy.instructions_kept", effect.command);
  const permitted = (run: HostRun) => [{ ...effect, run }, ...judged.files];
  if (!asksAlways && (mode === "full" || judged.listed)) return { effects: permitted(judged.run) };
  if (mode === "allowlist" && !judged.listed) return refuse("policy.exec_not_allowlisted", judged.why);
  const run = bindRun(judged, effect.workdir, { rules: commands, workspaceRoot });
  // A rule that would not be followed is not offered.
  const remember = asksAlways ? undefined : judged.remember;
  const standing = remember && ruleForCommands(request.agentId, [remember.words], remember.workdir);
  const asked = questionOf(request, {
    command: effect.command,
    cwd: posix.resolve(workspaceRoot, effect.workdir),
    env: effect.env,
    warningText: whyText(effect, judged, asksAlways),
    allowedDecisions: standing ? ["allow-once", "allow-always", "deny"] : ["allow-once", "deny"],
    resolvedPath: judged.program ?? null,
    bound: { run: JSON.stringify(run), background: effect.background, elevated: effect.elevated === true },
  });
  const canReview =
    mode === "auto" && !asksAlways && judged.canReview && Object.keys(effect.env).length === 0;
  return {
    effects: permitted(run),
    ask: { ...asked, ...(standing ? { standing } : {}) },
    canReview,
  };
}

function whyText(
  { elevated }: Extract<Effect, { kind: "command" }>,
  { listed, why }: Pick<CommandJudgement, "listed" | "why">,
  asksAlways: boolean,
): string {
  if (elevated) return `It leaves the sandbox and runs on the host. ${listed ? "" : why}`.trim();
  return asksAlways && listed ? 'Each command asks here (ask: "always").' : why;
}

/** In a sandbox the sandbox is the boundary, so what is judged is the entry, not the command. */
function judgeInSandbox(
  effect: Extract<Effect, { kind: "command" }>,
  request: ToolRequest,
  exec: PolicySettings["exec"],
  sandbox: SandboxFacts,
): Judged {
  const entry = entryTo(sandbox, exec, effect.host);
  if ("ok" in entry) return entry;
  const effects = [{ ...effect, run: { kind: "sandbox", sandboxId: entry.sandboxId } as const }];
  if (!entry.ask) return { effects };
  const asked = questionOf(request, {
    command: effect.command,
    cwd: posix.join("/workspace", effect.workdir),
    env: effect.env,
    warningText: entry.ask,
    allowedDecisions: entry.canRemember ? ["allow-once", "allow-always", "deny"] : ["allow-once", "deny"],
    resolvedPath: null,
    bound: { sandboxId: entry.sandboxId, entry: entry.name, background: effect.background },
  });
  const standing = entry.canRemember ? { standing: ruleForEntry(request.agentId, entry.name) } : {};
  return { effects, ask: { ...asked, sandboxEntry: entry.name, ...standing } };
}

/** A question, with a digest of everything that a yes to it would cover. */
function questionOf(
  { agentId, sessionKey, runId, id }: ToolRequest,
  asked: Pick<
    Question["approval"],
    "command" | "cwd" | "env" | "warningText" | "allowedDecisions" | "resolvedPath"
  > & { readonly bound: Readonly<Record<string, Json>> },
): Question["approval"] {
  const { bound, ...question } = asked;
  const { command, cwd, env } = question;
  const facts = { command, cwd, env, agentId, sessionKey, runId, toolCallId: id, ...bound };
  return {
    ...question,
    agentId,
    sessionKey,
    runId,
    toolCallId: id,
    binding: hash("sha256", canonicalJson(facts)),
  };
}

/** What the node said and what the config says are weighed in node-command.ts; here that becomes a question. */
function judgeOnNode(
  effect: Extract<Effect, { kind: "node.command" }>,
  request: ToolRequest,
  context: PolicyContext,
): Judged {
  const { nodeId, command, cwd, env } = effect;
  const problem = context.commands.environmentProblem(env);
  if (problem !== undefined) return refuse("policy.arguments_invalid", problem);
  // Without its node's word on this very command nothing is known of it.
  if (context.node?.nodeId !== nodeId)
    return refuse("policy.tool_denied", "the command was not prepared on its node");
  const judged = judgeNodeCommand(command, context.settings.exec, context.node);
  if (judged === "allow") return { effects: [effect] };
  if ("ok" in judged) return judged;
  const { program, fingerprint } = context.node;
  const asked = questionOf(request, {
    command,
    cwd,
    env,
    warningText: judged.why,
    allowedDecisions: judged.allowedDecisions,
    resolvedPath: program,
    bound: { nodeId, fingerprint },
  });
  return { effects: [effect], ask: { ...asked, nodeId } };
}
