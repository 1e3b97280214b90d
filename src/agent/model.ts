import type { EndReason, Schema, Usage } from "../kernel/mod.ts";

export type { EndReason, Usage };

/** The model port: what the agent asks of a provider, whatever its wire looks like. */
export interface Model {
  /** The provider's id in the config: "openai", "anthropic", "demo". */
  readonly provider: string;
  /**
   * One model call. Yields events as they arrive, ends after exactly one `end` event, or throws a ModelFault
   * (nothing else). Aborting the signal ends it with ModelFault kind "aborted" and closes the socket.
   */
  stream(request: ModelRequest): AsyncIterable<ModelEvent>;
  /** The models this provider offers right now; throws a ModelFault. Used by `models list --probe` and first run. */
  list(signal: AbortSignal): Promise<readonly ModelInfo[]>;
}

export interface ModelInfo {
  readonly id: string;
  readonly contextWindow?: number;
}

export interface ModelRequest {
  /** The model's id as the provider knows it, without our provider prefix. */
  readonly model: string;
  readonly system: string;
  /** Never empty; starts with a user message; each tool message follows the assistant message that called it. */
  readonly messages: readonly ModelMessage[];
  /** May be empty. */
  readonly tools: readonly ToolSpec[];
  readonly maxOutputTokens: number;
  readonly temperature?: number;
  readonly signal: AbortSignal;
}

export type ModelMessage =
  | { readonly role: "user"; readonly content: readonly (TextPart | ImagePart)[] }
  | { readonly role: "assistant"; readonly content: readonly (TextPart | ToolCallPart)[] }
  | {
      readonly role: "tool";
      readonly toolCallId: string;
      readonly toolName: string;
      readonly text: string;
      readonly isError: boolean;
      /** What the tool shows beside its text; never of an error. */
      readonly pictures?: readonly ImagePart[];
    };

export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

export interface ImagePart {
  readonly type: "image";
  readonly mimeType: string;
  readonly base64: string;
}

export interface ToolCallPart {
  readonly type: "toolCall";
  readonly id: string;
  readonly name: string;
  /** Parsed arguments; an object for every call the schema check let through. */
  readonly arguments: unknown;
}

export type ModelEvent =
  | { readonly type: "text"; readonly delta: string }
  | { readonly type: "thinking"; readonly delta: string }
  /** A whole call, after its last fragment. `arguments` is the raw JSON text, which may be malformed. */
  | { readonly type: "toolCall"; readonly id: string; readonly name: string; readonly arguments: string }
  /** Tokens of this call; the last one counts. */
  | ({ readonly type: "usage" } & Usage)
  | { readonly type: "end"; readonly reason: EndReason };

/** A tool as the model sees it. */
export interface ToolSpec {
  /** `[a-zA-Z0-9_-]{1,64}` */
  readonly name: string;
  readonly description: string;
  readonly parameters: Schema;
}
