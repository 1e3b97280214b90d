import type { PairingRequest } from "../access/mod.ts";
import type { AgentSettings, ModelChoice, ToolSpec } from "../agent/mod.ts";
import type { LedgerFilter, LedgerRow, Verification } from "../audit/mod.ts";
import type {
  ChannelStatus,
  Destination,
  InboxStore,
  OutboxRow,
  OutboxStore,
  Poll,
} from "../delivery/mod.ts";
import type { Clock, Commit, Json, Random, Source, Verdict } from "../kernel/mod.ts";
import type { Approval, Approvals } from "../policy/mod.ts";
import type { Entry, SentFile, SessionRow, SessionSettings, SessionStore } from "../session/mod.ts";
import type { UploadedFile } from "./attachments.ts";
import type { Hub } from "./hub.ts";
import type { AccessPort } from "./methods/access.ts";

/** What the methods may do, given by the composer. They reach nothing else. */
export interface ControlParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly commit: Commit;
  readonly hub: Hub;
  readonly version: string;
  readonly startedAtMs: number;
  readonly runs: RunPort;
  readonly sessions: SessionStore;
  readonly inbox: InboxStore;
  readonly outbox: OutboxStore;
  readonly approvals: Approvals;
  readonly shown: ShownPort;
  readonly sessionSettings: () => SessionSettings;
  readonly agentSettings: (agentId: string) => AgentSettings;
  readonly modelChoice: (agentId: string, sessionModel: string | undefined) => ModelChoice;
  readonly models: () => readonly ModelRow[];
  readonly channels: () => readonly ChannelRow[];
  readonly pairings: PairingPort;
  readonly config: ConfigPort;
  readonly logs: LogPort;
  readonly audit: AuditPort;
  readonly usageByDay: (fromDay: string) => readonly UsageDay[];
  readonly eventLoop: () => EventLoopFigures;
  /** Where sessions.json and the transcripts are kept, for people. */
  readonly sessionsPath: (agentId: string) => string;
  readonly transcriptPath: (row: SessionRow) => string;
  /** Removes the readable copy of a conversation whose rows are gone. */
  readonly eraseTranscript: (row: SessionRow) => Promise<void>;
  /** Ends what a conversation left running, and removes all that is kept of it beside the database. */
  readonly forgetConversation: (row: SessionRow) => Promise<void>;
  readonly newTicketUrl: () => string;
  /** What an agent's model is shown. */
  readonly toolSpecs: (agentId: string) => Promise<readonly ToolSpec[]>;
  readonly workspacePath: (agentId: string) => string;
  readonly stateFolder: string;
  /** What only administrators are told at their connect. */
  readonly whereabouts: () => {
    readonly configPath: string;
    readonly stateDir: string;
    readonly authMode: "none" | "token" | "password" | "trusted-proxy";
  };
  /** The chat command that a message is, as a turn reads it; undefined for one that the agent reads. */
  readonly chatCommand: (text: string) => string | undefined;
  /** The machine's facts (system.info), without the time that it has been up. */
  readonly machine: () => Readonly<Record<string, unknown>>;
  readonly agentFiles: AgentFilesPort;
  /** One tool call that no model made: judged, recorded, run. Where an operator would be asked it is refused. */
  readonly invokeTool: (call: {
    readonly agentId: string;
    readonly sessionKey: string;
    readonly tool: string;
    readonly args: unknown;
    readonly actor: string;
    readonly isOwner: boolean;
  }) => Promise<Verdict<{ readonly text: string; readonly isError: boolean }>>;
  readonly channelControl: ChannelControl;
  readonly approvalsDocument: ApprovalsDocumentPort;
  readonly access: AccessPort;
  readonly outgoing: OutgoingPort;
  readonly lifecycle: LifecyclePort;
  readonly nodeApprovals: {
    /** True for the id of a paired node. */
    readonly isNode: (nodeId: string) => boolean;
    /** What a person reads of a command that goes to a node, word by word. */
    readonly commandText: (argv: readonly string[]) => string;
  };
}

/** What people see of commands and of what tools said: with the middle of each secret hidden. */
export interface ShownPort {
  approval(approval: Approval): Approval;
  entry(entry: Entry): Entry;
}

export interface LifecyclePort {
  /** Stops in order, and starts again with what the disk says then; soon, and once. */
  restart(): void;
  readonly suspension: {
    prepare(
      requestId: string,
      drain: boolean,
    ):
      | { readonly status: "draining" | "ready"; readonly expiresAtMs: number }
      | "active-work"
      | "gateway-draining";
    status(
      suspensionId: string,
    ): { readonly status: "draining" | "ready"; readonly expiresAtMs: number } | undefined;
    resume(suspensionId: string): boolean;
  };
}

export interface RunPort {
  submit(submission: {
    readonly sessionKey: string;
    readonly agentId: string;
    readonly text: string;
    readonly idempotencyKey: string;
    readonly source: Source;
    readonly actor: string;
    readonly files?: readonly UploadedFile[];
    /** Where the reply is sent as well, once; `asked` tells a repeat from another order. */
    readonly delivery?: { readonly to: Destination; readonly asked: string };
  }): Promise<Verdict<{ readonly runId: string; readonly status: "started" | "in_flight" | "ok" }>>;
  abort(sessionKey: string, runId?: string): readonly string[];
  wait(runId: string, timeoutMs: number): Promise<RunEndInfo | undefined>;
  activeRun(
    sessionKey: string,
  ): { readonly runId: string; readonly text: string; readonly startedAt: number } | undefined;
  readonly activeRuns: number;
  forget(sessionId: string): void;
}

export interface RunEndInfo {
  readonly runId: string;
  readonly sessionKey: string;
  readonly status: "ok" | "error" | "aborted";
  readonly text: string;
  /** Files that went with it, and the number of the entry that tells of them. */
  readonly sent?: { readonly seq: number; readonly files: readonly SentFile[] };
  readonly errorMessage?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly contextWindow?: number;
  readonly available: boolean;
}

export interface ChannelRow {
  readonly id: string;
  readonly account: string;
  readonly label: string;
  /** Goes to everybody who may read. */
  readonly status: Omit<ChannelStatus, "linkCode">;
  /** While a device is being linked: what is scanned with the platform's app. A secret, for administrators. */
  readonly linkCode?: string;
}

export interface PairingPort {
  list(
    channel?: string,
  ): Promise<
    readonly { readonly channel: string; readonly account: string; readonly request: PairingRequest }[]
  >;
  approve(channel: string, account: string, code: string, by: string): Promise<PairingRequest>;
  dismiss(channel: string, account: string, code: string): Promise<PairingRequest>;
}

export interface ConfigPort {
  get(): Promise<Readonly<Record<string, unknown>>>;
  patch(
    raw: string,
    baseHash: string | undefined,
    replacePaths: readonly string[],
  ): Promise<Readonly<Record<string, unknown>>>;
  /** Replaces the whole config; comments of what stays are kept. */
  replace(raw: string, baseHash: string | undefined): Promise<Readonly<Record<string, unknown>>>;
  /** Reads the file and the environment again. */
  /** Reads everything again; with what keeps it from counting, in sentences. */
  reload(): Promise<readonly string[]>;
  reloadKind(path: readonly string[]): "none" | "hot" | "restart";
  schema(): unknown;
}

/** Starts or stops one account until the next start or change of its settings; false when there is none of that name. */
export interface ChannelControl {
  start(channel: string, account: string): Promise<boolean>;
  stop(channel: string, account: string): Promise<boolean>;
}

/** The host's standing rules for commands. `set` throws an InputError for what is stale or would not be followed. */
export interface ApprovalsDocumentPort {
  get(): Promise<Readonly<Record<string, unknown>>>;
  set(
    file: Readonly<Record<string, unknown>>,
    baseHash: string | undefined,
  ): Promise<Readonly<Record<string, unknown>>>;
}

/** The files of a workspace that an agent reads at the start of each turn. Throws an InputError for any other name. */
export interface AgentFilesPort {
  list(workspace: string): Promise<readonly AgentFile[]>;
  /** With its content, unless it is missing. */
  read(workspace: string, name: string): Promise<AgentFile>;
  /** `expectedHash`: SHA-256 of what is to be replaced; undefined replaces whatever is there. */
  write(
    workspace: string,
    name: string,
    content: string,
    expectedHash: string | undefined,
  ): Promise<AgentFile>;
}

export interface AgentFile {
  readonly name: string;
  readonly path: string;
  readonly missing: boolean;
  readonly size?: number;
  readonly updatedAtMs?: number;
  readonly content?: string;
}

/** Messages that no agent wrote, and those that did not arrive. Throws an InputError or a MethodError that says why. */
export interface OutgoingPort {
  /**
   * Puts a message on its way and waits for what becomes of it. The same key for the same order sends nothing again,
   * also after a restart. Throws unless the platform took it.
   */
  send(order: OutgoingOrder): Promise<{
    /** The platform's id of the first part. */
    readonly messageId: string;
    readonly channel: string;
    readonly accountId: string;
    /** Ours, for message.why. */
    readonly deliveryId: string;
    readonly parts: number;
  }>;
  /** Sends one that was rejected again; one that may have arrived only with `mayRepeat`. */
  resubmit(id: string, mayRepeat: boolean): Promise<{ readonly id: string; readonly state: "pending" }>;
  /** Takes one off the list of those that somebody should look at. */
  dismiss(id: string): Promise<{ readonly id: string; readonly state: "dismissed" }>;
}

export interface OutgoingOrder {
  readonly channel: string;
  readonly accountId?: string;
  /** "user:<id>", "group:<id>", "channel:<id>" or an id by itself, as the platform writes it. */
  readonly to: string;
  readonly threadId?: string;
  /** Empty for a poll, and for files alone. */
  readonly text: string;
  /** Files in the workspace of `agentId`, else of the default agent; none with a poll. */
  readonly files?: readonly string[];
  readonly agentId?: string;
  /** The platform's id of the message that this one answers. */
  readonly replyToId?: string;
  readonly poll?: Poll;
  readonly idempotencyKey: string;
  readonly source: Source;
  readonly actor: string;
}

export interface LogPort {
  tail(
    cursor: number | undefined,
    limit: number,
    maxBytes: number,
  ): Promise<Readonly<Record<string, unknown>>>;
}

export interface AuditPort {
  list(filter: LedgerFilter): LedgerRow[];
  verify(expectedHead: string | undefined): Promise<Verification>;
}

export interface UsageDay {
  readonly day: string;
  readonly turns: number;
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly costUsd: number;
}

export interface EventLoopFigures {
  readonly intervalMs: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  readonly utilization: number;
}

export type { Json, OutboxRow };
