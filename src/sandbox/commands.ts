import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Clock, InputError, keepAlive, type Random } from "../kernel/mod.ts";
import type { CommandLine } from "../policy/command-tree.ts";
import type { ProvenSandbox } from "./bubblewrap.ts";
import { type LineStreams, openStreams } from "./command-streams.ts";
import { type BaseEnvironment, buildEnvironment, environmentProblem, searchPath } from "./environment.ts";
import { requireSame, requireSameFolder } from "./file-identity.ts";
import { runLine } from "./line-run.ts";
import { OutputTail } from "./output-tail.ts";
import { createPipes, removeLeftPipes } from "./pipes.ts";
import { markedProcesses, type SendSignal } from "./process-tree.ts";
import { resolveProgram } from "./program.ts";
import { followLine } from "./running-command.ts";
import type { HostCommands, PermittedCommand, RunningCommand } from "./tool.ts";
import type { HostWorkspace, OpenedFolder } from "./workspace.ts";
import { parseWorkspacePath } from "./workspace-path.ts";

export interface CommandHostDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** `process.kill` */
  readonly sendSignal: SendSignal;
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
  forSession(sessionKey: string, workspace: HostWorkspace, place?: SandboxDoor): HostCommands;
  /** Ends what a session still runs, and forgets it. */
  endSession(sessionKey: string): Promise<void>;
  /** Ends everything; nothing starts afterwards. */
  closeAll(): Promise<void>;
  /** Ends what a gateway that crashed left running for this state folder. Gives how many processes that were. */
  reapOrphans(): Promise<number>;
}

const pipesPrefix = "pipes-";

/** Runs permitted commands on this host, each as a process group of its own with an environment built from nothing. */
export function createCommands(deps: CommandHostDeps): CommandHost {
  const sessions = new Map<string, Session>();
  const stateMark = createHash("sha256").update(deps.stateDir).digest("hex").slice(0, 16);
  const instance = deps.random.bytes(6).toString("hex");
  const searchFolders = searchPath(deps.baseEnv.PATH);
  const pipesName = `${pipesPrefix}${instance}`;
  const pipes = createPipes(join(deps.stateDir, pipesName), searchFolders);
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
    request: PermittedCommand,
    sandbox: ProvenSandbox | undefined,
  ): Promise<RunningCommand> {
    const { kept } = session;
    const id = deps.random.bytes(5).toString("hex");
    const mark = `${stateMark}.${instance}.${id}`;
    const env = buildEnvironment(deps.baseEnv, request.env, {
      home: sandbox ? "/workspace" : workspace.root,
      run: mark,
    });
    const folder = await workspace.openFolder(request.workdir);
    let streams: LineStreams | undefined;
    let files: Awaited<ReturnType<typeof runFiles>>;
    try {
      files = sandbox
        ? runInside(sandbox, request, parseWorkspacePath(workspace.root, request.workdir).join("/"))
        : await runFiles(request, folder);
      streams = await openStreams(pipes);
      // Whoever ends the session from here on finds the command in it: nothing waits in between.
      checkOpen(session);
    } catch (error) {
      streams?.abandon();
      await folder.close();
      throw error;
    }
    const run = runLine({
      ...files,
      env,
      searchFolders,
      pipes,
      folder,
      streams: streams.children,
      environmentProblem,
    });
    void run.done.then(streams.closeChildren);
    const command = followLine(run, streams, {
      clock: deps.clock,
      sendSignal: deps.sendSignal,
      id,
      command: request.command,
      mark,
      timeoutMs: request.timeoutMs,
      killGraceMs: deps.spawnLimits.killGraceMs,
      // With the first process of its namespace the kernel ends all others in it.
      endsWhole: sandbox !== undefined,
      tail: new OutputTail(deps.maxOutputChars),
      remove: () => kept.delete(id),
    });
    kept.set(id, command);
    forgetOldest(kept);
    return command;
  }

  /** The tree that runs, and the files that must be what they were. */
  async function runFiles({ command, run }: PermittedCommand, folder: OpenedFolder) {
    if (run.kind === "sandbox") throw new InputError("This session has no sandbox. Nothing was started.");
    if (run.folder) requireSameFolder(folder.path, run.folder);
    if (run.kind === "shell") return { line: shellLine(command), files: [] };
    const program = onlyProgram(run.line);
    if (program !== undefined && (await resolveProgram(program, searchFolders, folder.path)) === undefined)
      throw new InputError(
        `There is no program ${JSON.stringify(program)} here. Check the name, or use its full path.`,
      );
    requireSame(run.files);
    return { line: run.line, files: run.files };
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
    forSession(sessionKey, workspace, place) {
      const key = place ? `${sessionKey}\n${place.id}` : sessionKey;
      const session = sessions.get(key) ?? { kept: new Map(), starting: 0, ended: false };
      sessions.set(key, session);
      return {
        async start(request) {
          checkOpen(session);
          checkRoom(session);
          session.starting += 1;
          try {
            return await start(session, workspace, request, await place?.proven());
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

/** A shell that gets the text as it stands, and nothing else. */
function shellLine(text: string): CommandLine {
  return plainLine(["sh", "-c", "--", text]);
}

function plainLine(argv: readonly string[]): CommandLine {
  const words = argv.map((word) => ({ text: word }));
  return [{ when: "always", negated: false, commands: [{ assignments: [], words, redirections: [] }] }];
}

/** The line that starts the sandbox around the text. Only a run that was permitted for this very sandbox. */
function runInside(sandbox: ProvenSandbox, { command, run }: PermittedCommand, workdir: string) {
  if (run.kind !== "sandbox" || run.sandboxId !== sandbox.id)
    throw new InputError(
      "The command was permitted for another place than this sandbox. Nothing was started.",
    );
  return { line: plainLine(sandbox.argv(command, workdir)), files: [] };
}

/** The program of a line that is nothing but one command: whether it exists can be told before anything starts. */
function onlyProgram(line: CommandLine): string | undefined {
  const [step, ...more] = line;
  const [command, ...piped] = step?.commands ?? [];
  const name = command?.words[0]?.text;
  return more.length + piped.length > 0 || /^(?:cd|export|exit|:)$/.test(name ?? "") ? undefined : name;
}
