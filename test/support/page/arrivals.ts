/** A queue that can be awaited: what comes first is taken first. */
export class Arrivals<Thing> {
  readonly #ready: Thing[] = [];
  readonly #takers: ((thing: Thing) => void)[] = [];

  add(thing: Thing): void {
    const taker = this.#takers.shift();
    if (taker) taker(thing);
    else this.#ready.push(thing);
  }

  next(): Promise<Thing> {
    const thing = this.#ready.shift();
    if (thing !== undefined) return Promise.resolve(thing);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  get waitingCount(): number {
    return this.#ready.length;
  }
}
