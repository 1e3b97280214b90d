import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { type Clock, InputError, keepAlive, type Random } from "../kernel/mod.ts";
import type { ParsedCommand } from "../policy/command-line.ts";
import { type BaseEnvironment, buildEnvironment, searchPath } from "./environment.ts";
import { OutputTail } from "./output-tail.ts";
import { markedProcesses, type SendSignal } from "./process-tree.ts";
import { resolveProgram } from "./program.ts";
import { followCommand } from "./running-command.ts";
import type { CommandRequest, Commands, RunningCommand } from "./tool.ts";
import type { HostWorkspace } from "./workspace.ts";

export interface CommandHostDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** `process.kill` */
  readonly sendSignal: SendSignal;
  /** The reader that policy judged the command with: what it calls simple is run without a shell. */
  readonly parseCommand: (text: string) => ParsedCommand;
  readonly baseEnv: BaseEnvironment;
  /** Absolute. Tells this gateway's processes from another's when orphans are looked for. */
  readonly stateDir: string;
  readonly maxOutputChars: number;
  readonly spawnLimits: SpawnLimits;
}

export interface SpawnLimits {
  readonly maxRunning: number;
  readonly maxRunningPerSession: number;
  /** Ended commands that a session can still ask about; the oldest is forgotten first. */
  readonly maxKeptPerSession: number;
  /** From TERM to KILL, for whoever does not end when asked. */
  readonly killGraceMs: number;
}

interface Session {
  readonly kept: Map<string, RunningCommand>;
  /** About to start; counted before the first await, so that a burst cannot pass the limits. */
  starting: number;
  ended: boolean;
}

/** All commands of a gateway. */
export interface CommandHost {
  /** The commands of one session, which start in that workspace. The same session always gets the same commands. */
  forSession(sessionKey: string, workspace: HostWorkspace): Commands;
  /** Ends what a session still runs, and forgets it. */
  endSession(sessionKey: string): Promise<void>;
  /** Ends everything; nothing starts afterwards. */
  closeAll(): Promise<void>;
  /** Ends what a gateway that crashed left running for this state folder. Gives how many processes that were. */
  reapOrphans(): Promise<number>;
}

/** Runs permitted commands on this host, each as a process group of its own with an environment built from nothing. */
export function createCommands(deps: CommandHostDeps): CommandHost {
  const sessions = new Map<string, Session>();
  const stateMark = createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16);
  const instance = deps.random.bytes(6).toString("hex");
  let closing = false;

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
    session: Session,
    workspace: HostWorkspace,
    request: CommandRequest,
  ): Promise<RunningCommand> {
    const { kept } = session;
    const id = deps.random.bytes(5).toString("hex");
    const mark = `${stateMark}.${instance}.${id}`;
    const env = buildEnvironment(deps.baseEnv, request.env, { home: workspace.root, run: mark });
    const folder = await workspace.openFolder(request.workdir);
    try {
      const { file, args, argv0 } = await invocation(request.command, folder.path);
      // Whoever ends the session from here on finds the command in it: nothing waits in between.
      checkOpen(session);
      // A group and session of its own: the whole of it can be ended, and it has no terminal to type into.
      const child = spawn(file, args, {
        argv0,
        cwd: folder.path,
        env,
        detached: true,
        shell: false,
        stdio: "pipe",
      });
      const command = followCommand(child, {
        clock: deps.clock,
        sendSignal: deps.sendSignal,
        id,
        command: request.command,
        mark,
        timeoutMs: request.timeoutMs,
        killGraceMs: deps.spawnLimits.killGraceMs,
        tail: new OutputTail(deps.maxOutputChars),
        remove: () => kept.delete(id),
      });
      kept.set(id, command);
      forgetOldest(kept);
      return command;
    } finally {
      await folder.close();
    }
  }

  async function invocation(command: string, workdir: string) {
    const parsed = deps.parseCommand(command);
    if (!parsed.simple) return { file: "/bin/sh", args: ["-c", "--", command], argv0: "sh" };
    const [program, ...args] = parsed.argv;
    const file = await resolveProgram(program, searchPath(deps.baseEnv.PATH), workdir);
    if (file === undefined)
      throw new InputError(
        `There is no program ${JSON.stringify(program)} here. Check the name, or use its full path.`,
      );
    return { file, args, argv0: program };
  }

  function forgetOldest(kept: Map<string, RunningCommand>): void {
    const over = kept.size - running(kept).length - deps.spawnLimits.maxKeptPerSession;
    const ended = [...kept.values()].filter((command) => command.exit !== undefined);
    for (const command of ended.slice(0, Math.max(0, over))) kept.delete(command.id);
  }

  async function end({ kept }: Session): Promise<void> {
    await Promise.all([...kept.values()].map((command) => command.kill()));
  }

  return {
    forSession(sessionKey, workspace) {
      const session = sessions.get(sessionKey) ?? { kept: new Map(), starting: 0, ended: false };
      sessions.set(sessionKey, session);
      return {
        async start(request) {
          checkOpen(session);
          checkRoom(session);
          session.starting += 1;
          try {
            return await start(session, workspace, request);
          } finally {
            session.starting -= 1;
          }
        },
        list: () => [...session.kept.values()],
        get: (id) => session.kept.get(id),
      };
    },

    async endSession(sessionKey) {
      const session = sessions.get(sessionKey);
      if (!session) return;
      sessions.delete(sessionKey);
      session.ended = true;
      await end(session);
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
    },

    async reapOrphans() {
      const own = `${stateMark}.${instance}.`;
      const pids = await markedProcesses((mark) => mark.startsWith(`${stateMark}.`) && !mark.startsWith(own));
      for (const pid of pids) {
        try {
          deps.sendSignal(pid, "SIGKILL");
        } catch {
          // It ended by itself in the meantime.
        }
      }
      return pids.length;
    },
  };
}
