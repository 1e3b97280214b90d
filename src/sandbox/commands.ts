import { join } from "node:path";
import { InputError, keepAlive } from "../kernel/mod.ts";
import { createCommandRecords, type RecordLimits, type StoredCommand } from "./command-records.ts";
import { type CommandHostDeps, createCommandStart, type SandboxDoor, type Session } from "./command-start.ts";
import { createControlGroups } from "./control-groups.ts";
import { searchPath } from "./environment.ts";
import { createPipes, removeLeftPipes } from "./pipes.ts";
import { bootId, markedProcesses, processesOfRun, startTicksOf } from "./process-tree.ts";
import { stateMark as markOfState } from "./run-mark.ts";
import { storedCommand } from "./stored-command.ts";
import type { HostCommands, RunningCommand } from "./tool.ts";
import type { HostWorkspace } from "./workspace.ts";

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
  const isRunning = (id: string) =>
    [...sessions.values()].some(({ kept }) => kept.get(id) && !kept.get(id)?.exit);
  const { start, checkOpen } = createCommandStart({
    ...{ deps, stateMark, instance, searchFolders, pipes, records, groups },
    ...{ isClosing: () => closing, isRunning, forgetOldest },
  });

  const running = (kept: ReadonlyMap<string, RunningCommand>) =>
    [...kept.values()].filter((command) => command.exit === undefined);

  const active = (session: Session) => session.starting + running(session.kept).length;

  function checkRoom(session: Session): void {
    const { maxRunning, maxRunningPerSession } = deps.spawnLimits;
    const total = [...sessions.values()].reduce((sum, item) => sum + active(item), 0);
    if (active(session) >= maxRunningPerSession || total >= maxRunning)
      throw new InputError("Too many commands run already. End one first (process, action kill).");
  }

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
      for (const stored of records.ofSession(sessionKey)) if (!isRunning(stored.id)) stored.remove();
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
