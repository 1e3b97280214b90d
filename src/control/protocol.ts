/**
 * The wire between the gateway and its clients (protocol version 4), as types and constants, and how sizes in it are
 * read. Shared by control, the command line and the page; it imports nothing.
 */

export const protocolVersion = 4;
/** Largest file of a message, and largest picture; both before encoding. All of a message share the first. */
export const attachmentLimits = { maxBytes: 19_464_192, maxImageBytes: 6_291_456 };
export const tickIntervalMs = 30_000;
export const maxPayloadBytes = 26_214_400;
export const maxBufferedBytes = 52_428_800;

/** Where the page signs in and out, on the gateway's own port. */
export const signInPath = "/auth/sign-in";
export const signOutPath = "/auth/sign-out";
export const sessionPath = "/auth/session";

/** Where a file of a reply is had from, on the gateway's own port; see {@link AttachmentBlock}. */
export const chatFilePath = "/chat/files";

/** Everybody who signs in acts for the one owner: there is one profile. */
export const ownerProfileId = "gateway-owner";

export interface RequestFrame {
  readonly type: "req";
  readonly id: string;
  readonly method: string;
  readonly params?: unknown;
  readonly expectedProfileId?: string;
}

export interface ResponseFrame {
  readonly type: "res";
  readonly id: string;
  readonly ok: boolean;
  readonly payload?: unknown;
  readonly error?: WireError;
}

export interface EventFrame {
  readonly type: "event";
  readonly event: string;
  readonly payload?: unknown;
  readonly seq?: number;
  readonly stateVersion?: StateVersion;
}

export interface StateVersion {
  readonly presence: number;
  readonly health: number;
}

export type ErrorCode = "INVALID_REQUEST" | "FORBIDDEN" | "UNAVAILABLE" | "NOT_PAIRED";

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

export const clientIds = [
  "webchat-ui",
  "openclaw-control-ui",
  "openclaw-browser-copilot",
  "openclaw-tui",
  "webchat",
  "cli",
  "gateway-client",
  "openclaw-macos",
  "openclaw-linux",
  "openclaw-ios",
  "openclaw-watchos",
  "openclaw-android",
  "node-host",
  "openclaw-worker",
  "test",
  "fingerprint",
  "openclaw-probe",
] as const;
export const clientModes = ["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"] as const;

export interface ConnectParams {
  readonly minProtocol: number;
  readonly maxProtocol: number;
  readonly client: {
    readonly id: (typeof clientIds)[number];
    readonly version: string;
    readonly platform: string;
    readonly mode: (typeof clientModes)[number];
    readonly displayName?: string;
    readonly deviceFamily?: string;
    readonly instanceId?: string;
  };
  readonly role?: string;
  readonly scopes?: readonly string[];
  readonly caps?: readonly string[];
  /** What a node can be asked for. */
  readonly commands?: readonly string[];
  readonly permissions?: Readonly<Record<string, boolean>>;
  readonly pathEnv?: string;
  readonly auth?: {
    readonly token?: string;
    readonly password?: string;
    readonly deviceToken?: string;
    readonly bootstrapToken?: string;
  };
  readonly device?: {
    readonly id: string;
    readonly publicKey: string;
    readonly signature: string;
    readonly signedAt: number;
    readonly nonce: string;
  };
}

export interface HelloOk {
  readonly type: "hello-ok";
  readonly protocol: number;
  readonly server: { readonly version: string; readonly connId: string };
  readonly features: {
    readonly methods: readonly string[];
    readonly events: readonly string[];
    readonly capabilities: readonly string[];
  };
  readonly snapshot: Readonly<Record<string, unknown>>;
  readonly auth: {
    readonly role: string;
    readonly scopes: readonly string[];
    readonly method?: string;
    readonly deviceToken?: string;
    readonly issuedAtMs?: number;
  };
  readonly policy: {
    readonly maxPayload: number;
    readonly maxBufferedBytes: number;
    readonly tickIntervalMs: number;
    readonly attachments?: { readonly maxBytes: number; readonly maxImageBytes: number };
  };
}

export const events = [
  "connect.challenge",
  "agent",
  "chat",
  "session.message",
  "session.tool",
  "sessions.changed",
  "presence",
  "tick",
  "health",
  "shutdown",
  "config.changed",
  "exec.approval.requested",
  "exec.approval.resolved",
  "question.requested",
  "question.resolved",
  "channels.pairing.changed",
  "device.pair.requested",
  "device.pair.resolved",
  "device.pair.changed",
  "device.pair.setup.completed",
  "node.pair.requested",
  "node.pair.resolved",
  "node.invoke.request",
  "node.invoke.cancel",
  "node.hostStats",
  "voicewake.changed",
] as const;
export type EventName = (typeof events)[number];

/** One thing that a person is asked. */
export interface Question {
  readonly questionId: string;
  /** A word or two above it. */
  readonly header: string;
  readonly question: string;
  /** None: it is answered in one's own words. */
  readonly options: readonly { readonly label: string; readonly description?: string }[];
  readonly multiSelect?: boolean;
  /** Besides the options, one's own words. */
  readonly isOther?: boolean;
  /** Its answer is for whoever asks, and nobody else. */
  readonly isSecret?: boolean;
}

/** By questionId: labels of its options, or one's own words. The answer to a secret is an empty list for all others. */
export interface QuestionAnswers {
  readonly answers: Readonly<Record<string, readonly string[]>>;
}

/** Payload of `question.requested`; what `question.list` and `question.get` show. */
export interface QuestionRecord {
  readonly id: string;
  /** One to three. */
  readonly questions: readonly Question[];
  readonly agentId: string;
  readonly sessionKey: string;
  readonly runId?: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly status: "pending" | "answered" | "cancelled" | "expired";
  readonly answers?: QuestionAnswers;
  readonly resolvedBy?: string;
}

/** A file that went with a reply, behind its text. */
export interface AttachmentBlock {
  readonly type: "attachment";
  /** One line, without folders; the agent chose it. */
  readonly fileName: string;
  /** By the content. */
  readonly mimeType: string;
  readonly sizeBytes: number;
  /** Path and query on the gateway's own port, to be fetched like `chat.history`; absent where a chat app has the file. */
  readonly url?: string;
}

/** A size as people read it. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1_048_576 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`;
}

/** Payload of `chat`. */
export interface ChatEvent {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId?: string;
  readonly seq: number;
  readonly state: "status" | "delta" | "final" | "aborted" | "error";
  readonly phase?: string;
  readonly deltaText?: string;
  readonly replace?: boolean;
  readonly message?: {
    readonly role: "assistant";
    readonly content: readonly ({ readonly type: "text"; readonly text: string } | AttachmentBlock)[];
    readonly timestamp: number;
  };
  readonly stopReason?: string;
  readonly errorMessage?: string;
  readonly errorKind?: "refusal" | "timeout" | "rate_limit" | "context_length" | "unknown";
}

/** Payload of `agent`. */
export interface AgentEvent {
  readonly runId: string;
  readonly sessionKey: string;
  readonly agentId: string;
  readonly stream:
    | "lifecycle"
    | "assistant"
    | "thinking"
    | "item"
    | "tool"
    | "usage"
    | "approval"
    | "run_status";
  readonly data: Readonly<Record<string, unknown>>;
  readonly seq: number;
  readonly ts: number;
}

/** A row of `sessions.list`, and of the events that change it. */
export interface SessionInfo {
  readonly key: string;
  readonly kind: string;
  readonly agentId: string;
  readonly sessionId: string;
  readonly updatedAt: number;
  readonly createdAt: number;
  readonly label?: string;
  readonly displayName?: string;
  readonly derivedTitle?: string;
  readonly lastMessagePreview?: string;
  readonly isMain: boolean;
  readonly archived: boolean;
  readonly pinned: boolean;
  readonly hasActiveRun: boolean;
  readonly activeRunIds: readonly string[];
  readonly status: "running" | "done";
  readonly modelProvider?: string;
  readonly model?: string;
  readonly contextTokens?: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly estimatedCostUsd: number;
}

/** An element of `exec.approval.list`, and the payload of `exec.approval.requested`. */
export interface ApprovalInfo {
  readonly id: string;
  readonly approvalKind: "exec";
  readonly request: Readonly<Record<string, unknown>>;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** An element of `channels.pairing.list`. */
export interface PairingInfo {
  /** The code that the sender was shown. */
  readonly requestId: string;
  readonly channel: string;
  readonly channelLabel: string;
  readonly accountId: string;
  readonly senderId: string;
  /** What the sender calls itself; its id when it says nothing. */
  readonly senderLabel: string;
  /** ISO 8601, like the other two. */
  readonly createdAt: string;
  readonly lastSeenAt: string;
  readonly expiresAt: string;
  readonly notifySupported: boolean;
}
