/** Where a session with Discord's gateway stands, as it is resumed and kept on disk. */
export interface SessionPlace {
  readonly id: string;
  readonly resumeUrl: string;
  /** All events up to this one are stored, or needed no storing. */
  readonly seq: number;
}

/**
 * Which events of a session are dealt with. What Discord is asked to go on from is never past an event that could not
 * be stored: the gateway knows no acknowledgement of its own, so this number is ours.
 */
export class Position {
  /** Received and not dealt with, in order. */
  readonly #open = new Set<number>();
  /** Dealt with, behind one that is not: not handed in again when the session is resumed. */
  readonly #ahead = new Set<number>();
  #highest: number;
  #seq: number;

  constructor(seq: number) {
    this.#highest = seq;
    this.#seq = seq;
  }

  /** The number of the last event before which all is dealt with. */
  get seq(): number {
    return this.#seq;
  }

  get isSettled(): boolean {
    return this.#open.size === 0;
  }

  /** False for one that was dealt with before the connection was lost. */
  receive(seq: number): boolean {
    this.#highest = Math.max(this.#highest, seq);
    if (seq <= this.#seq || this.#ahead.has(seq)) {
      this.#move();
      return false;
    }
    this.#open.add(seq);
    return true;
  }

  done(seq: number): void {
    this.#open.delete(seq);
    this.#ahead.add(seq);
    this.#move();
  }

  /** The connection is gone: what is open is delivered again once the session is resumed. */
  lost(): void {
    this.#open.clear();
  }

  #move(): void {
    const [first] = this.#open;
    this.#seq = Math.max(this.#seq, first === undefined ? this.#highest : first - 1);
    for (const seq of this.#ahead) if (seq <= this.#seq) this.#ahead.delete(seq);
  }
}
