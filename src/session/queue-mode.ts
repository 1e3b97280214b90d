import type { OpenClawConfig } from "../config/mod.ts";

/**
 * What becomes of a message that comes while its session is busy. `followup`: a turn of its own, afterwards. `collect`:
 * all that wait become one turn. `steer`: the running turn reads it before it asks the model again. `interrupt`: the
 * running turn is stopped for it.
 */
export type QueueMode = "steer" | "followup" | "collect" | "interrupt";

export interface QueueRule {
  readonly mode: QueueMode;
  /**
   * So many may wait in one session. Not set by default: nothing gives way then, and a platform keeps what a full lane
   * does not take.
   */
  readonly cap: number;
  /** What gives way beyond it: the new one is refused, the oldest is, or the oldest is only told of. */
  readonly drop: "summarize" | "old" | "new";
}

export interface QueueSettings {
  readonly base: QueueRule;
  readonly byChannel: ReadonlyMap<string, QueueMode>;
}

type Section = NonNullable<NonNullable<OpenClawConfig["messages"]>["queue"]>;

export function queueSettings(section: Section | undefined): QueueSettings {
  return Object.freeze({
    base: {
      mode: section?.mode ?? "steer",
      cap: section?.cap ?? Number.POSITIVE_INFINITY,
      drop: section?.drop ?? "summarize",
    },
    byChannel: new Map(Object.entries(section?.byChannel ?? {})),
  });
}

export function queueRule(settings: QueueSettings, channel: string): QueueRule {
  const mode = settings.byChannel.get(channel);
  return mode === undefined ? settings.base : { ...settings.base, mode };
}

/** Several messages of one person as one, in order. */
export function collectedText(texts: readonly string[]): string {
  const parts = texts.map((text, index) => `[${index + 1}] ${text}`);
  return `[${texts.length} messages came in while you were busy, in this order]\n\n${parts.join("\n\n")}`;
}

const leftOutMark = "[left out, because too many messages waited]";
const leftOutChars = 160;
const maxLeftOut = 20;

/** `next`, told of the message that gave way to it and of those that gave way to that one before. */
export function leaveOut(gone: string, next: string): string {
  const [notes, text] = gone.startsWith(`${leftOutMark}\n`) ? splitNotes(gone) : [[], gone];
  const line = text.replace(/\s+/g, " ").trim();
  const short = line.length > leftOutChars ? `${line.slice(0, leftOutChars - 1)}…` : line;
  return [leftOutMark, ...[...notes, `- ${short}`].slice(-maxLeftOut), "", next].join("\n");
}

function splitNotes(text: string): [string[], string] {
  const end = text.indexOf("\n\n");
  return [text.slice(leftOutMark.length + 1, end).split("\n"), text.slice(end + 2)];
}
