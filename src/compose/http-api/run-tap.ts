import type { RunEvents } from "../../control/mod.ts";

/** Hears what one run says while it says it. */
export interface RunListener {
  /** Text of the model's present answer, from its start. */
  text(soFar: string): void;
  /** The answer is asked for again: what was heard of it does not count. */
  again(): void;
  /** The answer is whole and calls a tool; another one follows. */
  tool(): void;
}

/** Lets HTTP requests listen to runs, beside the WebSocket's events. */
export interface RunTap {
  /** Begins with the run's next words; the result ends it. */
  follow(runId: string, listener: RunListener): () => void;
  /** The events of a run, told to `events` and to whoever follows. */
  tee(events: RunEvents, runId: string): RunEvents;
}

export function createRunTap(): RunTap {
  const listeners = new Map<string, Set<RunListener>>();
  return {
    follow(runId, listener) {
      const ofRun = listeners.get(runId) ?? new Set();
      listeners.set(runId, ofRun.add(listener));
      return () => {
        ofRun.delete(listener);
        if (ofRun.size === 0) listeners.delete(runId);
      };
    },
    tee: (events, runId) => ({
      ...events,
      delta(delta, text) {
        events.delta(delta, text);
        for (const listener of listeners.get(runId) ?? []) listener.text(text);
      },
      retrying(data) {
        events.retrying(data);
        for (const listener of listeners.get(runId) ?? []) listener.again();
      },
      toolStart(call) {
        events.toolStart(call);
        for (const listener of listeners.get(runId) ?? []) listener.tool();
      },
    }),
  };
}

/**
 * Turns what a run says (each answer from its start, several answers when it uses tools) into pieces that can only be
 * added to, as a stream of deltas needs them. Answers are parted by an empty line; so is one that had to begin again
 * with other words.
 */
export interface SpokenText {
  /** The piece to send now; "" when there is none. */
  heard(soFar: string): string;
  again(): void;
  tool(): void;
  /** What of the final answer was not sent yet. */
  rest(final: string): string;
}

export function createSpokenText(): SpokenText {
  let sent = "";
  let sentAny = false;
  let repeats = false;
  let begins = false;

  function heard(text: string): string {
    // An answer that is asked for again and is still saying what it said before.
    if (repeats && text.length < sent.length && sent.startsWith(text)) return "";
    repeats = false;
    const goesOn = text.startsWith(sent);
    const piece = goesOn ? text.slice(sent.length) : text;
    if (piece === "") return "";
    const parted = sentAny && (begins || !goesOn);
    sent = text;
    sentAny = true;
    begins = false;
    return parted ? `\n\n${piece}` : piece;
  }

  return {
    heard,
    again() {
      repeats = true;
    },
    tool() {
      sent = "";
      begins = true;
    },
    rest: (final) => (final === "" ? "" : heard(final)),
  };
}
