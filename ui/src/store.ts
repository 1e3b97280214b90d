/** One frozen value and those who want to know when another takes its place. */
export class Store<State> {
  #state: State;
  readonly #watchers = new Set<() => void>();

  constructor(first: State) {
    this.#state = first;
  }

  get state(): State {
    return this.#state;
  }

  change(next: (state: State) => Partial<State>): void {
    this.#state = { ...this.#state, ...next(this.#state) };
    for (const tell of this.#watchers) tell();
  }

  watch(tell: () => void): () => void {
    this.#watchers.add(tell);
    return () => this.#watchers.delete(tell);
  }
}
