import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../kernel/mod.ts";

const saveAfterMs = 1_000;

/**
 * Keeps what a channel must know after a restart in a JSON file (600, its folder 700). It is written a second after a
 * change and at the end: a crash in between means that a few events are delivered again, which the gateway recognises.
 */
export class KeptFile {
  readonly #folder: string;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #read: () => unknown;
  readonly #failed: (error: unknown) => void;
  #writing: Promise<void> = Promise.resolve();
  #due: (() => void) | undefined;

  /** `read` gives what is to be kept now; `failed` hears of a write that did not work (the next change tries again). */
  constructor(
    place: { readonly folder: string; readonly name: string },
    clock: Clock,
    read: () => unknown,
    failed: (error: unknown) => void,
  ) {
    this.#folder = place.folder;
    this.#name = place.name;
    this.#clock = clock;
    this.#read = read;
    this.#failed = failed;
  }

  changed(): void {
    this.#due ??= this.#clock.after(saveAfterMs, () => void this.save());
  }

  /** Resolves when what is to be kept now is on disk, or could not be written. */
  save(): Promise<void> {
    this.#due?.();
    this.#due = undefined;
    this.#writing = this.#writing.then(() => this.#write()).catch((error: unknown) => this.#failed(error));
    return this.#writing;
  }

  async #write(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, this.#name);
    await writeFile(`${path}.new`, JSON.stringify(this.#read()), { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
  }
}

/** What was kept, as JSON; undefined when there is no file, or none that can be read (`unreadable` is told). */
export async function readKept(
  { folder, name }: { readonly folder: string; readonly name: string },
  unreadable: (error: unknown) => void,
): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, name), "utf8"));
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") unreadable(error);
    return undefined;
  }
}
