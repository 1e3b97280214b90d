import type { PendingApproval } from "./approvals.ts";
import { type Conversation, emptyConversation } from "./conversation.ts";
import type { ChannelHealth } from "./health.ts";
import type { PairingRequest } from "./pairing.ts";
import type { PendingQuestions } from "./questions.ts";
import type { SessionRow } from "./sessions.ts";

export type Access =
  | { readonly kind: "checking" }
  | { readonly kind: "signed-out"; readonly message: string; readonly busy: boolean }
  | { readonly kind: "signed-in" };

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "online" }
  | { readonly kind: "away"; readonly reason: string; readonly retryAtMs: number }
  | { readonly kind: "refused"; readonly message: string };

/** A message on its way. It is over only when the gateway has answered. */
export interface Sending {
  readonly text: string;
  readonly key: string;
  readonly state: "asking" | "waiting";
}

export interface Notice {
  readonly id: number;
  readonly tone: "info" | "problem";
  readonly text: string;
}

export interface GatewayFacts {
  readonly version: string;
  readonly startedAtMs: number | undefined;
  readonly mainKey: string;
  readonly agentId: string;
  readonly provider: string;
  readonly model: string;
  /** The gateway's clock minus this browser's. */
  readonly clockOffsetMs: number;
}

export interface State {
  readonly access: Access;
  readonly link: LinkState;
  readonly gateway: GatewayFacts;
  readonly healthy: boolean | undefined;
  readonly channels: readonly ChannelHealth[];
  readonly sessions: readonly SessionRow[];
  readonly sessionsProblem: string;
  readonly sessionsLoaded: boolean;
  readonly conversation: Conversation;
  readonly drafts: ReadonlyMap<string, string>;
  readonly sending: ReadonlyMap<string, Sending>;
  readonly approvals: readonly PendingApproval[];
  readonly questions: readonly PendingQuestions[];
  readonly pairing: readonly PairingRequest[];
  readonly notices: readonly Notice[];
}

export function firstState(sessionKey: string): State {
  return {
    access: { kind: "checking" },
    link: { kind: "connecting" },
    gateway: {
      version: "",
      startedAtMs: undefined,
      mainKey: "agent:main:main",
      agentId: "main",
      provider: "",
      model: "",
      clockOffsetMs: 0,
    },
    healthy: undefined,
    channels: [],
    sessions: [],
    sessionsProblem: "",
    sessionsLoaded: false,
    conversation: emptyConversation(sessionKey, "loading"),
    drafts: new Map(),
    sending: new Map(),
    approvals: [],
    questions: [],
    pairing: [],
    notices: [],
  };
}
