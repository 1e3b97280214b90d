import type { LedgerStore } from "../../audit/mod.ts";
import type {
  ApiTokens,
  AuthSettings,
  BrowserSessions,
  Lockout,
  ProxyCallers,
  Scope,
} from "../../auth/mod.ts";
import type { OpenClawConfig } from "../../config/mod.ts";
import type { ChannelRow, MethodReach, ModelRow, RunPort, SessionNames } from "../../control/mod.ts";
import type { InboxStore, OutboxStore } from "../../delivery/mod.ts";
import type { Clock, Commit, Json, Log, Random, Verdict } from "../../kernel/mod.ts";
import type { SessionSettings, SessionStore } from "../../session/mod.ts";
import type { ShownFiles } from "../shown-files.ts";
import type { RunTap } from "./run-tap.ts";

/** What the HTTP API may do, given by the composer. It reaches nothing else. */
export interface ApiParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly commit: Commit;
  readonly ledger: Pick<LedgerStore, "append">;
  readonly config: () => OpenClawConfig;
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly browserSessions: Pick<BrowserSessions, "check">;
  readonly apiTokens: Pick<ApiTokens, "find">;
  /** The same one as the WebSocket's: failures of both count together. */
  readonly lockout: Lockout;
  /** Of a method of the protocol. */
  readonly scopeOf: (method: string) => Scope;
  readonly isReady: () => boolean;
  readonly sessionSettings: () => SessionSettings;
  readonly runs: Pick<RunPort, "submit" | "abort" | "wait">;
  readonly inbox: Pick<InboxStore, "byRunId">;
  readonly outbox: Pick<OutboxStore, "byMessageId">;
  readonly channels: () => readonly ChannelRow[];
  readonly sessions: Pick<SessionStore, "get" | "entries" | "put">;
  readonly models: () => readonly ModelRow[];
  readonly tap: RunTap;
  readonly invokeTool: InvokeTool;
  readonly sessionNames: SessionNames;
  readonly reach: MethodReach;
  readonly shownFiles: Pick<ShownFiles, "read">;
  /** Of the fences around untrusted text. */
  readonly fenceKey: string;
}

/** A tool call that no model made. */
export interface ToolCall {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly tool: string;
  readonly args: unknown;
  /** Who asks, for the record. */
  readonly actor: string;
}

export interface ToolResult {
  readonly text: string;
  readonly isError: boolean;
  readonly details?: Json;
}

/**
 * Policy and sandbox for one call: judged, recorded, run, recorded. A refusal carries policy's reason;
 * `http.approval_needed` where an operator would have to be asked first.
 */
export type InvokeTool = (call: ToolCall, signal: AbortSignal) => Promise<Verdict<ToolResult>>;
