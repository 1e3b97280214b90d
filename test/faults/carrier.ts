/** One fake platform as the storm sees it: people write in conversations, and things go wrong on the way. */
export interface Carrier {
  readonly channel: string;
  /** The channel's section of openclaw.json. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Where the platform posts its events to: each life of the gateway listens there. */
  readonly port?: number;
  /** Of the gateway's process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly conversations: readonly string[];
  /** Somebody writes. `away`: while no gateway runs, and where the platform can, unheard by every session of its. */
  write(conversation: string, text: string, away: boolean): void;
  /** The later of two arrives first; absent where the wire itself keeps the order. */
  writeSwapped?(conversation: string, earlier: string, later: string): void;
  /** The platform itself gives this later than what was written after it. */
  mayBeLate?(text: string): boolean;
  /** What was written with this text arrives once more. */
  repeat(text: string): void;
  /** Breaks every connection. */
  cut(): void;
  /** The next send goes wrong, unless false is given; absent ways are those that the wire does not have. */
  readonly breakSend: Readonly<Partial<Record<SendFault, () => unknown>>>;
  /** What people saw of us, in order. */
  said(): readonly Said[];
  /** Calls and lines that the platform has got so far. */
  steps(): number;
  close(): Promise<void>;
}

/** Refused for a second; lost on the way there; taken, and the answer lost. */
export type SendFault = "limited" | "lostBefore" | "lostAfter";

export interface Said {
  readonly conversation: string;
  readonly text: string;
}

/** Five direct conversations by the names of their people. */
export const people = ["ada", "ben", "cem", "dia", "eva"] as const;
