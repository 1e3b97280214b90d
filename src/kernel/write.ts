declare const writeMark: unique symbol;

/**
 * One durable change, made by a storage port and not applied yet. A map collects the changes that belong together
 * and commits them at once: all of them are on disk when {@link Commit} resolves, or none is and it rejects.
 */
export interface Write {
  readonly [writeMark]: true;
}

export type Commit = (writes: readonly Write[]) => Promise<void>;
