import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, InputError, keepAlive, type Random } from "../kernel/mod.ts";
import { type CommandGroup, openCommandGroup } from "./command-group.ts";
import { CommandOutput } from "./command-output.ts";
import {
  createCommandRecords,
  type OpenRecord,
  type RecordLimits,
  type StoredCommand,
} from "./command-records.ts";
import { type LineStreams, openStreams } from "./command-streams.ts";
import { createControlGroups } from "./control-groups.ts";
import { type BaseEnvironment, buildEnvironment, environmentProblem, searchPath } from "./environment.ts";
import { runLine } from "./line-run.ts";
import { hostLine, insideLine, requirePlace } from "./permitted-line.ts";
import { createPipes, removeLeftPipes } from "./pipes.ts";
import { bootId, markedProcesses, processesOfRun, type SendSignal, startTicksOf } from "./process-tree.ts";
import { stateMark as markOfState } from "./run-mark.ts";
import { followLine, type RunningDeps } from "./running-command.ts";
import type { InsideRun, ProvenSandbox } from "./sandbox-host.ts";
import { storedCommand } from "./stored-command.ts";
import { terminalText, terminalType } from "./terminal.ts";
import type { HostCommands, PermittedCommand, RunningCommand } from "./tool.ts";
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

interface Session {
  readonly kept: Map<string, RunningCommand>;
  /** About to start; counted before the first await, so that a burst cannot pass the limits. */
  starting: number;
  ended: boolean;
}

/** The sandbox of a session, which is proved when the first command wants to enter it. */
interface SandboxDoor {
  readonly id: string;
  /** Rejects with an InputError where there is no proof. */
  proven(): Promise<ProvenSandbox>;
}

/** All commands of a gateway. */
export interface CommandHost {
  /**
   * The commands of one session, which start in that workspace. The same session always gets the same commands; with
   * a sandbox it has others, so that nothing that runs there can be mistaken for what runs on the host.
   */
  forSession(
    sessionKey: string,
    workspace: HostWorkspace,
    place?: SandboxDoor,
    /** HOME of commands on the host: a folder that no tool can write to. Made when needed (700). */
    home?: string,
  ): HostCommands;
  /** Ends what a session still runs, and forgets it with all that it printed. */
  endSession(sessionKey: string): Promise<void>;
  /** Forgets what has ended in a session, and what it printed. */
  forgetEnded(sessionKey: string): void;
  /** Ends everything; nothing starts afterwards. */
  closeAll(): Promise<void>;
  /** Ends what a gateway that crashed left running for this state folder. Gives how many processes that were. */
  reapOrphans(): Promise<number>;
  /** Commands that ended because their gateway did, and whose sessions do not know it yet. */
  lost(): readonly Pick<StoredCommand, "id" | "sessionKey" | "settle">[];
}

const pipesPrefix = "pipes-";
const startsPerTidying = 50;
const largeOutputBytes = 1024 ** 2;
const defaultRecordLimits: RecordLimits = {
  maxOutputBytes: 16 * 1024 ** 2,
  maxTotalBytes: 256 * 1024 ** 2,
  maxAgeMs: 7 * 86_400_000,
};

/** Runs permitted commands on this host, each as a process group of its own with an environment built from nothing. */
export function createCommands(deps: CommandHostDeps): CommandHost {
  const sessions = new Map<string, Session>();
  const stateMark = markOfState(deps.stateDir);
  const instance = deps.instance ?? deps.random.bytes(6).toString("hex");
  const searchFolders = searchPath(deps.baseEnv.PATH);
  const pipesName = `${pipesPrefix}${instance}`;
  const pipes = createPipes(join(deps.stateDir, pipesName), searchFolders);
  const records = createCommandRecords({
    folder: join(deps.stateDir, "commands"),
    limits: deps.recordLimits ?? defaultRecordLimits,
    now: () => deps.clock.now(),
    bootId: bootId(),
    keeps: deps.keeps ?? (() => false),
  });
  const groups = createControlGroups(markOfState(`${deps.stateDir}\nhost`));
  let closing = false;
  let starts = 0;

  const running = (kept: ReadonlyMap<string, RunningCommand>) =>
    [...kept.values()].filter((command) => command.exit === undefined);

  function checkOpen(session: Session): void {
    if (closing) throw new InputError("The gateway is stopping; no command is started any more.");
    if (session.ended) throw new InputError("The session has ended; no command is started in it any more.");
  }

  const active = (session: Session) => session.starting + running(session.kept).length;

  function checkRoom(session: Session): void {
    const { maxRunning, maxRunningPerSession } = deps.spawnLimits;
    const total = [...sessions.values()].reduce((sum, item) => sum + active(item), 0);
    if (active(session) >= maxRunningPerSession || total >= maxRunning)
      throw new InputError("Too many commands run already. End one first (process, action kill).");
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
        void records.tidy(runs);
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
        opened.end(closing ? { ...exit, lost: true } : exit);
        if ((opened.output?.bytes ?? 0) > largeOutputBytes) void records.tidy(runs);
      },
      remove() {
        kept.delete(id);
        opened.remove();
      },
    });
    const keep = (running: RunningCommand) => {
      kept.set(id, running);
      forgetOldest(kept);
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
      if (closing || session.ended) await running.kill();
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

  const runs = (id: string) => [...sessions.values()].some(({ kept }) => kept.get(id) && !kept.get(id)?.exit);

  function forgetOldest(kept: Map<string, RunningCommand>): void {
    const over = kept.size - running(kept).length - deps.spawnLimits.maxKeptPerSession;
    const ended = [...kept.values()].filter((command) => command.exit !== undefined);
    for (const command of ended.slice(0, Math.max(0, over))) command.remove();
  }

  function storedOf(sessionKey: string, place: string | undefined): Map<string, RunningCommand> {
    const kept = new Map<string, RunningCommand>();
    for (const stored of records.ofSession(sessionKey).slice(-deps.spawnLimits.maxKeptPerSession))
      if (stored.place === place)
        kept.set(
          stored.id,
          storedCommand(stored, () => kept.delete(stored.id)),
        );
    return kept;
  }

  async function end({ kept }: Session): Promise<void> {
    await Promise.all([...kept.values()].map((command) => command.kill()));
  }

  return {
    forSession(sessionKey, workspace, door, home = join(deps.stateDir, "homes", "shared")) {
      const key = door ? `${sessionKey}\n${door.id}` : sessionKey;
      const session = sessions.get(key) ?? {
        kept: storedOf(sessionKey, door?.id),
        starting: 0,
        ended: false,
      };
      sessions.set(key, session);
      return {
        async start(request) {
          checkOpen(session);
          checkRoom(session);
          session.starting += 1;
          try {
            return await start(sessionKey, session, { workspace, home, door }, request);
          } finally {
            session.starting -= 1;
          }
        },
        list: () => [...session.kept.values()],
        get: (id) => session.kept.get(id),
      };
    },

    async endSession(sessionKey) {
      const ending = [...sessions].filter(([key]) => key.split("\n", 1)[0] === sessionKey);
      for (const [key, session] of ending) {
        sessions.delete(key);
        session.ended = true;
      }
      await Promise.all(ending.map(([, session]) => end(session)));
      records.forgetSession(sessionKey);
    },

    forgetEnded(sessionKey) {
      for (const [key, { kept }] of sessions)
        if (key.split("\n", 1)[0] === sessionKey)
          for (const command of [...kept.values()]) if (command.exit) command.remove();
      for (const stored of records.ofSession(sessionKey)) if (!runs(stored.id)) stored.remove();
    },

    async closeAll() {
      closing = true;
      // Our other timers do not keep the process alive, and it must not end before what it started has.
      const letEnd = keepAlive();
      try {
        await Promise.all([...sessions.values()].map(end));
      } finally {
        letEnd();
      }
      sessions.clear();
      pipes.close();
    },

    async reapOrphans() {
      removeLeftPipes(deps.stateDir, pipesPrefix, pipesName);
      const own = `${stateMark}.${instance}.`;
      const pids = new Set(
        await markedProcesses((mark) => mark.startsWith(`${stateMark}.`) && !mark.startsWith(own)),
      );
      const open = records.unsettled().filter((stored) => !stored.exit && !stored.mark.startsWith(own));
      for (const stored of open)
        for (const pid of [...groups.processes(stored.id), ...(await leftOf(stored))]) pids.add(pid);
      for (const pid of pids) {
        try {
          deps.sendSignal(pid, "SIGKILL");
        } catch {
          // It ended by itself in the meantime.
        }
      }
      groups.removeEmpty();
      for (const stored of open) stored.end({ code: null, signal: null, timedOut: false, lost: true });
      return pids.size;
    },

    lost: () => records.unsettled().filter(({ exit }) => exit?.lost === true),
  };
}

/** What lives of a command whose gateway does not: by number and time of start, for what took its mark off. */
async function leftOf({ leaders, mark }: StoredCommand): Promise<number[]> {
  const known = leaders.map((leader) => ({
    ...leader,
    // A number that was given to somebody else.
    hasEnded: startTicksOf(leader.pid) !== leader.startTicks,
  }));
  return known.length === 0 ? [] : processesOfRun(known, mark);
}

/** No process of it is this machine's to look for: the sandbox itself ends what it started. */
function followInside({ streams, done, end }: InsideRun, following: RunningDeps): RunningCommand {
  return followLine({ leaders: [], stop: () => {}, done }, streams, { ...following, end });
}
