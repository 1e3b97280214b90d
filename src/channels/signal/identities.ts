import type { Sender } from "../../delivery/channel.ts";
import { type Clock, InputError } from "../../kernel/mod.ts";
import { KeptFile, readKept } from "../kept-file.ts";
import { isObject } from "../settings-reader.ts";
import { accountUuid, phoneNumber } from "./settings.ts";

const place = { name: "identities.json" } as const;
/** Numbers of one account that are remembered; later ones are still told of, as what a message proves. */
const maxNumbers = 8;

interface Known {
  /** The number that was this account's id here, when a number could be one. */
  readonly formerId?: string;
  /** That it was the first to write under. */
  readonly numbers: readonly string[];
}

type Identity = Pick<Sender, "id" | "aliases" | "formerId">;

/**
 * Which numbers were whose first. An account's id is its uuid, for ever; a number may be hidden, and may belong to
 * another account tomorrow, which must not find the conversations of the first one.
 */
export class Identities {
  readonly #known = new Map<string, Known>();
  readonly #holderOf = new Map<string, string>();
  readonly #kept: KeptFile;

  private constructor(folder: string, clock: Clock, failed: (error: unknown) => void) {
    this.#kept = new KeptFile({ folder, ...place }, clock, () => this.#content(), failed);
  }

  /** Rejects when the file is there and cannot be read: nobody would be known again. */
  static async open(folder: string, clock: Clock, failed: (error: unknown) => void): Promise<Identities> {
    const identities = new Identities(folder, clock, failed);
    for (const [uuid, known] of await readIdentities(folder)) identities.#know(uuid, known);
    return identities;
  }

  /** Who sent it, from what Signal's server vouches for; undefined when it vouches for no account. */
  senderOf(source: { readonly uuid: unknown; readonly number: unknown }): Identity | undefined {
    const uuid = typeof source.uuid === "string" ? accountUuid(source.uuid) : undefined;
    const number = typeof source.number === "string" ? phoneNumber(source.number) : undefined;
    if (uuid === undefined) return undefined;
    if (number !== undefined) this.#note(uuid, number);
    const { formerId, numbers: own = [] } = this.#known.get(uuid) ?? {};
    const proved = number === undefined ? [] : [number];
    return {
      id: `uuid:${uuid}`,
      ...(proved.length + own.length === 0 ? {} : { aliases: { proved, own } }),
      ...(formerId === undefined ? {} : { formerId }),
    };
  }

  /** Whom signal-cli is to write to: the account itself where it is known, so that a new owner of a number gets nothing. */
  recipientOf(id: string): string {
    return this.#holderOf.get(id) ?? id.replace(/^uuid:/, "");
  }

  save(): Promise<void> {
    return this.#kept.save();
  }

  /** One person to a line, under the id and with all numbers as plain text: what names somebody can be taken out. */
  #content(): object {
    const lines = [...this.#known].map(([uuid, { formerId, numbers }]) => {
      const former = formerId === undefined ? {} : { formerId };
      return [`uuid:${uuid}`, { numbers: numbers.join(" "), ...former }] as const;
    });
    return Object.fromEntries(lines);
  }

  #note(uuid: string, number: string): void {
    const known = this.#known.get(uuid) ?? { numbers: [] };
    if (this.#holderOf.has(number) || known.numbers.length >= maxNumbers) return;
    this.#know(uuid, { ...known, numbers: [...known.numbers, number] });
    // At once: killed before, we would take the number's next owner for its first.
    void this.#kept.save();
  }

  #know(uuid: string, known: Known): void {
    this.#known.set(uuid, known);
    for (const number of known.numbers) this.#holderOf.set(number, uuid);
  }
}

/** The other ids under which the account of `id` is known in this folder; empty where it is not. */
export async function otherIds(folder: string, id: string): Promise<readonly string[]> {
  for (const [uuid, { numbers }] of await readIdentities(folder)) {
    const ids = [`uuid:${uuid}`, ...numbers];
    if (ids.includes(id)) return ids.filter((other) => other !== id);
  }
  return [];
}

async function readIdentities(folder: string): Promise<ReadonlyMap<string, Known>> {
  let unreadable = false;
  const kept = await readKept({ folder, ...place }, () => {
    unreadable = true;
  });
  if (unreadable || (kept !== undefined && !isObject(kept))) {
    throw new InputError(
      `${place.name} in ${folder} cannot be read; mend it, or remove it: who had which number first is then forgotten`,
    );
  }
  const found = new Map<string, Known>();
  for (const [key, value] of Object.entries(kept ?? {})) {
    const uuid = accountUuid(key.replace(/^uuid:/, ""));
    const known = knownOf(value);
    if (uuid !== undefined && known) found.set(uuid, known);
  }
  return found;
}

/** An earlier version wrote the id that an account had: its number, or "uuid:" and its uuid. */
function knownOf(value: unknown): Known | undefined {
  if (typeof value === "string") {
    return phoneNumber(value) === value ? { formerId: value, numbers: [value] } : { numbers: [] };
  }
  if (!isObject(value) || typeof value.numbers !== "string") return undefined;
  const numbers = value.numbers.split(" ").filter((item) => phoneNumber(item) === item);
  const { formerId } = value;
  return { ...(typeof formerId === "string" ? { formerId } : {}), numbers };
}
