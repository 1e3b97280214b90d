/** Why a model stopped. */
export type EndReason = "stop" | "length" | "toolUse" | "refusal";

/** Token counts of one model call. `input` excludes what came from the provider's cache. */
export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}
