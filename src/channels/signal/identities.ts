import type { Clock } from "../../kernel/mod.ts";
import { KeptFile, readKept } from "../kept-file.ts";
import { isObject } from "../settings-reader.ts";
import { accountUuid, phoneNumber } from "./settings.ts";

const place = { name: "identities.json" } as const;

/**
 * Which id a Signal account has here: the one under which it first wrote, for ever. Its number may be hidden later, and
 * a number that changed hands belongs to another account: that one is never taken for the first.
 */
export class Identities {
  readonly #idOf = new Map<string, string>();
  readonly #uuidOf = new Map<string, string>();
  readonly #kept: KeptFile;

  private constructor(folder: string, clock: Clock, failed: (error: unknown) => void) {
    this.#kept = new KeptFile({ folder, ...place }, clock, () => Object.fromEntries(this.#idOf), failed);
  }

  /** Rejects when the file is there and cannot be read: nobody would be known again. */
  static async open(folder: string, clock: Clock, failed: (error: unknown) => void): Promise<Identities> {
    const identities = new Identities(folder, clock, failed);
    let unreadable = false;
    const kept = await readKept({ folder, ...place }, () => {
      unreadable = true;
    });
    if (unreadable || (kept !== undefined && !isObject(kept))) {
      throw new Error("identities.json cannot be read");
    }
    for (const [uuid, id] of Object.entries(kept ?? {})) {
      if (accountUuid(uuid) === uuid && typeof id === "string") identities.#add(uuid, id);
    }
    return identities;
  }

  /** The sender's id here, from what Signal's server vouches for; undefined when it vouches for nobody. */
  idOf(source: { readonly uuid: unknown; readonly number: unknown }): string | undefined {
    const uuid = typeof source.uuid === "string" ? accountUuid(source.uuid) : undefined;
    const number = typeof source.number === "string" ? phoneNumber(source.number) : undefined;
    if (uuid === undefined) return undefined;
    const known = this.#idOf.get(uuid);
    if (known !== undefined) return known;
    const id = number !== undefined && !this.#uuidOf.has(number) ? number : `uuid:${uuid}`;
    this.#add(uuid, id);
    // At once: killed before, we would know somebody else under this number.
    void this.#kept.save();
    return id;
  }

  /** Whom signal-cli is to write to: the account itself where it is known, so that a new owner of a number gets nothing. */
  recipientOf(id: string): string {
    return this.#uuidOf.get(id) ?? id.replace(/^uuid:/, "");
  }

  save(): Promise<void> {
    return this.#kept.save();
  }

  #add(uuid: string, id: string): void {
    this.#idOf.set(uuid, id);
    this.#uuidOf.set(id, uuid);
  }
}
