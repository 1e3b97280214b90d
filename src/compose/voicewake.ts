import { join } from "node:path";
import { type Hub, type Subscriber, type VoicewakePort, wakeWords } from "../control/mod.ts";
import { type Clock, InputError, type Log, schema } from "../kernel/mod.ts";
import { ensureFolder, readJsonFile, writeJsonFile } from "../store/mod.ts";

/** What devices listen for until somebody says otherwise (https://docs.openclaw.ai/nodes/voicewake). */
const usualWords: readonly string[] = ["openclaw", "claude", "computer"];

const kept = schema.open(schema.object({ triggers: wakeWords }));

/** Where the wake words are kept. */
interface WordFile {
  readonly path: string;
  read(): Promise<unknown>;
  write(value: unknown): Promise<void>;
}

/** settings/voicewake.json of the state folder. */
export function wakeWordFile(stateFolder: string): WordFile {
  const folder = join(stateFolder, "settings");
  const path = join(folder, "voicewake.json");
  return {
    path,
    read: () => readJsonFile(path),
    async write(value) {
      await ensureFolder(folder);
      await writeJsonFile(path, value);
    },
  };
}

/** The wake words: read when somebody first wants them; and whoever is told of a change. */
export function composeVoicewake(parts: {
  readonly file: WordFile;
  readonly hub: Pick<Hub, "send" | "all">;
  readonly clock: Clock;
  readonly log: Log;
}): VoicewakePort & { greet(node: Subscriber): void } {
  const { file } = parts;
  let known: readonly string[] | undefined;
  let writing: Promise<unknown> = Promise.resolve();

  async function load(): Promise<void> {
    if (known) return;
    const read = wordsOf(await file.read(), file.path);
    // What was set in between is newer.
    known ??= read;
  }

  async function get(): Promise<readonly string[]> {
    await load();
    return known ?? usualWords;
  }

  /** On the socket of a node alone, so without a number. */
  function tell(node: Subscriber, triggers: readonly string[]): void {
    node.socket.send(JSON.stringify({ type: "event", event: "voicewake.changed", payload: { triggers } }));
  }

  async function put(triggers: readonly string[]): Promise<void> {
    await file.write({ triggers, updatedAtMs: parts.clock.now() });
    known = triggers;
    parts.hub.send("voicewake.changed", { kind: "readers" }, { triggers });
    for (const one of parts.hub.all()) if (one.principal.role === "node") tell(one, triggers);
  }

  return {
    get,
    async set(triggers) {
      const next = triggers.length > 0 ? triggers : usualWords;
      // One after the other: the file, what is known, and the last event are the same list.
      const work = writing.then(() => put(next));
      writing = work.catch(() => {});
      await work;
      return next;
    },
    greet(node) {
      load().then(
        () => tell(node, known ?? usualWords),
        (error) =>
          parts.log("warn", "a node was not told the wake words", { error: (error as Error).message }),
      );
    },
  };
}

function wordsOf(value: unknown, path: string): readonly string[] {
  if (value === undefined) return usualWords;
  const [problem] = schema.check(kept, value);
  if (problem)
    throw new InputError(`${path}: ${schema.problemText(problem)}; mend it, or set the wake words anew`);
  return (value as schema.Static<typeof kept>).triggers;
}
