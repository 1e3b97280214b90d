import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChannelHost, InboundMessage } from "../delivery/channel.ts";
import { type Clock, type Json, type Log, type Random, sleep } from "../kernel/mod.ts";
import { backoffMs } from "./backoff.ts";
import { Lanes } from "./lanes.ts";
import { isObject } from "./settings-reader.ts";

const fileName = "arrivals.jsonl";
const concurrentConversations = 16;
const maxInFlight = 1_000;

export interface ArrivalPorts {
  readonly name: string;
  /** Where the file is kept (600, the folder 700). */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly host: ChannelHost;
  /** Aborts when nothing more is to be handed in. */
  readonly signal: AbortSignal;
  /** What an event says to us; undefined for what is no message of somebody else. */
  read(event: Json): InboundMessage | undefined;
  /** The gateway took the message and will answer it. */
  admitted?(message: InboundMessage): void;
  /** Something could not be stored, or is stored again after all. */
  behind(isBehind: boolean): void;
}

/**
 * Messages of a platform that does not deliver twice. Each is written to a file before anything else is done with it,
 * and leaves it when the gateway stored the outcome; what stands there at the start is handed in first. It is written
 * without waiting for the disk: it outlives the process, not a power cut in the same instant.
 */
export class Arrivals {
  readonly #ports: ArrivalPorts;
  readonly #file: string;
  readonly #lanes = new Lanes(concurrentConversations);
  readonly #open = new Map<string, Json>();
  readonly #unstored = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  #mark: string | undefined;
  #lastDone: string | undefined;

  constructor(ports: ArrivalPorts) {
    this.#ports = ports;
    this.#file = join(ports.folder, fileName);
    for (const entry of this.#readFile()) {
      if (typeof entry.mark === "string") this.#mark = entry.mark;
      if (typeof entry.id === "string" && entry.event !== undefined) this.#open.set(entry.id, entry.event);
      if (typeof entry.done === "string") this.#open.delete(entry.done);
    }
  }

  /** The platform's own mark of the newest event that was written down; to go on from there. */
  get mark(): string | undefined {
    return this.#mark;
  }

  get isBehind(): boolean {
    return this.#unstored.size > 0;
  }

  /** Hands in what an earlier life could not. It stays in the file meanwhile: this life may be killed too. */
  takeLeft(): void {
    const left = [...this.#open.values()];
    const messages = left.map((event) => this.#read(event));
    this.#open.clear();
    for (const [index, message] of messages.entries()) {
      const event = left[index];
      if (message && event !== undefined && !this.#open.has(message.eventId)) this.#handIn(message, event);
    }
    this.#rewrite();
  }

  /** Writes a mark down by itself: where a platform's events begin for us. */
  begin(mark: string): void {
    this.#mark = mark;
    this.#append({ mark });
  }

  /** Writes an event down and hands it in behind those of its conversation. */
  take(event: Json, mark?: string): void {
    if (mark !== undefined) this.#mark = mark;
    const message = this.#read(event);
    if (!message || this.#open.has(message.eventId)) return;
    this.#append({ id: message.eventId, event, ...(mark === undefined ? {} : { mark }) });
    this.#handIn(message, event);
  }

  #read(event: Json): InboundMessage | undefined {
    try {
      return this.#ports.read(event);
    } catch (error) {
      this.#log("an event could not be read and was skipped", error);
      return undefined;
    }
  }

  #handIn(message: InboundMessage, event: Json): void {
    this.#open.set(message.eventId, event);
    const { id, threadId } = message.conversation;
    void this.#lanes.run(JSON.stringify([id, threadId]), () => this.#store(message));
  }

  /** Resolves when there is room for another event. */
  async room(): Promise<void> {
    if (this.#open.size >= maxInFlight && !this.#ports.signal.aborted)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when nothing is in flight; what is not stored by then stays in the file. */
  async idle(): Promise<void> {
    for (const resolve of this.#waiting.splice(0)) resolve();
    await this.#lanes.idle();
  }

  async #store(message: InboundMessage): Promise<void> {
    const { host, clock, random, signal, behind, admitted } = this.#ports;
    for (let failures = 1; ; failures += 1) {
      if (signal.aborted) return;
      try {
        const verdict = await host.accept(message);
        if (verdict.ok) admitted?.(message);
        break;
      } catch {
        this.#unstored.add(message.eventId);
        behind(true);
        await sleep(clock, backoffMs(failures, random), signal);
      }
    }
    this.#open.delete(message.eventId);
    this.#lastDone = message.eventId;
    // Once nothing is open, no word of anybody's stays in the file.
    if (this.#open.size === 0) this.#rewrite();
    else this.#append({ done: message.eventId });
    this.#waiting.shift()?.();
    if (this.#unstored.delete(message.eventId) && !this.isBehind) behind(false);
  }

  #append(entry: Json): void {
    this.#write(() => appendFileSync(this.#file, `${JSON.stringify(entry)}\n`, { mode: 0o600 }));
  }

  #rewrite(): void {
    const entries = [
      {
        ...(this.#lastDone === undefined ? {} : { done: this.#lastDone }),
        ...(this.#mark ? { mark: this.#mark } : {}),
      },
      ...[...this.#open].map(([id, event]) => ({ id, event })),
    ];
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    this.#write(() => {
      writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    });
  }

  /** A disk that is full must not lose the message as well: it is handed in all the same. */
  #write(action: () => void): void {
    try {
      mkdirSync(this.#ports.folder, { recursive: true, mode: 0o700 });
      action();
    } catch (error) {
      this.#log("an arrival could not be written down", error);
    }
  }

  /** A line that is cut off, by a crash in the middle of it, is one whose event was not taken. */
  #readFile(): Readonly<Record<string, Json>>[] {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "ENOENT")
        this.#log("what arrived before cannot be read", error);
      return [];
    }
    return text.split("\n").flatMap((line) => {
      try {
        const entry: unknown = JSON.parse(line);
        return isObject(entry) ? [entry as Readonly<Record<string, Json>>] : [];
      } catch {
        return [];
      }
    });
  }

  #log(what: string, error: unknown): void {
    const { code } = error as { readonly code?: unknown };
    const kind = typeof code === "string" ? code : error instanceof Error ? error.name : typeof error;
    this.#ports.log("error", `${this.#ports.name}: ${what}`, { error: kind });
  }
}
