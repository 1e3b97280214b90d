import { contextFiles, holdsFence } from "../agent/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import {
  type CommandRules,
  type ElevatedCaller,
  type ExecRule,
  entryRule,
  execRule,
  execWords,
  forTurn,
  judgeElevated,
  judgeTool,
  narrowed,
  type PolicyContext,
  type PolicySettings,
  policySettings,
  type SandboxFacts,
  stricter,
  type ToolStep,
  type TurnFacts,
  withExecRule,
} from "../policy/mod.ts";
import { type ApprovalsDocument, hostWords, type RuleIndex, ruleIndex } from "./approvals-file.ts";
import { findProgram } from "./program-folders.ts";
import type { SandboxPlace } from "./sandboxes.ts";
import { ssrfSettings } from "./ssrf-settings.ts";
import type { ToolPorts } from "./tool-ports.ts";
import type { ToolRuntime } from "./tool-runtime.ts";

export interface ToolExplanation {
  readonly allowed: boolean;
  /** Every layer that says anything, in their order. The first that refuses decides. */
  readonly steps: readonly ToolStep[];
  /** What becomes of commands, for the tools that run them. */
  readonly commands?: {
    readonly mode: string;
    readonly asksAlways: boolean;
    /** The stricter of this and the config's counts. */
    readonly host: { readonly security: string; readonly ask: string } | "unreadable";
    readonly isSandboxed: boolean;
    /** For a sandboxed session: whether a command may be asked about as one on the host. */
    readonly elevated: readonly ToolStep[];
  };
}

type Shell = typeof import("../shell/mod.ts");

/** What policy is told of a call: every layer of the config, the host's standing rules, the session's sandbox. */
export function createPolicyContexts(ports: ToolPorts, runtime: ToolRuntime) {
  const { sandboxes, programFolders, systemProgram } = runtime;
  const settingsOf = new Map<string, PolicySettings>();
  let rules: { readonly stamp: string; readonly index: RuleIndex | undefined } | undefined;

  function policy(agentId: string, model?: TurnFacts["model"]): PolicySettings {
    const key = model ? `${agentId}\n${model.provider}/${model.model}` : agentId;
    let settings = settingsOf.get(key);
    if (!settings) {
      settings = policySettings(ports.config(), agentId, runtime.workspaceOf(agentId), model);
      settingsOf.set(key, settings);
    }
    return settings;
  }

  /** Every layer that narrows this message's turn, in the documented order. */
  async function turnSettings(row: InboxRow): Promise<PolicySettings> {
    const { agentId, sessionKey } = row;
    const limits = await ports.toolLimitsOf(row);
    const ownerWrote = row.source.trust === "owner" && !holdsFence(row.text);
    const base = narrowed(policy(agentId, ports.modelOf(agentId, sessionKey)), limits);
    return inSession(base, agentId, { sessionKey, ownerWrote });
  }

  function inSession(
    base: PolicySettings,
    agentId: string,
    { sessionKey, ownerWrote }: { readonly sessionKey?: string } & Pick<TurnFacts, "ownerWrote">,
  ): PolicySettings {
    const place = sessionKey === undefined ? undefined : sandboxes.placeOf(agentId, sessionKey);
    const inside = place ? [{ name: "sandbox", at: sandboxToolsAt, ...sandboxes.toolLimit(agentId) }] : [];
    const facts = {
      ownerWrote,
      isSubagent: sessionKey !== undefined && isSubagent(sessionKey),
      instructionFiles: contextFiles,
    };
    return forTurn(narrowed(base, inside), ports.config(), facts);
  }

  /** The config and the host's document, of which the stricter counts. Of one that cannot be read nothing is known. */
  function stricterOfBoth(
    settings: PolicySettings,
    agentId: string,
    document: ApprovalsDocument | undefined,
  ): PolicySettings {
    const host: ExecRule = document
      ? execRule(hostWords(document, agentId), settings.exec)
      : { mode: "ask", asksAlways: true };
    return withExecRule(settings, stricter(settings.exec, host));
  }

  /** What policy may know of a session's sandbox; whether it may be entered is said by the standing rules. */
  async function sandboxFacts(agentId: string, place: SandboxPlace): Promise<SandboxFacts> {
    const proof = await sandboxes.prove(place);
    if (!proof.ok) return { usable: false, why: proof.why };
    const { sandbox, entry, description } = proof;
    const { commands, workdir } = entryRule(entry);
    const granted = used((await standingRules())?.command(agentId, commands[0], workdir));
    return { usable: true, id: sandbox.id, entry, description, granted };
  }

  /** The host document of standing rules, read again when its file has changed. Unreadable: undefined, no rule holds. */
  async function standingRules(): Promise<RuleIndex | undefined> {
    const stamp = ports.approvals.stamp();
    if (rules?.stamp === stamp) return rules.index;
    const index = await ports.approvals.read().then(
      (read) => ruleIndex(read.document),
      (error: Error) => {
        ports.log(
          "error",
          "standing rules cannot be read: none holds, each command asks until that is mended",
          {
            error: error.message,
          },
        );
        return undefined;
      },
    );
    rules = { stamp, index };
    return index;
  }

  function commandRules(
    standing: RuleIndex | undefined,
    host: Pick<CommandRules, "environmentProblem" | "identify">,
    shell: Shell | undefined,
  ): CommandRules {
    return {
      ...host,
      read: (text) =>
        shell?.readCommandLine(text) ?? { understood: false, why: "a form that no reader was loaded for" },
      isAllowed: (agentId, argv, workdir) => used(standing?.command(agentId, argv, workdir)),
      allowsProgram: (agentId, program) => used(standing?.program(agentId, program)),
      resolve: (name) => findProgram(name, programFolders()),
      isSystem: (name, program) => systemProgram(name) === program,
    };
  }

  function used(ruleId: string | undefined): boolean {
    if (ruleId !== undefined) ports.ruleUsed(ruleId);
    return ruleId !== undefined;
  }

  async function contextOf(
    settings: PolicySettings,
    agentId: string,
    name: string,
    sessionKey: string | undefined,
  ): Promise<PolicyContext> {
    const { tools, sandbox } = await runtime.load();
    const place = sessionKey === undefined ? undefined : sandboxes.placeOf(agentId, sessionKey);
    const standing = await standingRules();
    return {
      settings: stricterOfBoth(settings, agentId, standing?.document),
      ...(place && (name === "exec" || name === "process")
        ? { sandbox: await sandboxFacts(agentId, place) }
        : {}),
      tool: tools.get(name),
      commands: commandRules(
        standing,
        { environmentProblem: sandbox.environmentProblem, identify: sandbox.identifyFile },
        // Only exec has commands to read, and most gateways start without one.
        name === "exec" ? await loadShell() : undefined,
      ),
      ssrf: ssrfSettings(ports.config(), name),
    };
  }

  async function explain(row: InboxRow, tool: string): Promise<ToolExplanation> {
    const { agentId, sessionKey } = row;
    const document = (await standingRules())?.document;
    const settings = stricterOfBoth(await turnSettings(row), agentId, document);
    const steps: ToolStep[] = [];
    const allowed = judgeTool(tool, settings.layers, (step) => steps.push(step)) === undefined;
    if (tool !== "exec" && tool !== "process") return { allowed, steps };
    const { mode, asksAlways = false } = settings.exec;
    const elevated: ToolStep[] = [];
    const isSandboxed = sandboxes.placeOf(agentId, sessionKey) !== undefined;
    if (isSandboxed && settings.elevated)
      judgeElevated(settings.elevated, callerOf(row), (step) => elevated.push(step));
    const host = document ? execWords(execRule(hostWords(document, agentId), settings.exec)) : "unreadable";
    return { allowed, steps, commands: { mode, asksAlways, host, isSandboxed, elevated } };
  }

  return {
    policy,
    turnSettings,
    explain,
    policyFor: (
      agentId: string,
      name: string,
      facts: { readonly sessionKey?: string } & Pick<TurnFacts, "ownerWrote">,
    ) => contextOf(inSession(policy(agentId), agentId, facts), agentId, name, facts.sessionKey),
    async policyForTurn(row: InboxRow, name: string): Promise<PolicyContext> {
      const context = await contextOf(await turnSettings(row), row.agentId, name, row.sessionKey);
      return { ...context, caller: callerOf(row) };
    },
    reset: () => settingsOf.clear(),
  };
}

const sandboxToolsAt = ["tools", "sandbox", "tools"];

function isSubagent(sessionKey: string): boolean {
  return /^agent:[^:]+:subagent:/.test(sessionKey);
}

function callerOf({ agentId, channel, source, aliases }: InboxRow): ElevatedCaller {
  const own = `${channel}:`;
  const authors = source.author.split(",").map((id) => (id.startsWith(own) ? id.slice(own.length) : id));
  // Of several authors nobody would know whose they are.
  const proved = authors.length === 1 && aliases ? aliases.proved : [];
  return { agentId, channel, senders: authors.map((id) => [id, ...proved]) };
}

function loadShell(): Promise<Shell> {
  return import("../shell/mod.ts");
}
