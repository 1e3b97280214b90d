import { type Clock, InputError, type Log, type Random } from "../kernel/mod.ts";
import type { CommandExit, Commands, RunningCommand } from "../sandbox/mod.ts";
import type { NodeRun } from "../sandbox/node.ts";

/** A command on a node, as the process tool sees it. */
export interface NodeCommand extends RunningCommand {
  /** How it ended; never rejects. */
  readonly ended: Promise<NodeRun>;
}

/** Commands on nodes that a call no longer waits for, of each session. What they print is kept here, as far as it goes. */
export interface NodeBackground {
  /** Begins one. Throws an InputError when too many of this session run already. */
  start(
    session: string,
    command: string,
    begin: (signal: AbortSignal, output: (text: string) => void) => Promise<NodeRun>,
  ): NodeCommand;
  of(session: string): Pick<Commands, "list" | "get">;
  /** Ends all that run. */
  close(): Promise<void>;
}

const maxRunning = 16;
const maxKept = 32;
const maxOutputChars = 200_000;

export function createNodeBackground(ports: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): NodeBackground {
  const sessions = new Map<string, Map<string, NodeCommand>>();

  const of = (session: string) => sessions.get(session) ?? new Map<string, NodeCommand>();

  function makeRoom(own: Map<string, NodeCommand>): void {
    const running = [...own.values()].filter((item) => !item.exit);
    if (running.length >= maxRunning)
      throw new InputError(
        `${maxRunning} commands run on nodes already. End one of them with process first.`,
      );
    const [oldest] = [...own.values()].filter((item) => item.exit);
    if (own.size >= maxKept) oldest?.remove();
  }

  return {
    start(session, command, begin) {
      const own = sessions.get(session) ?? new Map<string, NodeCommand>();
      makeRoom(own);
      sessions.set(session, own);
      const id = `node-${ports.random.bytes(4).toString("hex")}`;
      const forget = () => {
        own.delete(id);
        if (own.size === 0) sessions.delete(session);
      };
      const made = follow({ ...ports, id, command, begin, forget });
      own.set(id, made);
      return made;
    },
    of: (session) => ({
      list: () => [...of(session).values()],
      get: (id) => of(session).get(id),
    }),
    async close() {
      await Promise.all(
        [...sessions.values()].flatMap((own) => [...own.values()].map((item) => item.kill())),
      );
    },
  };
}

function follow(parts: {
  readonly id: string;
  readonly command: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly begin: (signal: AbortSignal, output: (text: string) => void) => Promise<NodeRun>;
  readonly forget: () => void;
}): NodeCommand {
  const { id, command, clock } = parts;
  const stop = new AbortController();
  let exit: CommandExit | undefined;
  let text = "";
  let dropped = 0;
  /** How much of everything was polled. */
  let polled = 0;
  const append = (piece: string) => {
    const all = `${text}${piece}`;
    text = all.slice(-maxOutputChars);
    dropped += all.length - text.length;
  };
  const failed = (error: Error): NodeRun => {
    if (error instanceof InputError) return { ran: false, message: error.message };
    parts.log("error", "a command on a node failed", { command: id, cause: error.message });
    return {
      ran: false,
      message: "The command could not be sent to the node. The gateway's log tells why.",
    };
  };
  const ended = parts
    .begin(stop.signal, append)
    .catch(failed)
    .then((run) => {
      if (run.ran === true) {
        // What came while it ran is the same, piece by piece; some nodes send none.
        if (text === "" && dropped === 0) append(`${run.stdout}${run.stderr}`);
        exit = { code: run.exitCode, signal: null, timedOut: run.timedOut };
      } else {
        append(`\n${run.ran === false ? run.message : ""}`);
        exit = { code: null, signal: null, timedOut: false };
      }
      return run;
    });
  const noInput = () => {
    throw new InputError("A command on a node takes no input: there is nobody to type into it.");
  };
  return {
    id,
    command,
    startedAtMs: clock.now(),
    ended,
    get exit() {
      return exit;
    },
    hasTerminal: false,
    output: () => ({ text, droppedChars: dropped }),
    poll() {
      const fresh = text.slice(Math.max(0, polled - dropped));
      polled = dropped + text.length;
      return fresh;
    },
    async lines(offset, limit) {
      const all = text.replace(/\n$/, "").split("\n");
      const total = text === "" ? 0 : all.length;
      const first = offset ?? Math.max(1, total - limit + 1);
      return { first, lines: total === 0 ? [] : all.slice(first - 1, first - 1 + limit), total };
    },
    write: noInput,
    paste: noInput,
    closeInput: noInput,
    async kill() {
      stop.abort();
      await ended;
    },
    async wait(ms, signal) {
      await new Promise<void>((resolve) => {
        const done = () => {
          cancel();
          signal.removeEventListener("abort", done);
          resolve();
        };
        const cancel = Number.isFinite(ms) ? clock.after(ms, done) : () => {};
        signal.addEventListener("abort", done);
        void ended.then(done);
        if (signal.aborted) done();
      });
    },
    remove: parts.forget,
  };
}
