import type { EndReason, Source, Usage, Write } from "../kernel/mod.ts";

/** One line of a conversation's log; append-only, in order. */
export interface Entry {
  /** 1 for the first of a session; no gaps. */
  readonly seq: number;
  readonly id: string;
  readonly parentId: string | null;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  /** The run that wrote it. */
  readonly runId?: string;
  readonly body: EntryBody;
}

export type EntryBody =
  | { readonly type: "message"; readonly message: Message; readonly idempotencyKey?: string }
  /** A tool call was about to run: on restart, one without a result is not run again. */
  | { readonly type: "tool_started"; readonly toolCallId: string }
  /** Everything before is out of the model's sight. */
  | { readonly type: "reset" }
  /** For the model, this stands in the place of all before `firstKeptSeq`. */
  | {
      readonly type: "compaction";
      readonly summary: string;
      readonly firstKeptSeq: number;
      readonly tokensBefore: number;
      readonly source: Source;
    };

export type Message = UserMessage | AssistantMessage | ToolResultMessage;

export interface UserMessage {
  readonly role: "user";
  readonly content: string;
  /** Unix ms. */
  readonly timestamp: number;
  readonly source: Source;
}

export interface AssistantMessage {
  readonly role: "assistant";
  readonly content: readonly AssistantPart[];
  readonly timestamp: number;
  readonly source: Source;
  readonly provider: string;
  readonly model: string;
  readonly usage: Usage & { readonly totalTokens: number; readonly costUsd: number };
  readonly stopReason: EndReason | "aborted" | "error";
  readonly errorMessage?: string;
  /** What people were given of it, where it named files; without it, that is what it says. */
  readonly delivered?: Delivered;
}

/** A reply as people have it: its text without the lines that name files, and those that went with it. */
export interface Delivered {
  readonly text: string;
  readonly files: readonly SentFile[];
}

export interface SentFile {
  /** One line, without folders; the agent chose it. */
  readonly name: string;
  /** A MIME type, by the content. */
  readonly type: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** Under which name the gateway keeps a copy for this session's readers; absent where a platform has it. */
  readonly kept?: string;
}

export type AssistantPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "toolCall"; readonly id: string; readonly name: string; readonly arguments: unknown };

export interface ToolResultMessage {
  readonly role: "toolResult";
  readonly toolCallId: string;
  readonly toolName: string;
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
  readonly isError: boolean;
  readonly timestamp: number;
  readonly source: Source;
}

/** A conversation's row: what is listed, and where its log stands. */
export interface SessionRow {
  readonly key: string;
  readonly agentId: string;
  readonly sessionId: string;
  readonly kind: "direct" | "group" | "global" | "unknown";
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Unix ms since when the model sees it: creation, or the last reset. */
  readonly startedAt: number;
  /** Unix ms of the last message from outside. */
  readonly lastInteractionAt: number;
  readonly label?: string;
  /** First words of the first message, for lists. */
  readonly title?: string;
  readonly lastMessage?: string;
  readonly archived: boolean;
  readonly pinned: boolean;
  /** "provider/model" chosen for this conversation; undefined follows the agent. */
  readonly model?: string;
  readonly thinkingLevel?: string;
  readonly verboseLevel?: string;
  /** Entries so far; the next one gets lastSeq + 1. */
  readonly lastSeq: number;
  readonly lastEntryId: string | null;
  /** The model sees entries after this one. Moves in large steps, so that a provider's prompt cache keeps working. */
  readonly windowStartSeq: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number;
  /** Where a reply goes when the conversation belongs to a channel. */
  readonly route?: string;
}

export interface SessionFilter {
  readonly agentId?: string;
  readonly search?: string;
  readonly archived?: boolean | "all";
  readonly activeSince?: number;
  readonly limit: number;
  readonly offset: number;
}

export interface SessionStore {
  get(key: string): SessionRow | undefined;
  /** Newest first. */
  list(filter: SessionFilter): { readonly rows: SessionRow[]; readonly total: number };
  /** One agent's, by key, those after `afterKey`: to go through all of them at the same cost for each page. */
  after(agentId: string, afterKey: string, limit: number): readonly SessionRow[];
  count(): number;
  put(row: SessionRow): Write;
  append(sessionId: string, entry: Entry): Write;
  /** Entries with afterSeq < seq <= beforeOrAt, oldest first; the newest `limit` of them. */
  entries(
    sessionId: string,
    range: { readonly afterSeq: number; readonly throughSeq?: number; readonly limit: number },
  ): Entry[];
  entryByKey(sessionId: string, idempotencyKey: string): Entry | undefined;
  delete(key: string, sessionId: string): Write;
}
