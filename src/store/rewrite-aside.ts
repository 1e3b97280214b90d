import { Worker } from "node:worker_threads";

/** Somebody who reads gets so long to end; then the log cannot be emptied. */
const patienceMs = 10_000;

const code = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { DatabaseSync } = require("node:sqlite");
  const { file, patienceMs } = workerData;
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA busy_timeout = " + patienceMs + "; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON");
    database.exec("VACUUM");
    const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    parentPort.postMessage(busy === 0 ? "" : "another program reads the database");
  } catch (error) {
    parentPort.postMessage(String(error.message));
  } finally {
    database.close();
  }
`;

/**
 * Writes the whole file anew and empties its log, in a thread of its own: 25 ms for each MB on a busy machine, and as much
 * memory as the file is large. Who writes meanwhile would have to wait; who reads need not. Rejects when it could not.
 */
export async function rewriteAside(file: string): Promise<void> {
  const worker = new Worker(code, { eval: true, workerData: { file, patienceMs } });
  const failure = await new Promise<string>((resolve) => {
    worker.once("message", (text: string) => resolve(text));
    worker.once("error", (error) => resolve(error.message));
    worker.once("exit", () => resolve("the thread ended"));
  });
  await worker.terminate();
  if (failure !== "") throw new Error(`the database could not be written anew: ${failure}`);
}
