/**
 * One durable change, made by a storage port and not applied yet: only the store can give it the transaction that it
 * takes. A map collects the changes that belong together and commits them at once: all of them are on disk when
 * {@link Commit} resolves, or none is and it rejects.
 */
export type Write = (transaction: never) => void;

export type Commit = (writes: readonly Write[]) => Promise<void>;
