import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CommandHost, HostWorkspace, Tool, VersionStore } from "../sandbox/mod.ts";
import { ensureFolder } from "../store/mod.ts";
import { findProgram, searchFolders, systemFolders } from "./program-folders.ts";
import { createSandboxes, type SandboxPlace } from "./sandboxes.ts";
import type { ToolPorts } from "./tool-ports.ts";
import { prepareWorkspace } from "./workspace-files.ts";

interface Loaded {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly host: CommandHost;
  readonly sandbox: typeof import("../sandbox/mod.ts");
}

export type ToolRuntime = ReturnType<typeof createToolRuntime>;

/** Where tools run: commands, sandboxes, workspaces, and what is kept of each; its code is loaded at the first use. */
export function createToolRuntime(ports: ToolPorts) {
  let loading: Promise<Pick<Loaded, "host" | "sandbox">> | undefined;
  let tools: Promise<Loaded["tools"]> | undefined;
  const workspaces = new Map<string, Promise<HostWorkspace>>();
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

  const versionsFolder = join(ports.stateFolder, "undo");
  let versions: VersionStore | undefined;
  function openVersions(sandbox: Loaded["sandbox"]): VersionStore {
    versions ??= sandbox.openVersions({ folder: versionsFolder, clock: ports.clock, random: ports.random });
    return versions;
  }

  const hasRecords = () => existsSync(join(ports.stateFolder, "commands"));

  return {
    sandboxes,
    systemProgram,
    load,
    programFolders,
    workspaceOf,
    workspace,
    openVersions,
    filesOwner(agentId: string, sessionKey: string): string {
      const place = sandboxes.placeOf(agentId, sessionKey);
      return place === undefined || place.workspace === workspaceOf(agentId)
        ? agentId
        : `${agentId}\n${place.id}`;
    },
    filesFolder(owner: string): string {
      const [agentId = "", placeId] = owner.split("\n");
      return placeId === undefined ? workspaceOf(agentId) : join(ports.stateFolder, "sandboxes", placeId);
    },
    async openWorkspace(agentId: string, sessionKey: string): Promise<HostWorkspace> {
      const place = sandboxes.placeOf(agentId, sessionKey);
      // By its proof the folder is given to the user as whom commands run: what comes after is theirs to read.
      if (place?.ownsWorkspace) await sandboxes.prove(place);
      return workspace(agentId, place);
    },
    openFolder: async (root: string) => (await load()).sandbox.openWorkspace(root, { random: ports.random }),
    async reapOrphans() {
      const ended = await (await load()).host.reapOrphans();
      await sandboxes.sweep();
      if (ended > 0)
        ports.log("warn", "ended commands that an earlier gateway left running", { processes: ended });
    },
    async forgetVersions(of: Parameters<VersionStore["erase"]>[0]) {
      if (versions || existsSync(versionsFolder)) openVersions((await load()).sandbox).erase(of);
    },
    async endSession(sessionKey: string) {
      if (loading || hasRecords()) await (await loadHost()).host.endSession(sessionKey);
    },
    async forgetCommands(sessionKey: string) {
      if (loading || hasRecords()) (await loadHost()).host.forgetEnded(sessionKey);
    },
    lostCommands: async () => (hasRecords() ? (await loadHost()).host.lost() : []),
    reset() {
      sandboxes.reset();
      tools = undefined;
    },
    async close() {
      if (!loading) return;
      await (await loading).host.closeAll();
      await sandboxes.close();
      for (const opened of workspaces.values()) await (await opened).close();
    },
  };
}
