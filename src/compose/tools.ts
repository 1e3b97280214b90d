import { join } from "node:path";
import type { ToolSpec } from "../agent/mod.ts";
import type { SandboxControl } from "../control/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { InputError, refuse } from "../kernel/mod.ts";
import {
  type Approval,
  addressVerdict,
  hostVerdict,
  type Permit,
  type PolicyContext,
  type TurnFacts,
  toolAllowed,
} from "../policy/mod.ts";
import type {
  CommandHost,
  HostCommands,
  HostPowers,
  HostWorkspace,
  Outcome,
  Tool,
  VersionStore,
} from "../sandbox/mod.ts";
import { withStanding } from "./approvals-file.ts";
import { createPolicyContexts, type ToolExplanation } from "./policy-context.ts";
import type { SandboxPlace } from "./sandboxes.ts";
import { ssrfSettings } from "./ssrf-settings.ts";
import type { ToolPorts } from "./tool-ports.ts";
import { createToolRuntime } from "./tool-runtime.ts";

/** Tools, what policy says of them, and the sandbox that runs them; loaded when the first turn needs them. */
export interface Tools {
  specs(agentId: string): Promise<readonly ToolSpec[]>;
  /**
   * For a call that no turn makes. Without a session: for what runs in none, and never on the strength of this in a
   * sandboxed one.
   */
  policyFor(
    agentId: string,
    tool: string,
    facts: { readonly sessionKey?: string } & Pick<TurnFacts, "ownerWrote">,
  ): Promise<PolicyContext>;
  /** The same for the turn of one message, narrowed by what its sender may use where it was written. */
  specsFor(row: InboxRow): Promise<readonly ToolSpec[]>;
  policyForTurn(row: InboxRow, tool: string): Promise<PolicyContext>;
  /** Why the turn of such a message may use this tool, or may not: the decision's own steps. */
  explain(row: InboxRow, tool: string): Promise<ToolExplanation>;
  execute(permit: Permit, signal: AbortSignal, progress: (text: string) => void): Promise<Outcome>;
  /** Reads the one file that the permit of a `read` call names; an InputError when it is none or cannot be read. */
  readFile(permit: Permit, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Where a session's tools work, as the sandbox opens it, for files of the gateway's own. */
  openWorkspace(agentId: string, sessionKey: string): Promise<HostWorkspace>;
  /** The folder of a workspace, opened for the caller, who closes it. */
  openFolder(root: string): Promise<HostWorkspace>;
  /** Keeps the standing rule of an allow-always. */
  remember(approval: Approval): Promise<void>;
  workspaceOf(agentId: string): string;
  /** Under whose name the labels of a session's files are kept: the agent's, or its sandbox's. */
  filesOwner(agentId: string, sessionKey: string): string;
  /** The folder that the files of such an owner lie in. */
  filesFolder(owner: string): string;
  /** Ends what a crashed gateway of this state folder left running. */
  reapOrphans(): Promise<void>;
  /** Removes what files were before these conversations or runs changed them. */
  forgetVersions(of: Parameters<VersionStore["erase"]>[0]): Promise<void>;
  /** Ends what a session runs, and removes what its commands printed. */
  endSession(sessionKey: string): Promise<void>;
  /** Removes what the ended commands of a session printed. */
  forgetCommands(sessionKey: string): Promise<void>;
  /** Commands that ended with an earlier gateway and whose sessions were not told. Loads nothing where there are none. */
  lostCommands(): Promise<ReturnType<CommandHost["lost"]>>;
  /** For operators: which sandboxes there are, and why. */
  readonly sandboxes: SandboxControl;
  reset(): void;
  close(): Promise<void>;
}

export function createTools(ports: ToolPorts): Tools {
  const runtime = createToolRuntime(ports);
  const { sandboxes, workspaceOf, load } = runtime;
  const contexts = createPolicyContexts(ports, runtime);
  // The same list each time: providers remember how a list that they have seen is written.
  const specsOf = new Map<string, readonly ToolSpec[]>();

  async function powersOf(
    { tool, agentId, sessionKey, runId }: Permit["request"],
    progress: (text: string) => void,
    place: SandboxPlace | undefined,
  ): Promise<HostPowers> {
    const { host, sandbox } = await load();
    const opened = await runtime.workspace(agentId, place);
    const web = sandbox.createWeb({
      resolve: sandbox.systemResolve,
      ssrf: ssrfSettings(ports.config(), tool),
      clock: ports.clock,
      hostVerdict,
      addressVerdict,
    });
    const door = place && { id: place.id, proven: () => sandboxes.require(place) };
    const commands = host.forSession(sessionKey, opened, door, join(ports.stateFolder, "homes", agentId));
    const parts = { workspace: opened, commands, web, clock: ports.clock, log: ports.log, progress };
    if (!ports.keeps?.()) return parts;
    const change = { sessionKey, runId, tool };
    return {
      ...parts,
      ...sandbox.keepingVersions(opened, () => runtime.openVersions(sandbox), change, ports.log),
    };
  }

  /** The same list for the same tools. */
  function sameList(specs: readonly ToolSpec[]): readonly ToolSpec[] {
    const key = `\n${specs.map((spec) => spec.name).join("\n")}`;
    const known = specsOf.get(key);
    if (known) return known;
    specsOf.set(key, specs);
    return specs;
  }

  const self: Tools = {
    sandboxes,
    workspaceOf,
    filesOwner: runtime.filesOwner,
    filesFolder: runtime.filesFolder,
    openWorkspace: runtime.openWorkspace,
    openFolder: runtime.openFolder,
    reapOrphans: runtime.reapOrphans,
    forgetVersions: runtime.forgetVersions,
    endSession: runtime.endSession,
    forgetCommands: runtime.forgetCommands,
    lostCommands: runtime.lostCommands,
    close: runtime.close,
    policyFor: contexts.policyFor,
    policyForTurn: contexts.policyForTurn,
    explain: contexts.explain,
    async specs(agentId) {
      let specs = specsOf.get(agentId);
      if (!specs) {
        const { tools } = await load();
        const settings = contexts.policy(agentId);
        specs = [...tools.values()]
          .map((tool) => tool.spec)
          .filter((spec) => toolAllowed(spec.name, settings));
        specsOf.set(agentId, specs);
      }
      return specs;
    },
    async specsFor(row) {
      const [specs, settings] = await Promise.all([self.specs(row.agentId), contexts.turnSettings(row)]);
      const kept = specs.filter((spec) => toolAllowed(spec.name, settings));
      return kept.length === specs.length ? specs : sameList(kept);
    },
    async execute(permit, signal, progress) {
      const { tools, sandbox } = await load();
      const { tool: name, agentId, sessionKey } = permit.request;
      const tool = tools.get(name);
      if (!tool) throw new Error(refuse("policy.tool_unknown", name).detail);
      const place = leavesSandbox(permit) ? undefined : sandboxes.placeOf(agentId, sessionKey);
      const powers = await powersOf(permit.request, progress, place);
      const { commands } = powers;
      const elsewhere = ports.commandsElsewhere?.(agentId, sessionKey);
      const all: HostCommands = {
        start: (wanted) => commands.start(wanted),
        list: () => [...commands.list(), ...(elsewhere?.list() ?? [])],
        get: (id) => commands.get(id) ?? elsewhere?.get(id),
      };
      return sandbox.execute(permit, tool, () => ({ ...powers, commands: all }), signal);
    },
    async readFile(permit, maxBytes, signal) {
      const { tools, sandbox } = await load();
      const { tool: name, agentId, sessionKey } = permit.request;
      const tool = tools.get(name);
      if (!tool) throw new Error(refuse("policy.tool_unknown", name).detail);
      let content: Buffer | undefined;
      // What runs is not the tool, which gives text, but a read of the same effect: narrowed to it, and once.
      const reading: Tool = {
        ...tool,
        async run(_args, { workspace: files }) {
          const [effect] = permit.effects;
          if (effect?.kind !== "file.read" || permit.effects.length > 1)
            throw new InputError("this is no permit to read one file");
          const { bytes, truncated, size } = await files.read(effect.path, maxBytes);
          if (truncated)
            throw new InputError(`it is larger than allowed (${size} bytes, at most ${maxBytes})`);
          content = bytes;
          return { text: "", isError: false };
        },
      };
      const place = sandboxes.placeOf(agentId, sessionKey);
      const powers = await powersOf(permit.request, () => {}, place);
      const outcome = await sandbox.execute(permit, reading, () => powers, signal);
      if (!content) throw new InputError(outcome.text);
      return content;
    },
    async remember(approval) {
      const { keeps } = approval;
      if (!keeps) throw new Error(`approval ${approval.id} was to keep a rule that nobody was shown`);
      const addedAt = new Date(ports.clock.now()).toISOString();
      await ports.approvals.change(({ document }) =>
        withStanding(document, approval.request.agentId, keeps, addedAt),
      );
    },
    reset() {
      runtime.reset();
      contexts.reset();
      specsOf.clear();
    },
  };
  return self;
}

/** A permit for the host of a session that is sandboxed: only policy makes one, through both gates. */
function leavesSandbox({ effects }: Permit): boolean {
  return effects.some(
    (effect) => effect.kind === "command" && effect.elevated === true && effect.run?.kind !== "sandbox",
  );
}
