import { restartExpectedMs, tickIntervalMs } from "../control/mod.ts";
import type { Listener } from "../network/mod.ts";
import { every, keepCheckpointing } from "./checkpoint.ts";
import type { Foundation } from "./foundation.ts";
import { tellLostCommands } from "./lost-commands.ts";
import type { MessagePath } from "./message-path.ts";
import type { OperatorPath } from "./operator-path.ts";

/** Finishes what runs (up to `graceMs`), then closes everything. A second call only waits. */
export type Stop = (graceMs: number, why?: "stopping" | "restarting") => Promise<void>;

/** Begins what runs beside a gateway that listens, its turns and its channels too; gives what ends it all. */
export function beginBeside(
  foundation: Foundation,
  path: MessagePath,
  operators: OperatorPath,
  listener: Listener,
): Stop {
  const { clock, log, store } = foundation;
  const cancelTick = every(clock, tickIntervalMs, () =>
    path.hub.send("tick", { kind: "everybody" }, { ts: clock.now() }),
  );
  const cancelCheckpoint = keepCheckpointing(clock, foundation.paths.database, store);
  const cancelSweep = path.media.keepSweeping();
  const background = beginTurns(foundation, path);
  background.catch((error) => log("error", "the start did not finish", { error: (error as Error).message }));

  let stopping: Promise<void> | undefined;
  return (graceMs, why = "stopping") => {
    stopping ??= (async () => {
      log("info", "stopping", { activeRuns: path.runs.size });
      foundation.running.isReady = false;
      foundation.live.close();
      path.missed.close();
      operators.revocation.close();
      operators.suspension.close();
      cancelTick();
      cancelCheckpoint();
      cancelSweep();
      await background.catch(() => {});
      await path.channels.stop();
      await path.gateway.drain(graceMs);
      await endConnections(foundation, path, operators, listener, why);
      await closeParts(foundation, path, operators);
    })();
    return stopping;
  };
}

/** Takes up what an earlier gateway left, then begins turns, opens the channels and sends what waits. */
async function beginTurns(foundation: Foundation, path: MessagePath): Promise<void> {
  const { live, store, commit, clock, random, log } = foundation;
  const { transcripts, gateway } = path;
  const { tools } = path.agents;
  await live
    .saveLastGood()
    .catch((error) =>
      log("warn", "the last good config could not be kept", { error: (error as Error).message }),
    );
  // Only a gateway that was not stopped in order can have left commands behind; they end before any turn begins.
  if (store.meta.get("cleanStop") !== "yes") {
    await tools.reapOrphans().catch((error) =>
      log("error", "commands that an earlier gateway left running could not be ended", {
        error: error.message,
      }),
    );
    for (const row of store.sessions.list({ archived: "all", limit: 200, offset: 0 }).rows)
      transcripts.touch(row);
  }
  await tellLostCommands({ tools, store, touchTranscript: transcripts.touch, clock, random, log }).catch(
    (error) =>
      log("error", "conversations could not be told of commands that were lost", { error: error.message }),
  );
  // A full disk must not keep the turns from beginning once there is room again.
  await commit([store.meta.put("cleanStop", "no")]).catch((error) =>
    log("error", "the start could not be noted", { error: error.message }),
  );
  await path.accessMemory
    .sweep()
    .catch((error) =>
      log("warn", "budgets that are over could not be forgotten", { error: (error as Error).message }),
    );
  gateway.begin();
  await path.channels.apply(foundation.config());
  gateway.deliver();
  path.missed.noted();
}

async function endConnections(
  { edge }: Foundation,
  { hub }: MessagePath,
  { nodeCommands, operator, questions, snapshots }: OperatorPath,
  listener: Listener,
  why: "stopping" | "restarting",
): Promise<void> {
  // While the nodes can still be told.
  await nodeCommands.close();
  // And whoever waits for an answer.
  await questions.close();
  hub.send(
    "shutdown",
    { kind: "everybody" },
    { reason: `gateway ${why}`, ...(why === "restarting" ? { restartExpectedMs } : {}) },
  );
  operator.closeAll(1012, "service restart");
  snapshots.close();
  await edge.close();
  await listener.close();
}

async function closeParts(
  { store, commit, retention, lock, log, logFile }: Foundation,
  { agents, transcripts, snapshot }: MessagePath,
  { nodes, devices, apiTokens, lockout, eventLoop }: OperatorPath,
): Promise<void> {
  await nodes.nodes.close();
  await devices.close();
  await apiTokens.tokens.close();
  lockout.close();
  await agents.tools.close();
  await agents.standingRules.close();
  await retention.close();
  await transcripts.flush();
  await snapshot.flush();
  await commit([store.meta.put("cleanStop", "yes")]);
  store.checkpoint();
  store.close();
  lock.release();
  eventLoop.close();
  log("info", "stopped");
  await logFile.flush();
  logFile.close();
}
