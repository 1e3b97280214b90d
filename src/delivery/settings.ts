import type { OpenClawConfig } from "../config/mod.ts";

/** What the config says of files and of how replies look, for one account of a channel. */
export interface DeliverySettings {
  /** Largest file that is taken in. */
  readonly fileBytes: number;
  /** Undefined: the agent's own emoji. Empty: none. */
  readonly ackReaction: string | undefined;
  readonly ackReactionScope: "group-mentions" | "group-all" | "direct" | "all" | "off" | "none";
  readonly removeAckAfterReply: boolean;
  readonly streaming: StreamingSettings;
  /** Undefined or empty: none. */
  readonly responsePrefix: string | undefined;
}

/** How a reply is shown before it is whole. */
export interface StreamingSettings {
  /** `partial`: as it is written; `block`: in larger steps; `progress`: a line that work goes on, until the reply is there. */
  readonly mode: "off" | "partial" | "block" | "progress";
  /** Of one step of `block`, UTF-16 units. */
  readonly minChars: number;
  readonly maxChars: number;
  /** First line of `progress`; empty: none. */
  readonly label: string;
  /** Whether `progress` names the tools that are used. */
  readonly showsTools: boolean;
}

interface Section {
  readonly mediaMaxMb?: number;
  readonly ackReaction?: string;
  readonly ackReactionScope?: DeliverySettings["ackReactionScope"];
  readonly responsePrefix?: string;
  readonly streaming?: string | boolean | Streaming;
  readonly accounts?: Readonly<Record<string, Section | undefined>>;
}

interface Streaming {
  readonly mode?: string;
  readonly preview?: unknown;
  readonly progress?: unknown;
}

const defaultFileMb = 20;
const bytesPerMb = 1_048_576;

/** The account's word stands before its channel's, and that before what is said for all. */
export function deliverySettings(config: OpenClawConfig, channel: string, account: string): DeliverySettings {
  const sections = (config.channels ?? {}) as Readonly<Record<string, Section | undefined>>;
  const own = sections[channel];
  const levels: readonly (Section | undefined)[] = [own?.accounts?.[account], own, config.messages];
  const first = <Key extends keyof Section>(key: Key): Section[Key] | undefined =>
    levels.find((level) => level?.[key] !== undefined)?.[key];
  const fileMb = Math.min(
    first("mediaMaxMb") ?? Number.POSITIVE_INFINITY,
    config.agents?.defaults?.mediaMaxMb ?? defaultFileMb,
  );
  return {
    fileBytes: Math.floor(fileMb * bytesPerMb),
    ackReaction: first("ackReaction"),
    ackReactionScope: first("ackReactionScope") ?? "group-mentions",
    removeAckAfterReply: config.messages?.removeAckAfterReply ?? false,
    responsePrefix: first("responsePrefix"),
    streaming: streamingOf(first("streaming")),
  };
}

const modes = ["off", "partial", "block", "progress"] as const;
const usualLabel = "Working";
const maxLabelChars = 80;

function streamingOf(given: Section["streaming"]): StreamingSettings {
  const { mode, preview, progress }: Streaming = typeof given === "object" ? given : {};
  const named = typeof given === "string" ? given : mode;
  const { chunk } = fieldsOf(preview);
  const { minChars, maxChars } = fieldsOf(chunk);
  const { label, toolProgress } = fieldsOf(progress);
  const least = positive(minChars) ?? 200;
  return {
    mode: modes.find((item) => item === named) ?? "off",
    minChars: least,
    maxChars: Math.max(least, positive(maxChars) ?? 800),
    label: label === false ? "" : labelOf(label),
    showsTools: toolProgress === true,
  };
}

function labelOf(label: unknown): string {
  if (typeof label !== "string" || label === "auto" || label.trim() === "") return usualLabel;
  return label.replace(/\s+/g, " ").trim().slice(0, maxLabelChars);
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function positive(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
