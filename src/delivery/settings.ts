import type { OpenClawConfig } from "../config/mod.ts";

/** What the config says of files and of how replies look, for one account of a channel. */
export interface DeliverySettings {
  /** Largest file that is taken in. */
  readonly fileBytes: number;
  /** Undefined: the agent's own emoji. Empty: none. */
  readonly ackReaction: string | undefined;
  readonly ackReactionScope: "group-mentions" | "group-all" | "direct" | "all" | "off" | "none";
  readonly removeAckAfterReply: boolean;
  /** How a reply is shown while it grows; only "partial" does anything. */
  readonly streamingMode: string;
  /** Undefined or empty: none. */
  readonly responsePrefix: string | undefined;
}

interface Section {
  readonly mediaMaxMb?: number;
  readonly ackReaction?: string;
  readonly ackReactionScope?: DeliverySettings["ackReactionScope"];
  readonly responsePrefix?: string;
  readonly streaming?: string | boolean | { readonly mode?: string };
  readonly accounts?: Readonly<Record<string, Section | undefined>>;
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
    streamingMode: modeOf(first("streaming")),
  };
}

function modeOf(streaming: Section["streaming"]): string {
  if (typeof streaming === "string") return streaming;
  return (typeof streaming === "object" ? streaming.mode : undefined) ?? "off";
}
