import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ToolLimit } from "../access/mod.ts";
import { contextFiles, holdsFence, type ToolSpec } from "../agent/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { SandboxControl } from "../control/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random, refuse } from "../kernel/mod.ts";
import {
  type Approval,
  addressVerdict,
  type CommandRules,
  type ElevatedCaller,
  type ExecRule,
  entryRule,
  execRule,
  execWords,
  forTurn,
  hostVerdict,
  judgeElevated,
  judgeTool,
  narrowed,
  type Permit,
  type PolicyContext,
  type PolicySettings,
  policySettings,
  type SandboxFacts,
  type SsrfSettings,
  stricter,
  type ToolStep,
  type TurnFacts,
  toolAllowed,
  withExecRule,
} from "../policy/mod.ts";
import type {
  CommandHost,
  Commands,
  EnginePlaces,
  HostCommands,
  HostPowers,
  HostWorkspace,
  Outcome,
  SendSignal,
  Tool,
  VersionStore,
} from "../sandbox/mod.ts";
import { ensureFolder } from "../store/mod.ts";
import {
  type ApprovalsDocument,
  type ApprovalsFile,
  hostWords,
  type RuleIndex,
  ruleIndex,
  withStanding,
} from "./approvals-file.ts";
import type { Egress } from "./egress.ts";
import { findProgram, searchFolders, systemFolders } from "./program-folders.ts";
import { createSandboxes, type SandboxPlace } from "./sandboxes.ts";
import { prepareWorkspace } from "./workspace-files.ts";

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

interface Loaded {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly host: CommandHost;
  readonly sandbox: typeof import("../sandbox/mod.ts");
}

type Shell = typeof import("../shell/mod.ts");

const noPrivateNetwork = {
  dangerouslyAllowPrivateNetwork: false,
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};

/** As an entry of allowedHostnames that means this one port. */
function hostAndPort(baseUrl: string): string {
  const url = URL.parse(baseUrl);
  return url ? `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}` : "";
}

export function createTools(ports: {
  readonly config: () => OpenClawConfig;
  readonly defaultWorkspace: string;
  readonly stateFolder: string;
  readonly approvals: ApprovalsFile;
  /** A standing rule let something through. */
  readonly ruleUsed: (id: string) => void;
  /** The model of a conversation's next turn, as the config names it. */
  readonly modelOf: (agentId: string, sessionKey: string) => TurnFacts["model"];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timeZone: string | undefined;
  /** Tells this gateway's processes from those of gateways before it. */
  readonly instance?: string;
  /** False, or not said: conversations are not kept. */
  readonly keeps?: () => boolean;
  readonly sendSignal: SendSignal;
  /** Where engines of containers are looked for; absent: nowhere. */
  readonly engines?: EnginePlaces;
  /** The ways out of sandboxes. */
  readonly egress: Egress;
  /** Puts the outcome of a sandbox's proof on record. */
  readonly recordProof: (facts: Json, outcome: "ok" | "error") => Promise<void>;
  readonly agentWorkspace: (agentId: string) => string | undefined;
  readonly toolLimitsOf: (row: InboxRow) => Promise<readonly ToolLimit[]>;
  /** Commands of a session that run on other machines; absent: none do. */
  readonly commandsElsewhere?: (agentId: string, sessionKey: string) => Pick<Commands, "list" | "get">;
}): Tools {
  let loading: Promise<Pick<Loaded, "host" | "sandbox">> | undefined;
  let tools: Promise<Loaded["tools"]> | undefined;
  const workspaces = new Map<string, Promise<HostWorkspace>>();
  const settingsOf = new Map<string, PolicySettings>();
  // The same list each time: providers remember how a list that they have seen is written.
  const specsOf = new Map<string, readonly ToolSpec[]>();
  let rules: { readonly stamp: string; readonly index: RuleIndex | undefined } | undefined;
  // What makes sandboxes, and what runs without a question, is the system's own.
  const systemProgram = (name: string) => findProgram(name, systemFolders);
  const sandboxes = createSandboxes({
    ...ports,
    workspaceOf,
    findProgram: systemProgram,
    record: ports.recordProof,
  });
  let folders: readonly string[] | undefined;

  async function load(): Promise<Loaded> {
    tools ??= openTools();
    const [{ host, sandbox }, opened] = await Promise.all([loadHost(), tools]);
    return { host, sandbox, tools: opened };
  }

  /** As the config says now. */
  async function openTools(): Promise<Loaded["tools"]> {
    const folder = await import("../tools/mod.ts");
    const problem = folder.searchProblem(ports.config());
    if (problem !== undefined) ports.log("warn", "there is no web_search", { problem });
    return folder.loadTools(folder.toolNames, folder.toolSettings(ports.config()));
  }

  function loadHost(): Promise<Pick<Loaded, "host" | "sandbox">> {
    loading ??= (async () => {
      const sandbox = await import("../sandbox/mod.ts");
      const host = sandbox.createCommands({
        clock: ports.clock,
        random: ports.random,
        sendSignal: ports.sendSignal,
        baseEnv: {
          PATH: programFolders().join(":"),
          ...(ports.timeZone === undefined ? {} : { TZ: ports.timeZone }),
        },
        stateDir: ports.stateFolder,
        keeps: ports.keeps ?? (() => false),
        ...(ports.instance === undefined ? {} : { instance: ports.instance }),
        maxOutputChars: 200_000,
        spawnLimits: {
          maxRunning: 64,
          maxRunningPerSession: 16,
          maxKeptPerSession: 32,
          killGraceMs: 2000,
          maxProcesses: 512,
        },
      });
      return { host, sandbox };
    })();
    return loading;
  }

  /** Read once: commands that run and commands that are judged must find the same programs. */
  function programFolders(): readonly string[] {
    const { tools: { exec } = {}, agents } = ports.config();
    const ids = [...Object.keys(agents?.entries ?? {}), ...(agents?.list ?? []).map(({ id }) => id), "main"];
    folders ??= searchFolders(
      exec?.pathPrepend ?? [],
      {
        home: ports.engines?.home ?? "",
        kept: [ports.stateFolder, ports.defaultWorkspace, ...ids.map(workspaceOf)],
      },
      (folder, problem) =>
        ports.log("warn", "programs are not looked for in a folder of tools.exec.pathPrepend", {
          folder,
          problem,
        }),
    );
    return folders;
  }

  function workspaceOf(agentId: string): string {
    const configured = ports.agentWorkspace(agentId);
    if (configured !== undefined) return configured;
    return agentId === "main" ? ports.defaultWorkspace : `${ports.defaultWorkspace}-${agentId}`;
  }

  /** The agent's, or the one of a sandbox. */
  function workspace(agentId: string, place?: SandboxPlace): Promise<HostWorkspace> {
    const root = place?.workspace ?? workspaceOf(agentId);
    let opened = workspaces.get(root);
    if (!opened) {
      opened = (async () => {
        if (root === workspaceOf(agentId)) await prepareWorkspace(root);
        else await ensureFolder(root);
        return (await load()).sandbox.openWorkspace(root, { random: ports.random });
      })();
      workspaces.set(root, opened);
      opened.catch(() => workspaces.delete(root));
    }
    return opened;
  }

  function policy(agentId: string, model?: TurnFacts["model"]): PolicySettings {
    const key = model ? `${agentId}\n${model.provider}/${model.model}` : agentId;
    let settings = settingsOf.get(key);
    if (!settings) {
      settings = policySettings(ports.config(), agentId, workspaceOf(agentId), model);
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

  /** web_search goes to the service that the operator named, wherever that is, and nowhere else. */
  function ssrf(tool: string): SsrfSettings {
    const { fetch, search } = ports.config().tools?.web ?? {};
    const policySection = fetch?.ssrfPolicy;
    if (tool === "web_search")
      return {
        ...noPrivateNetwork,
        blockedHostnames: policySection?.blockedHostnames ?? [],
        allowedHostnames: search?.baseUrl === undefined ? [] : [hostAndPort(search.baseUrl)],
      };
    return {
      ...(fetch?.allowlist === undefined ? {} : { onlyHostnames: fetch.allowlist }),
      dangerouslyAllowPrivateNetwork: policySection?.dangerouslyAllowPrivateNetwork ?? false,
      allowedHostnames: policySection?.allowedHostnames ?? [],
      blockedHostnames: policySection?.blockedHostnames ?? [],
      allowRfc2544BenchmarkRange: policySection?.allowRfc2544BenchmarkRange ?? false,
      allowIpv6UniqueLocalRange: policySection?.allowIpv6UniqueLocalRange ?? false,
    };
  }

  async function powersOf(
    { tool, agentId, sessionKey, runId }: Permit["request"],
    progress: (text: string) => void,
    place: SandboxPlace | undefined,
  ): Promise<HostPowers> {
    const { host, sandbox } = await load();
    const opened = await workspace(agentId, place);
    const web = sandbox.createWeb({
      resolve: sandbox.systemResolve,
      ssrf: ssrf(tool),
      clock: ports.clock,
      hostVerdict,
      addressVerdict,
    });
    const door = place && { id: place.id, proven: () => sandboxes.require(place) };
    const commands = host.forSession(sessionKey, opened, door, join(ports.stateFolder, "homes", agentId));
    const parts = { workspace: opened, commands, web, clock: ports.clock, log: ports.log, progress };
    if (!ports.keeps?.()) return parts;
    const change = { sessionKey, runId, tool };
    return { ...parts, ...sandbox.keepingVersions(opened, () => openVersions(sandbox), change, ports.log) };
  }

  const versionsFolder = join(ports.stateFolder, "undo");
  let versions: VersionStore | undefined;
  function openVersions(sandbox: Loaded["sandbox"]): VersionStore {
    versions ??= sandbox.openVersions({ folder: versionsFolder, clock: ports.clock, random: ports.random });
    return versions;
  }

  async function contextOf(
    settings: PolicySettings,
    agentId: string,
    name: string,
    sessionKey: string | undefined,
  ): Promise<PolicyContext> {
    const { tools, sandbox } = await load();
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
      ssrf: ssrf(name),
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

  const hasRecords = () => existsSync(join(ports.stateFolder, "commands"));

  const self: Tools = {
    sandboxes,
    workspaceOf,
    async specs(agentId) {
      let specs = specsOf.get(agentId);
      if (!specs) {
        const { tools } = await load();
        const settings = policy(agentId);
        specs = [...tools.values()]
          .map((tool) => tool.spec)
          .filter((spec) => toolAllowed(spec.name, settings));
        specsOf.set(agentId, specs);
      }
      return specs;
    },
    filesOwner(agentId, sessionKey) {
      const place = sandboxes.placeOf(agentId, sessionKey);
      return place === undefined || place.workspace === workspaceOf(agentId)
        ? agentId
        : `${agentId}\n${place.id}`;
    },
    filesFolder(owner) {
      const [agentId = "", placeId] = owner.split("\n");
      return placeId === undefined ? workspaceOf(agentId) : join(ports.stateFolder, "sandboxes", placeId);
    },
    policyFor: (agentId, name, facts) =>
      contextOf(inSession(policy(agentId), agentId, facts), agentId, name, facts.sessionKey),
    async specsFor(row) {
      const [specs, settings] = await Promise.all([self.specs(row.agentId), turnSettings(row)]);
      const kept = specs.filter((spec) => toolAllowed(spec.name, settings));
      return kept.length === specs.length ? specs : sameList(kept);
    },
    async policyForTurn(row, name) {
      const context = await contextOf(await turnSettings(row), row.agentId, name, row.sessionKey);
      return { ...context, caller: callerOf(row) };
    },
    async explain(row, tool) {
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
    async openWorkspace(agentId, sessionKey) {
      const place = sandboxes.placeOf(agentId, sessionKey);
      // By its proof the folder is given to the user as whom commands run: what comes after is theirs to read.
      if (place?.ownsWorkspace) await sandboxes.prove(place);
      return workspace(agentId, place);
    },
    openFolder: async (root) => (await load()).sandbox.openWorkspace(root, { random: ports.random }),
    async remember(approval) {
      const { keeps } = approval;
      if (!keeps) throw new Error(`approval ${approval.id} was to keep a rule that nobody was shown`);
      const addedAt = new Date(ports.clock.now()).toISOString();
      await ports.approvals.change(({ document }) =>
        withStanding(document, approval.request.agentId, keeps, addedAt),
      );
    },
    async reapOrphans() {
      const ended = await (await load()).host.reapOrphans();
      await sandboxes.sweep();
      if (ended > 0)
        ports.log("warn", "ended commands that an earlier gateway left running", { processes: ended });
    },
    async forgetVersions(of) {
      if (versions || existsSync(versionsFolder)) openVersions((await load()).sandbox).erase(of);
    },
    async endSession(sessionKey) {
      if (loading || hasRecords()) await (await loadHost()).host.endSession(sessionKey);
    },
    async forgetCommands(sessionKey) {
      if (loading || hasRecords()) (await loadHost()).host.forgetEnded(sessionKey);
    },
    lostCommands: async () => (hasRecords() ? (await loadHost()).host.lost() : []),
    reset() {
      sandboxes.reset();
      tools = undefined;
      settingsOf.clear();
      specsOf.clear();
    },
    async close() {
      if (!loading) return;
      await (await loading).host.closeAll();
      await sandboxes.close();
      for (const opened of workspaces.values()) await (await opened).close();
    },
  };
  return self;
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

/** A permit for the host of a session that is sandboxed: only policy makes one, through both gates. */
function leavesSandbox({ effects }: Permit): boolean {
  return effects.some(
    (effect) => effect.kind === "command" && effect.elevated === true && effect.run?.kind !== "sandbox",
  );
}

function loadShell(): Promise<Shell> {
  return import("../shell/mod.ts");
}
