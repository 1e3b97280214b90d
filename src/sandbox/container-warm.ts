import type { Duplex } from "node:stream";
import { type Clock, InputError, sleep } from "../kernel/mod.ts";
import { type ContainerEngine, EngineError } from "./container-engine.ts";
import { openShell, type WaitingShell } from "./container-shell.ts";
import type { LineEnd } from "./line-run.ts";
import type { InsideCommand, InsideRun } from "./sandbox-host.ts";

/** A container that is kept for the next commands of its sandbox. */
export interface WarmContainer {
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
  lastUsedAtMs(): number;
  runningCommands(): number;
  /** True: it has ended, or is about to. */
  isGone(): boolean;
  /** Rejects with an InputError where nothing was started. */
  start(command: InsideCommand): Promise<InsideRun>;
  /** Ends it, with all that runs in it. Never rejects. */
  remove(): Promise<void>;
}

/** How often it is asked whether a command has ended whose output goes on: something it left holds that open. */
const firstLookMs = 250;
const lookAgainMs = 1000;
const nextAfterMs = 100;
const spareMs = 5000;
const graceToEndMs = 3000;
const removalMs = 5000;

export function keepWarm(deps: {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  readonly containerId: string;
  readonly name: string;
  readonly user: string;
  /** A forwarder to the proxy's socket is started before a command, where none runs. */
  readonly forwards: boolean;
  /** As long as this is open, the container lives. */
  readonly keeper: Duplex;
}): WarmContainer {
  const { engine, clock, containerId, keeper } = deps;
  const createdAtMs = clock.now();
  let lastUsedAtMs = createdAtMs;
  let gone = false;
  /** Counted before the first wait, so that what one command leaves is not ended together with the next. */
  let active = 0;
  let tidying: Promise<void> = Promise.resolve();
  let spare = nextShell();
  let turn: Promise<unknown> = Promise.resolve();

  keeper.resume();
  keeper.once("close", () => {
    gone = true;
  });

  function nextShell(): Promise<WaitingShell> {
    const shell = openShell({ engine, clock, containerId, user: deps.user, forwards: deps.forwards });
    shell.catch(() => {});
    return shell;
  }

  /** One after another: a shell that is asked for something is not given to a command meanwhile. */
  function withShell<T>(use: (shell: WaitingShell) => T | Promise<T>): Promise<T> {
    const result = turn.then(async () => {
      let shell = await spare.catch(() => undefined);
      if (!shell?.isOpen()) {
        spare = nextShell();
        shell = await spare;
      }
      return use(shell);
    });
    turn = result.catch(() => {});
    return result;
  }

  /** What nobody runs any more is ended, however it detached. Where that cannot be done, the container is. */
  async function tidy(): Promise<void> {
    try {
      await within(withShell((shell) => shell.signalAll("KILL")));
    } catch {
      await remove();
    }
  }

  function within<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([
      promise,
      sleep(clock, spareMs).then(() => {
        throw new Error("the sandbox does not answer");
      }),
    ]);
  }

  async function start(command: InsideCommand): Promise<InsideRun> {
    if (gone) throw new InputError("The sandbox has ended meanwhile. Try again: a new one is made.");
    active += 1;
    try {
      await tidying;
      return await withShell((shell) => {
        shell.run(command);
        lastUsedAtMs = clock.now();
        const run = follow(shell, command);
        // The next one costs the engine as much as this command: not while it is begun.
        spare = Promise.race([run.done, sleep(clock, nextAfterMs)]).then(nextShell);
        spare.catch(() => {});
        return run;
      });
    } catch (error) {
      settle();
      if (error instanceof EngineError) {
        if (error.status === undefined || error.status === 404 || error.status === 409) gone = true;
        throw new InputError(`The command could not be started in the sandbox. ${error.message}`);
      }
      throw error;
    }
  }

  function settle(): void {
    active -= 1;
    lastUsedAtMs = clock.now();
    if (active === 0 && !gone) tidying = tidy();
  }

  function follow(shell: WaitingShell, command: InsideCommand): InsideRun {
    const { streams } = shell;
    let hasEnded = false;
    const closed = new Promise<void>((resolve) => streams.stdout.once("close", resolve));
    // Nobody may read them: then they end all the same.
    const done = endOf(shell.execId, closed).then((end) => {
      hasEnded = true;
      settle();
      return end;
    });
    return {
      streams,
      done,
      async end(graceMs) {
        if (hasEnded) return;
        await endRun(command.mark, graceMs, done);
      },
    };
  }

  async function endOf(execId: string, closed: Promise<void>): Promise<LineEnd> {
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    for (let wait = firstLookMs; ; wait = Math.min(wait * 2, isClosed ? 200 : lookAgainMs)) {
      if (!isClosed) await Promise.race([closed, sleep(clock, wait)]);
      if (isClosed && wait > 200) wait = 5;
      try {
        const exec = (await engine.call("GET", `/exec/${execId}/json`)) as ExecFacts;
        if (!exec.Running) return { code: exec.ExitCode ?? null, signal: null };
      } catch {
        // Its container is gone, or the engine: so is the command.
        gone = true;
        return { code: null, signal: "SIGKILL" };
      }
      if (isClosed) await sleep(clock, wait);
    }
  }

  async function endRun(mark: string, graceMs: number, done: Promise<LineEnd>): Promise<void> {
    const isAlone = active === 1;
    const ended = done.then(() => {});
    const signal = async (name: "TERM" | "KILL") => {
      await within(
        withShell((shell) =>
          isAlone && active === 1 ? shell.signalAll(name) : shell.signalMarked(name, mark),
        ),
      );
    };
    try {
      await signal("TERM");
      if (await endsWithin(ended, graceMs)) return;
      await signal("KILL");
      if (await endsWithin(ended, graceToEndMs)) return;
    } catch {
      // Its shell was ended, or cannot be started: too many processes.
    }
    await remove();
    await endsWithin(ended, graceToEndMs);
  }

  async function endsWithin(ended: Promise<void>, ms: number): Promise<boolean> {
    const over = new AbortController();
    let isOver = false;
    void ended.then(() => {
      isOver = true;
      over.abort();
    });
    await sleep(clock, ms, over.signal);
    return isOver;
  }

  async function remove(): Promise<void> {
    gone = true;
    await removeContainer(engine, clock, containerId);
    keeper.destroy();
    void spare.then(
      (shell) => shell.close(),
      () => {},
    );
  }

  return {
    id: containerId,
    name: deps.name,
    createdAtMs,
    lastUsedAtMs: () => lastUsedAtMs,
    runningCommands: () => active,
    isGone: () => gone,
    start,
    remove,
  };
}

interface ExecFacts {
  readonly Running: boolean;
  readonly ExitCode?: number | null;
}

/** With all that runs in it; resolves once it is gone, or its engine does not say. Never rejects. */
export async function removeContainer(engine: ContainerEngine, clock: Clock, id: string): Promise<void> {
  await engine.call("DELETE", `/containers/${id}?force=1&v=1`).catch(() => {});
  // One that ended by itself may be on its way out already.
  for (let waited = 0; waited < removalMs; waited += 50) {
    if (
      await engine
        .call("GET", `/containers/${id}/json`)
        .catch(() => true)
        .then((gone) => gone === true)
    )
      return;
    await sleep(clock, 50);
  }
}
