/** One line of waiting work per session, held in memory and rebuilt from the inbox at start. */
export interface Lanes {
  /** How many wait or run in this session; and in all of them. */
  depth(sessionKey: string): number;
  readonly total: number;
  readonly running: number;
  /** True when one more fits. Ask before the message is acknowledged. */
  hasRoom(sessionKey: string): boolean;
  /** Adds work to the end of the session's line. The work must not throw; when it does, `onError` hears of it. */
  add(sessionKey: string, work: () => Promise<void>): void;
  /** Stops starting work (what runs goes on). */
  pause(): void;
  /** Starts work again. */
  resume(): void;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

interface Lane {
  readonly waiting: (() => Promise<void>)[];
}

export function createLanes(limits: {
  readonly perSession: number;
  readonly total: number;
  /** Sessions that may run at once. */
  readonly concurrent: number;
  readonly onError: (sessionKey: string, error: unknown) => void;
}): Lanes {
  const lanes = new Map<string, Lane>();
  const ready: string[] = [];
  const idleWaiters: (() => void)[] = [];
  let total = 0;
  let running = 0;
  let paused = false;

  function startReady(): void {
    while (!paused && running < limits.concurrent && ready.length > 0) {
      const key = ready.shift() as string;
      running += 1;
      void runNext(key);
    }
  }

  async function runNext(key: string): Promise<void> {
    const lane = lanes.get(key);
    const work = lane?.waiting[0];
    if (lane && work) {
      try {
        await work();
      } catch (error) {
        limits.onError(key, error);
      }
      lane.waiting.shift();
      total -= 1;
      if (lane.waiting.length === 0) lanes.delete(key);
      // To the back of the line, so that a busy session cannot starve the others.
      else ready.push(key);
    }
    running -= 1;
    startReady();
    if (running === 0) for (const resolve of idleWaiters.splice(0)) resolve();
  }

  return {
    depth: (key) => lanes.get(key)?.waiting.length ?? 0,
    get total() {
      return total;
    },
    get running() {
      return running;
    },
    hasRoom: (key) => total < limits.total && (lanes.get(key)?.waiting.length ?? 0) < limits.perSession,
    add(key, work) {
      total += 1;
      const lane = lanes.get(key);
      if (lane) {
        lane.waiting.push(work);
        return;
      }
      lanes.set(key, { waiting: [work] });
      ready.push(key);
      startReady();
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      startReady();
    },
    idle: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve))),
  };
}
