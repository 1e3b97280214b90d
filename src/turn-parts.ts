/** What the second half of the message path (turn.ts, tool-call.ts) is given, and what one turn gathers. */

import type { Activation } from "./access/mod.ts";
import type {
  AgentSettings,
  Histories,
  Model,
  ModelChoice,
  Step,
  ToolRequest,
  ToolSpec,
} from "./agent/mod.ts";
import type { LedgerStore } from "./audit/mod.ts";
import type { RunEvents } from "./control/mod.ts";
import type {
  DeliverySettings,
  GrowingReply,
  InboxRow,
  InboxStore,
  OutboxSender,
  OutboxStore,
  ReplyTo,
  SendResult,
  StreamingSettings,
} from "./delivery/mod.ts";
import type { Clock, Commit, Log, Random, Source, Verdict, Write } from "./kernel/mod.ts";
import type { Approvals, Permit, PolicyContext, Question, Review } from "./policy/mod.ts";
import type { Outcome } from "./sandbox/mod.ts";
import type {
  ActiveRun,
  Entry,
  Lanes,
  Overheard,
  Runs,
  SessionRow,
  SessionSettings,
  SessionStore,
} from "./session/mod.ts";
import type { FileSourceStore, UsageStore } from "./store/mod.ts";
import type { ReplyStream } from "./turn-stream.ts";

/** Everything that a turn needs, made by the composer. Functions give what may change while the gateway runs. */
export interface TurnParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly sessions: SessionStore;
  readonly ledger: LedgerStore;
  readonly usage: UsageStore;
  readonly fileSources: FileSourceStore;
  /** Under whose name the labels of this session's files are kept: the agent's, or its sandbox's. */
  readonly filesOwner: (row: InboxRow) => string;
  readonly lanes: Lanes;
  readonly runs: Runs;
  readonly overheard: Pick<Overheard, "take" | "ended">;
  readonly histories: Histories;
  /** How many earlier turns of its conversation this message's turn is shown; undefined: all that fit. */
  readonly shownTurns: (row: InboxRow) => Promise<number | undefined>;
  readonly sender: OutboxSender;
  readonly approvals: Approvals;
  readonly reviewer: ReviewPort;
  readonly sessionSettings: () => SessionSettings;
  /** The newest moment, not after now, at which it was this hour here. Unix ms. */
  readonly lastDaily: (hour: number) => number;
  readonly agentSettings: (agentId: string) => AgentSettings;
  readonly modelFor: (
    agentId: string,
    sessionModel: string | undefined,
  ) => Promise<{ readonly model: Model; readonly choice: ModelChoice }>;
  readonly promptFor: (agentId: string, toolNames: readonly string[]) => Promise<string>;
  /** The tools that the model of this message's turn is shown: those of its agent that its sender may use here. */
  readonly toolSpecs: (row: InboxRow) => Promise<readonly ToolSpec[]>;
  /** Narrowed to what all of these authors (as a Source lists them) may have called. */
  readonly policyFor: (row: InboxRow, tool: string, authors: string) => Promise<PolicyContext>;
  /** A call that is to run on a node is prepared there before it is judged: the context says what the node said. */
  readonly placed: (request: ToolRequest, context: PolicyContext) => Promise<PolicyContext>;
  readonly mayUseAgent: (author: string, agentId: string) => Verdict<undefined>;
  readonly execute: (
    permit: Permit,
    signal: AbortSignal,
    progress: (text: string) => void,
  ) => Promise<Outcome>;
  readonly events: (run: {
    readonly runId: string;
    readonly sessionKey: string;
    readonly agentId: string;
    readonly startedAt: number;
  }) => RunEvents;
  readonly sessionChanged: (row: SessionRow, reason: string, runId?: string) => void;
  readonly entryAdded: (row: SessionRow, entry: Entry) => void;
  readonly typing: (channel: string, account: string, reply: ReplyTo) => void;
  readonly channelTextLimit: (channel: string, account: string) => number;
  readonly media: MediaPort;
  readonly live: LiveReplyPort;
  /** Notes what an owner chose for the group that this message came from. */
  readonly chooseActivation: (row: InboxRow, activation: Activation) => Write;
  readonly redact: (text: string) => string;
  /** The same for all texts in a value. */
  readonly redactValue: (value: unknown) => unknown;
  /** For what is only read, and by nobody judged, as what a tool said. */
  readonly redactOutput: (value: unknown) => unknown;
  /** Of the fences around untrusted text; made once per installation. */
  readonly fenceKey: string;
  /** True once the gateway lets go of what runs: a turn that is cut off then stays open on disk. */
  readonly isStopping: () => boolean;
}

/** The second model of exec mode "auto". */
export interface ReviewPort {
  /** Never rejects: whatever goes wrong leaves it to a person. */
  review(request: ToolRequest, question: Question, row: InboxRow, signal: AbortSignal): Promise<Review>;
  personAllowed(sessionKey: string): void;
}

/** Files on their way: from a platform into an agent's workspace, and from there to a platform. */
export interface MediaPort {
  settings(channel: string, account: string): DeliverySettings;
  /** Largest file that the channel sends, or that control clients are shown; undefined where there are none. */
  sendBytes(channel: string, account: string): number | undefined;
  /** A file of this message; rejects with an InputError that says why there is none. */
  fetch(row: InboxRow, reference: string, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Where the tools of the message's conversation work: in the agent's workspace, or its sandbox's. */
  write(row: InboxRow, path: string, bytes: Buffer): Promise<void>;
  read(row: InboxRow, path: string, maxBytes: number): Promise<Buffer>;
  /** The one file that the permit of a `read` call names; rejects with an InputError. */
  readPermitted(permit: Permit, maxBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** A copy that stays as it is until its outbox row is settled; gives its path. */
  keep(name: string, bytes: Buffer): Promise<string>;
  /** A copy for those who read this session, for as long as it is there. */
  keepShown(sessionId: string, name: string, bytes: Buffer): Promise<void>;
  /** The message came to its end: what was uploaded with it and the sign that it was seen are no longer needed. */
  ended(row: InboxRow): void;
}

/** Replies that are shown while they grow. */
export interface LiveReplyPort {
  /** How; undefined: only once it is whole. */
  manner(row: InboxRow): StreamingSettings | undefined;
  /** Resolves when the row's channel may take another edit, or the signal aborts. */
  turn(row: InboxRow, signal: AbortSignal): Promise<void>;
  /** Never rejects. */
  edit(row: InboxRow, platformId: string, text: string): Promise<SendResult>;
}

/** One turn that is going on, and what it has gathered. */
export interface Turn {
  readonly row: InboxRow;
  readonly active: ActiveRun;
  readonly events: RunEvents;
  readonly session: { current: SessionRow };
  readonly choice: ModelChoice;
  /** The label of all that this turn has read. */
  seen: Source;
  /** Ends of effects, waiting for the turn's next commit. */
  readonly ends: Write[];
  /** What of the model's present answer clients are shown. */
  readonly growing: GrowingReply;
  /** Where the reply is shown while it grows. */
  readonly stream?: ReplyStream | undefined;
}

/** What the model said in one round. */
export type Said = Extract<Step, { type: "assistant" }>;
