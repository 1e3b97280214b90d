import { realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ToolLimit } from "../access/mod.ts";
import type { ToolSpec } from "../agent/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { type Clock, InputError, type Json, type Log, type Random, refuse } from "../kernel/mod.ts";
import {
  type Approval,
  addressVerdict,
  type CommandRules,
  hostVerdict,
  literalArgv,
  narrowed,
  type Permit,
  type PolicyContext,
  type PolicySettings,
  policySettings,
  type SandboxFacts,
  type SsrfSettings,
  toolAllowed,
} from "../policy/mod.ts";
import type { CommandHost, HostPowers, HostWorkspace, Outcome, SendSignal, Tool } from "../sandbox/mod.ts";
import { ensureFolder, readJsonFile, writeJsonFile } from "../store/mod.ts";
import { createSandboxes, type SandboxPlace } from "./sandboxes.ts";
import { prepareWorkspace } from "./workspace-files.ts";

/** Tools, what policy says of them, and the sandbox that runs them; loaded when the first turn needs them. */
export interface Tools {
  specs(agentId: string): Promise<readonly ToolSpec[]>;
  /** Without a session: for what runs in none, and never on the strength of this in a sandboxed one. */
  policyFor(agentId: string, tool: string, sessionKey?: string): Promise<PolicyContext>;
  /** The same for the turn of one message, narrowed by what its sender may use where it was written. */
  specsFor(row: InboxRow): Promise<readonly ToolSpec[]>;
  policyForTurn(row: InboxRow, tool: string): Promise<PolicyContext>;
  execute(permit: Permit, signal: AbortSignal, progress: (text: string) => void): Promise<Outcome>;
  /** Reads the one file that the permit of a `read` call names; an InputError when it is none or cannot be read. */
  readFile(permit: Permit, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** The agent's workspace as the sandbox opens it: for files of the gateway's own. */
  openWorkspace(agentId: string): Promise<HostWorkspace>;
  /** Keeps the standing rule of an allow-always. */
  remember(approval: Approval): Promise<void>;
  workspaceOf(agentId: string): string;
  /** Under whose name the labels of a session's files are kept: the agent's, or its sandbox's. */
  filesOwner(agentId: string, sessionKey: string): string;
  /** Ends what a crashed gateway of this state folder left running. */
  reapOrphans(): Promise<void>;
  endSession(sessionKey: string): Promise<void>;
  reset(): void;
  close(): Promise<void>;
}

interface Loaded {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly host: CommandHost;
  readonly sandbox: typeof import("../sandbox/mod.ts");
}

type Shell = typeof import("../shell/mod.ts");

/** One exact command in one folder; or a program by its real path, with any arguments. */
interface StandingRule {
  readonly command?: readonly string[];
  readonly workdir?: string;
  readonly pattern?: string;
  readonly addedAt: string;
}

interface ApprovalsDocument {
  readonly version: 1;
  readonly agents: Readonly<Record<string, { readonly allowlist?: readonly StandingRule[] }>>;
}

const trustedFolders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

export function createTools(ports: {
  readonly config: () => OpenClawConfig;
  readonly defaultWorkspace: string;
  readonly stateFolder: string;
  readonly approvalsFile: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly timeZone: string | undefined;
  readonly sendSignal: SendSignal;
  /** Puts the outcome of a sandbox's proof on record. */
  readonly recordProof: (facts: Json, outcome: "ok" | "error") => Promise<void>;
  readonly agentWorkspace: (agentId: string) => string | undefined;
  readonly toolLimitsOf: (row: InboxRow) => Promise<readonly ToolLimit[]>;
}): Tools {
  let loading: Promise<Loaded> | undefined;
  const workspaces = new Map<string, Promise<HostWorkspace>>();
  const settingsOf = new Map<string, PolicySettings>();
  // The same list each time: providers remember how a list that they have seen is written.
  const specsOf = new Map<string, readonly ToolSpec[]>();
  let rules: { stamp: string; document: ApprovalsDocument } | undefined;
  const sandboxes = createSandboxes({ ...ports, workspaceOf, findProgram, record: ports.recordProof });

  function load(): Promise<Loaded> {
    loading ??= (async () => {
      const [sandbox, toolFolder] = await Promise.all([
        import("../sandbox/mod.ts"),
        import("../tools/mod.ts"),
      ]);
      const tools = await toolFolder.loadTools(toolFolder.toolNames, toolFolder.toolSettings(ports.config()));
      const host = sandbox.createCommands({
        clock: ports.clock,
        random: ports.random,
        sendSignal: ports.sendSignal,
        baseEnv: {
          PATH: trustedFolders.join(":"),
          ...(ports.timeZone === undefined ? {} : { TZ: ports.timeZone }),
        },
        stateDir: ports.stateFolder,
        maxOutputChars: 200_000,
        spawnLimits: { maxRunning: 64, maxRunningPerSession: 16, maxKeptPerSession: 32, killGraceMs: 2000 },
      });
      return { tools, host, sandbox };
    })();
    return loading;
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

  function policy(agentId: string): PolicySettings {
    let settings = settingsOf.get(agentId);
    if (!settings) {
      settings = policySettings(ports.config(), agentId, workspaceOf(agentId));
      settingsOf.set(agentId, settings);
    }
    return settings;
  }

  /** What policy may know of a session's sandbox; whether it may be entered is said by the standing rules. */
  async function sandboxFacts(agentId: string, place: SandboxPlace): Promise<SandboxFacts> {
    const proof = await sandboxes.prove(place);
    if (!proof.ok) return { usable: false, why: proof.why };
    const { id, entry, description } = place;
    const { agents } = await approvalsDocument();
    const granted = (agents[agentId]?.allowlist ?? []).some(
      (rule) => rule.workdir === insideFolder && sameWords(rule.command, entryWords(entry)),
    );
    return { usable: true, id, entry, description, granted };
  }

  /** The host document of standing rules, read again when its file has changed. Unreadable: no rule holds. */
  async function approvalsDocument(): Promise<ApprovalsDocument> {
    const stamp = stampOf(ports.approvalsFile);
    if (rules?.stamp === stamp) return rules.document;
    const document = await readJsonFile(ports.approvalsFile).then(documentOf, (error: Error) => {
      ports.log("error", "standing rules cannot be read; none holds until that is mended", {
        error: error.message,
      });
      return noRules;
    });
    rules = { stamp, document };
    return document;
  }

  function commandRules(
    document: ApprovalsDocument,
    host: Pick<CommandRules, "environmentProblem" | "identify">,
    shell: Shell | undefined,
  ): CommandRules {
    return {
      ...host,
      read: (text) =>
        shell?.readCommandLine(text) ?? { understood: false, why: "a form that no reader was loaded for" },
      isAllowed: (agentId, argv, workdir) =>
        (document.agents[agentId]?.allowlist ?? []).some(
          (rule) => rule.workdir === workdir && sameWords(rule.command, argv),
        ),
      allowsProgram: (agentId, program) =>
        (document.agents[agentId]?.allowlist ?? []).some((rule) => rule.pattern === program),
      resolve: findProgram,
    };
  }

  function ssrf(): SsrfSettings {
    const policySection = ports.config().tools?.web?.fetch?.ssrfPolicy;
    return {
      dangerouslyAllowPrivateNetwork: policySection?.dangerouslyAllowPrivateNetwork ?? false,
      allowedHostnames: policySection?.allowedHostnames ?? [],
      blockedHostnames: policySection?.blockedHostnames ?? [],
      allowRfc2544BenchmarkRange: policySection?.allowRfc2544BenchmarkRange ?? false,
      allowIpv6UniqueLocalRange: policySection?.allowIpv6UniqueLocalRange ?? false,
    };
  }

  async function powersOf(
    agentId: string,
    sessionKey: string,
    progress: (text: string) => void,
  ): Promise<HostPowers> {
    const { host, sandbox } = await load();
    const place = sandboxes.placeOf(agentId, sessionKey);
    const opened = await workspace(agentId, place);
    const web = sandbox.createWeb({
      resolve: sandbox.systemResolve,
      ssrf: ssrf(),
      clock: ports.clock,
      hostVerdict,
      addressVerdict,
    });
    const door = place && { id: place.id, proven: () => sandboxes.require(place) };
    const commands = host.forSession(sessionKey, opened, door);
    return { workspace: opened, commands, web, clock: ports.clock, log: ports.log, progress };
  }

  const self: Tools = {
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
    async policyFor(agentId, name, sessionKey) {
      const { tools, sandbox } = await load();
      const place = sessionKey === undefined ? undefined : sandboxes.placeOf(agentId, sessionKey);
      const settings = policy(agentId);
      return {
        settings: place ? narrowed(settings, [sandboxes.toolLimit(agentId)]) : settings,
        ...(place && (name === "exec" || name === "process")
          ? { sandbox: await sandboxFacts(agentId, place) }
          : {}),
        tool: tools.get(name),
        commands: commandRules(
          await approvalsDocument(),
          { environmentProblem: sandbox.environmentProblem, identify: sandbox.identifyFile },
          // Only exec has commands to read, and most gateways start without one.
          name === "exec" ? await loadShell() : undefined,
        ),
        ssrf: ssrf(),
      };
    },
    async specsFor(row) {
      const [specs, limits] = await Promise.all([self.specs(row.agentId), ports.toolLimitsOf(row)]);
      const inside = sandboxes.placeOf(row.agentId, row.sessionKey) && sandboxes.toolLimit(row.agentId);
      if (limits.length === 0 && !inside) return specs;
      const settings = narrowed(policy(row.agentId), [...limits, ...(inside ? [inside] : [])]);
      return specs.filter((spec) => toolAllowed(spec.name, settings));
    },
    async policyForTurn(row, name) {
      const [context, limits] = await Promise.all([
        self.policyFor(row.agentId, name, row.sessionKey),
        ports.toolLimitsOf(row),
      ]);
      return { ...context, settings: narrowed(context.settings, limits) };
    },
    async execute(permit, signal, progress) {
      const { tools, sandbox } = await load();
      const { tool: name, agentId, sessionKey } = permit.request;
      const tool = tools.get(name);
      if (!tool) throw new Error(refuse("policy.tool_unknown", name).detail);
      const powers = await powersOf(agentId, sessionKey, progress);
      return sandbox.execute(permit, tool, () => powers, signal);
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
      const powers = await powersOf(agentId, sessionKey, () => {});
      const outcome = await sandbox.execute(permit, reading, () => powers, signal);
      if (!content) throw new InputError(outcome.text);
      return content;
    },
    openWorkspace: (agentId) => workspace(agentId),
    async remember(approval) {
      const { command, cwd, agentId, sandboxEntry } = approval.request;
      const read = (await loadShell()).readCommandLine(command);
      const literal = read.understood ? literalArgv(read.line) : undefined;
      const argv = sandboxEntry === undefined ? literal : entryWords(sandboxEntry);
      if (!argv) return;
      const root = workspaceOf(agentId);
      const hostFolder = cwd === root ? "." : cwd.slice(root.length + 1);
      const workdir = sandboxEntry === undefined ? hostFolder : insideFolder;
      const document = await approvalsDocument();
      const allowlist = document.agents[agentId]?.allowlist ?? [];
      const rule: StandingRule = {
        command: argv,
        workdir,
        addedAt: new Date(ports.clock.now()).toISOString(),
      };
      await ensureFolder(ports.stateFolder);
      await writeJsonFile(ports.approvalsFile, {
        ...document,
        agents: {
          ...document.agents,
          [agentId]: { ...document.agents[agentId], allowlist: [...allowlist, rule] },
        },
      });
    },
    async reapOrphans() {
      const ended = await (await load()).host.reapOrphans();
      await sandboxes.sweep();
      if (ended > 0)
        ports.log("warn", "ended commands that an earlier gateway left running", { processes: ended });
    },
    async endSession(sessionKey) {
      if (loading) await (await loading).host.endSession(sessionKey);
    },
    reset() {
      sandboxes.reset();
      settingsOf.clear();
      specsOf.clear();
    },
    async close() {
      if (!loading) return;
      await (await loading).host.closeAll();
      await sandboxes.sweep();
      for (const opened of workspaces.values()) await (await opened).close();
    },
  };
  return self;
}

const noRules: ApprovalsDocument = { version: 1, agents: {} };

function documentOf(value: unknown): ApprovalsDocument {
  if (value === undefined) return noRules;
  const document = value as Partial<ApprovalsDocument> | null;
  if (document?.version !== 1 || typeof document.agents !== "object" || document.agents === null) {
    throw new Error("expected {version: 1, agents: {...}}");
  }
  return { ...document, version: 1, agents: document.agents };
}

/** How entry to a sandbox stands among the rules. No host rule has an absolute folder, so neither covers the other. */
const insideFolder = "/workspace";
const entryWords = (entry: string) => ["sandbox", entry];

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}` : "";
}

function sameWords(a: unknown, b: readonly string[]): boolean {
  return Array.isArray(a) && a.length === b.length && a.every((word, index) => word === b[index]);
}

function loadShell(): Promise<Shell> {
  return import("../shell/mod.ts");
}

/** Bare names only, and only in folders that an agent cannot write to: PATH is never asked. Links are followed. */
function findProgram(name: string): string | undefined {
  if (name.includes("/") || name === "") return undefined;
  for (const folder of trustedFolders) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isFile() || (stat.mode & 0o111) === 0) continue;
    // What others may write to is nobody's known program, whatever it is called (attack A-109).
    return (stat.mode & 0o022) === 0 && (statSync(folder).mode & 0o022) === 0
      ? realpathSync.native(path)
      : undefined;
  }
  return undefined;
}
