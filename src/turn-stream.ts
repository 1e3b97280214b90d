/**
 * A reply that grows before the eyes of whoever waits for it, or a line that work goes on in its place
 * (`streaming.mode`). This file is a map, as turn.ts is: the first piece is a row of the outbox like any other, later
 * texts edit its message, and the reply's end is a row that edits it for good. A crash in between leaves a message that
 * is completed, never a second one.
 */
import { type OutboxRow, replyRows, type StreamingSettings, withPrefix } from "./delivery/mod.ts";
import { sleep, type Write } from "./kernel/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";

/** Shorter pieces are not worth a message that changes at once. */
const minFirstChars = 24;
const lookEveryMs = 250;
/** What is done sooner needs no line that it is being done. */
const firstStatusAfterMs = 1500;
const maxStatusLines = 6;
/** For an end that has no text: a line that something is done must not stay. */
const doneText = "✓";

export interface ReplyStream {
  /** The whole text so far. */
  show(text: string): void;
  /** What is being done before the reply is there, in a line. */
  working(what: string): void;
  /** Ends the showing; resolves when nothing of it is on its way. Gives what belongs into the next commit. */
  settle(): Promise<readonly Write[]>;
}

/** The outbox id of a reply's first text. */
export function firstRowId(messageId: string): string {
  return `${messageId}:000`;
}

/** The rows of a reply whose first message is there already: the first one edits it. */
export function overDraft(rows: readonly OutboxRow[], draft: OutboxRow | undefined): OutboxRow[] {
  if (!draft) return [...rows];
  const [first] = rows;
  if (first && !first.message.file) {
    const id = `${draft.id}e`;
    return [{ ...first, id, message: { ...first.message, id, edits: draft.id } }, ...rows.slice(1)];
  }
  const files = rows.map((row) => {
    const id = row.id === draft.id ? `${row.id}f` : row.id;
    return { ...row, id, message: { ...row.message, id } };
  });
  return [...endOfStatus(draft, doneText), ...files];
}

/** The end of a line that work goes on, where no text takes its place; none for any other draft. */
export function endOfStatus(draft: OutboxRow | undefined, text: string): OutboxRow[] {
  if (!draft?.message.isStatus) return [];
  const id = `${draft.id}e`;
  const { isStatus: _, ...message } = draft.message;
  const { detail: _detail, platformId: _platformId, ...row } = draft;
  const end = { ...message, id, text, edits: draft.id };
  return [{ ...row, id, message: end, state: "pending", attempts: 0, notBefore: 0 }];
}

/** Where a text that is shown up to `from` may be shown to next: behind a paragraph, line, sentence or word. */
export function blockEnd(text: string, from: number, { minChars, maxChars }: StreamingSettings): number {
  const room = text.slice(from, from + maxChars);
  for (const boundary of [/\n\n+/g, /\n/g, /[.!?…](?=\s)/g, /\s/g]) {
    const ends = [...room.matchAll(boundary)].map((found) => found.index + found[0].length);
    const last = ends.filter((end) => end >= minChars).at(-1);
    if (last !== undefined) return from + last;
  }
  return room.length < maxChars ? from : from + maxChars;
}

export function createReplyStreams(parts: TurnParts, { recordEffect }: TurnLog) {
  const { clock, commit, outbox, live } = parts;

  /** Undefined where replies are shown only once they are whole. */
  function begin(task: Omit<Turn, "stream">): ReplyStream | undefined {
    const { row } = task;
    const { reply } = row;
    const manner = live.manner(row);
    if (!reply || !manner) return undefined;
    const { mode } = manner;
    const draftId = firstRowId(row.messageId);
    const ended = new AbortController();
    let latest = "";
    let shown = "";
    let edits = 0;
    let blockTo = 0;
    const lines: string[] = [];
    let work: Promise<void> | undefined;

    function visible(text: string): string {
      // A line that names a file becomes one in the end, or a sentence.
      const words = text.slice(0, /^M(?:E(?:D(?:I(?:A(?::.*)?)?)?)?)?$/m.exec(text)?.index);
      return withPrefix(words, parts.media.settings(row.channel, row.account).responsePrefix, {
        provider: task.choice.provider,
        model: task.choice.model,
        thinkingLevel: task.session.current.thinkingLevel,
        identityName: parts.agentSettings(row.agentId).identityName,
      });
    }

    function firstRow(text: string): OutboxRow | undefined {
      const limit = parts.channelTextLimit(row.channel, row.account);
      const first = reply && replyRows(row, text, reply, limit, clock.now())[0];
      if (!first || mode !== "progress") return first;
      return { ...first, message: { ...first.message, isStatus: true } };
    }

    async function run(): Promise<void> {
      let draft = outbox.byId(draftId);
      if (!draft && mode === "progress") await sleep(clock, firstStatusAfterMs, ended.signal);
      while (!ended.signal.aborted && latest !== shown) {
        const of = latest;
        const next = firstRow(of);
        if (!next) return;
        if (!draft) {
          await commit([
            outbox.insert(next),
            recordEffect("effect.start", "delivery", "stream", row, { outbox: draftId }),
          ]);
          parts.sender.offer([next]);
          draft = next;
          shown = of;
        } else {
          draft = outbox.byId(draftId) ?? draft;
          if (draft.state === "sent" && draft.platformId !== undefined) {
            if (!(await edit(draft.platformId))) return;
          } else if (draft.state === "pending" || draft.state === "sending")
            await sleep(clock, lookEveryMs, ended.signal);
          else return;
        }
      }
    }

    /** One edit, no earlier than its channel's turn; false when there is no point in another one. */
    async function edit(platformId: string): Promise<boolean> {
      await live.turn(row, ended.signal);
      const of = latest;
      const text = firstRow(of)?.message.text;
      if (ended.signal.aborted || text === undefined) return false;
      const result = await live.edit(row, platformId, text);
      edits += 1;
      if (result.outcome === "retry") await sleep(clock, result.retryAfterMs, ended.signal);
      else shown = of;
      return result.outcome === "sent" || result.outcome === "retry";
    }

    function showNext(text: string): void {
      if (ended.signal.aborted || text === "") return;
      latest = text;
      work ??= run()
        .catch((error) =>
          parts.log("warn", "a growing reply could not be shown", { error: (error as Error).message }),
        )
        .finally(() => {
          work = undefined;
        });
    }

    return {
      show(text) {
        if (mode === "progress") return;
        const words = visible(text);
        if (mode === "block") {
          // A round after a tool begins a text of its own.
          if (words.length < blockTo) blockTo = 0;
          blockTo = blockEnd(words, blockTo, manner);
          showNext(words.slice(0, blockTo).trimEnd());
        } else if (words.trimEnd().length >= minFirstChars) showNext(words.trimEnd());
      },
      working(what) {
        if (mode !== "progress") return;
        if (manner.showsTools) lines.push(`- ${parts.redact(what)}`);
        const said = [manner.label, ...lines.slice(-maxStatusLines)];
        showNext(said.filter((line) => line !== "").join("\n"));
      },
      async settle() {
        ended.abort();
        await work;
        return edits === 0 ? [] : [recordEffect("effect.end", "delivery", "stream", row, { edits }, "ok")];
      },
    };
  }

  return { begin };
}
