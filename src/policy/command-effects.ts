import { posix } from "node:path";
import type { ToolRequest } from "../agent/mod.ts";
import { refuse } from "../kernel/mod.ts";
import { bindRun, type CommandJudgement, classifyCommand } from "./command-rules.ts";
import type { HostRun } from "./command-tree.ts";
import type { Judged, PolicyContext } from "./context.ts";
import type { Effect } from "./effect.ts";
import { elevatedAsks, judgeElevated } from "./elevated.ts";
import { stricter } from "./exec-mode.ts";
import { judgeNodeCommand } from "./node-command.ts";
import { questionOf } from "./question.ts";
import { entryTo, type SandboxFacts } from "./sandbox-entry.ts";
import { instructs, type PolicySettings, toolAllowed, withExecRule } from "./settings.ts";
import { ruleForCommands, ruleForEntry } from "./standing-rule.ts";
import { ruleText } from "./tool-policy.ts";

/**
 * Typing into a running program is as good as starting one: an approved interpreter would run whatever it is told
 * next (attack A-122), so input is judged like a command that is on no list.
 */
export function judgeInput(
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

export function judgeCommand(
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

/** What the node said and what the config says are weighed in node-command.ts; here that becomes a question. */
export function judgeOnNode(
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
