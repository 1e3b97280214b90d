import { mkdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../../kernel/mod.ts";
import { isObject } from "../settings-reader.ts";
import type { AuthState, Baileys } from "./library.ts";

const credsName = "creds.json";
const backupName = "creds.json.bak";

/**
 * The linked device's keys, in the files that the library's own store uses (`creds.json`, `<type>-<id>.json`), each 600
 * in a folder that is 700 and never half written. The latest `creds.json` before this one stays as `creds.json.bak`.
 */
export class Credentials {
  readonly #folder: string;
  readonly #library: Baileys;
  #creds: Readonly<Record<string, unknown>>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(folder: string, library: Baileys, creds: Readonly<Record<string, unknown>>) {
    this.#folder = folder;
    this.#library = library;
    this.#creds = creds;
  }

  /**
   * Rejects with an InputError when there are keys that cannot be read: a new device would be linked in their place.
   */
  static async open(folder: string, library: Baileys): Promise<Credentials> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const read = async (name: string) => {
      const text = await textOf(join(folder, name));
      if (text === undefined) return undefined;
      try {
        const value: unknown = JSON.parse(text, library.BufferJSON.reviver);
        return isObject(value) ? value : ("unreadable" as const);
      } catch {
        return "unreadable" as const;
      }
    };
    const creds = await read(credsName);
    const kept = creds === undefined || creds === "unreadable" ? await read(backupName) : creds;
    if (kept === "unreadable" || (creds === "unreadable" && kept === undefined)) {
      throw new InputError(
        `the keys in ${join(folder, credsName)} cannot be read; restore them from a backup, or remove the folder and link the device anew`,
      );
    }
    const fresh = library.initAuthCreds();
    return new Credentials(folder, library, kept ?? (isObject(fresh) ? fresh : {}));
  }

  /** The account that the device is linked to; empty while it is not. */
  get self(): { readonly id?: string; readonly lid?: string } {
    const me = isObject(this.#creds.me) ? this.#creds.me : {};
    return {
      ...(typeof me.id === "string" ? { id: me.id } : {}),
      ...(typeof me.lid === "string" ? { lid: me.lid } : {}),
    };
  }

  /** The library changes the object that it was given, and says so. */
  get state(): AuthState {
    return {
      creds: this.#creds,
      keys: {
        get: async (type, ids) =>
          Object.fromEntries(
            await Promise.all(ids.map(async (id) => [id, await this.#key(type, id)] as const)),
          ),
        set: async (data) => {
          const writes = Object.entries(data).flatMap(([type, values]) =>
            Object.entries(values ?? {}).map(([id, value]) => this.#setKey(type, id, value)),
          );
          await Promise.all(writes);
        },
      },
    };
  }

  /** Takes over what changed; resolves when it is on disk. */
  update(change: unknown): Promise<void> {
    if (isObject(change)) Object.assign(this.#creds, change);
    this.#writing = this.#writing.then(async () => {
      const path = join(this.#folder, credsName);
      const before = await textOf(path);
      if (before !== undefined && before !== "") await this.#write(backupName, before);
      await this.#write(credsName, this.#textOf(this.#creds));
    });
    return this.#writing;
  }

  /** Resolves when nothing is being written; what could not be was told by {@link update}. */
  saved(): Promise<void> {
    return this.#writing.catch(() => {});
  }

  async #key(type: string, id: string): Promise<unknown> {
    const text = await textOf(join(this.#folder, fileName(type, id)));
    if (text === undefined) return undefined;
    const value: unknown = JSON.parse(text, this.#library.BufferJSON.reviver);
    return type === "app-state-sync-key" && isObject(value)
      ? this.#library.proto.Message.AppStateSyncKeyData.fromObject(value)
      : value;
  }

  async #setKey(type: string, id: string, value: unknown): Promise<void> {
    const name = fileName(type, id);
    if (value !== null && value !== undefined) return this.#write(name, this.#textOf(value));
    await unlink(join(this.#folder, name)).catch((error: { readonly code?: string }) => {
      if (error.code !== "ENOENT") throw error;
    });
  }

  #textOf(value: unknown): string {
    return JSON.stringify(value, this.#library.BufferJSON.replacer);
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#folder, name);
    await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
    await rename(`${path}.new`, path);
  }
}

/** As the library names them; whatever else an id holds cannot leave the folder. */
function fileName(type: string, id: string): string {
  return `${`${type}-${id}`
    .replaceAll("/", "__")
    .replaceAll(":", "-")
    .replace(/[^\w.@=+-]/g, "_")}.json`;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "ENOENT") return undefined;
    throw new InputError(`${path} cannot be read; correct its owner and mode`);
  }
}
