import { mkdir } from "node:fs/promises";
import { type Clock, InputError, type Random } from "../kernel/mod.ts";
import { type CommandGroup, openCommandGroup } from "./command-group.ts";
import { CommandOutput } from "./command-output.ts";
import type { CommandRecords, OpenRecord, RecordLimits } from "./command-records.ts";
import { type LineStreams, openStreams } from "./command-streams.ts";
import type { ControlGroups } from "./control-groups.ts";
import { type BaseEnvironment, buildEnvironment, environmentProblem } from "./environment.ts";
import { runLine } from "./line-run.ts";
import { hostLine, insideLine, requirePlace } from "./permitted-line.ts";
import type { Pipes } from "./pipes.ts";
import type { SendSignal } from "./process-tree.ts";
import { followLine, type RunningDeps } from "./running-command.ts";
import type { InsideRun, ProvenSandbox } from "./sandbox-host.ts";
import { terminalText, terminalType } from "./terminal.ts";
import type { PermittedCommand, RunningCommand } from "./tool.ts";
import type { HostWorkspace } from "./workspace.ts";
import { parseWorkspacePath } from "./workspace-path.ts";

export interface CommandHostDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** `process.kill` */
  readonly sendSignal: SendSignal;
  readonly baseEnv: BaseEnvironment;
  /** Absolute. Tells this gateway's processes from another's when orphans are looked for. */
  readonly stateDir: string;
  /** Tells this gateway's processes from those of gateways before it. Absent: nothing else starts any. */
  readonly instance?: string;
  /** In memory, of each command. */
  readonly maxOutputChars: number;
  /** On the disk. */
  readonly recordLimits?: RecordLimits;
  /** False, or not said: conversations are not kept, so neither are their commands and what those printed. */
  readonly keeps?: () => boolean;
  readonly spawnLimits: SpawnLimits;
}

export interface SpawnLimits {
  readonly maxRunning: number;
  readonly maxRunningPerSession: number;
  /** Ended commands that a session can still ask about; the oldest is forgotten first. */
  readonly maxKeptPerSession: number;
  /** From TERM to KILL, for whoever does not end when asked. */
  readonly killGraceMs: number;
  /** Of one command on the host, with all that it starts; holds where control groups can be made. Absent: unlimited. */
  readonly maxProcesses?: number;
}

export interface Session {
  readonly kept: Map<string, RunningCommand>;
  /** About to start; counted before the first await, so that a burst cannot pass the limits. */
  starting: number;
  ended: boolean;
}

/** The sandbox of a session, which is proved when the first command wants to enter it. */
export interface SandboxDoor {
  readonly id: string;
  /** Rejects with an InputError where there is no proof. */
  proven(): Promise<ProvenSandbox>;
}

/** What the starts of all sessions share. */
export interface StartPorts {
  readonly deps: CommandHostDeps;
  /** Of the state folder, and of this gateway: with a command's id they mark its processes. */
  readonly stateMark: string;
  readonly instance: string;
  readonly searchFolders: readonly string[];
  readonly pipes: Pipes;
  readonly records: CommandRecords;
  readonly groups: ControlGroups;
  readonly isClosing: () => boolean;
  readonly isRunning: (id: string) => boolean;
  readonly forgetOldest: (kept: Map<string, RunningCommand>) => void;
}

const startsPerTidying = 50;
const largeOutputBytes = 1024 ** 2;

/** Starts one permitted command, on the host or inside a sandbox, with its record, its output and its end. */
export function createCommandStart(host: StartPorts) {
  const { deps, stateMark, instance, searchFolders, pipes, records, groups } = host;
  let starts = 0;

  function checkOpen(session: Session): void {
    if (host.isClosing()) throw new InputError("The gateway is stopping; no command is started any more.");
    if (session.ended) throw new InputError("The session has ended; no command is started in it any more.");
  }

  async function start(
    sessionKey: string,
    session: Session,
    places: {
      readonly workspace: HostWorkspace;
      readonly home: string;
      readonly door?: SandboxDoor | undefined;
    },
    request: PermittedCommand,
  ): Promise<RunningCommand> {
    const sandbox = await places.door?.proven();
    const { workspace, home } = places;
    const { kept } = session;
    const { command, pty: hasTerminal = false } = request;
    const id = deps.random.bytes(5).toString("hex");
    const mark = `${stateMark}.${instance}.${id}`;
    const env = buildEnvironment(deps.baseEnv, request.env, {
      home: sandbox ? "/workspace" : home,
      run: mark,
      ...(hasTerminal ? { terminal: terminalType } : {}),
    });
    if (!sandbox) await mkdir(home, { recursive: true, mode: 0o700 });
    const folder = await workspace.openFolder(request.workdir);
    const record = () => {
      if (starts++ % startsPerTidying === 0) {
        void records.tidy(host.isRunning);
        groups.removeEmpty();
      }
      const place = places.door ? { place: places.door.id } : {};
      return records.open({ id, sessionKey, ...place, mark, command, startedAtMs: deps.clock.now() });
    };
    const following = (opened: OpenRecord, group?: CommandGroup): RunningDeps => ({
      clock: deps.clock,
      sendSignal: deps.sendSignal,
      id,
      command,
      mark,
      timeoutMs: request.timeoutMs,
      killGraceMs: deps.spawnLimits.killGraceMs,
      // With the first process of its namespace the kernel ends all others in it.
      endsWhole: sandbox !== undefined,
      output: new CommandOutput(deps.maxOutputChars, { file: opened.output, isTerminal: hasTerminal }),
      hasTerminal,
      group,
      ended(exit) {
        opened.end(host.isClosing() ? { ...exit, lost: true } : exit);
        if ((opened.output?.bytes ?? 0) > largeOutputBytes) void records.tidy(host.isRunning);
      },
      remove() {
        kept.delete(id);
        opened.remove();
      },
    });
    const keep = (running: RunningCommand) => {
      kept.set(id, running);
      host.forgetOldest(kept);
      return running;
    };
    const inside = {
      text: hasTerminal ? terminalText(command) : command,
      workdir: sandbox ? parseWorkspacePath(workspace.root, request.workdir).join("/") : "",
    };
    if (sandbox?.entrance.kind === "engine") {
      await folder.close();
      requirePlace(sandbox, request);
      const run = await sandbox.entrance.start({ ...inside, env, mark });
      const running = followInside(run, following(record()));
      if (host.isClosing() || session.ended) await running.kill();
      checkOpen(session);
      return keep(running);
    }
    let streams: LineStreams | undefined;
    let files: Awaited<ReturnType<typeof hostLine>>;
    try {
      files = sandbox ? insideLine(sandbox, request, inside) : await hostLine(request, folder, searchFolders);
      streams = await openStreams(pipes);
      // Whoever ends the session from here on finds the command in it: nothing waits in between.
      checkOpen(session);
    } catch (error) {
      streams?.abandon();
      await folder.close();
      throw error;
    }
    const opened = record();
    const { maxProcesses } = deps.spawnLimits;
    const group =
      sandbox || maxProcesses === undefined ? undefined : openCommandGroup(groups, id, maxProcesses);
    const run = runLine({
      ...files,
      env,
      searchFolders,
      pipes,
      folder,
      streams: streams.children,
      environmentProblem,
      ...(group ? { within: group.within } : {}),
      started(leader) {
        group?.enter(leader.pid);
        opened.leader(leader);
      },
    });
    void run.done.then(streams.closeChildren);
    return keep(followLine(run, streams, following(opened, group)));
  }

  return { start, checkOpen };
}

/** No process of it is this machine's to look for: the sandbox itself ends what it started. */
function followInside({ streams, done, end }: InsideRun, following: RunningDeps): RunningCommand {
  return followLine({ leaders: [], stop: () => {}, done }, streams, { ...following, end });
}
