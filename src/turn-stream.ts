/**
 * A reply that grows before the eyes of whoever waits for it (`streaming.mode: "partial"`). This file is a map, as
 * turn.ts is: the first piece is a row of the outbox like any other, later texts edit its message, and the reply's end
 * is a row that edits it for good. A crash in between leaves a message that is completed, never a second one.
 */
import { type OutboxRow, replyRows, withPrefix } from "./delivery/mod.ts";
import { sleep, type Write } from "./kernel/mod.ts";
import type { TurnLog } from "./turn-log.ts";
import type { Turn, TurnParts } from "./turn-parts.ts";

/** Shorter pieces are not worth a message that changes at once. */
const minFirstChars = 24;
const lookEveryMs = 250;

export interface ReplyStream {
  /** The whole text so far. */
  show(text: string): void;
  /** Ends the showing; resolves when nothing of it is on its way. Gives what belongs into the next commit. */
  settle(): Promise<readonly Write[]>;
}

/** The outbox id of a reply's first text. */
export function firstRowId(messageId: string): string {
  return `${messageId}:000`;
}

/** The rows of a reply whose first message is there already: the first one edits it. */
export function overDraft(rows: readonly OutboxRow[], draft: OutboxRow | undefined): OutboxRow[] {
  return rows.map((row) => {
    if (row.id !== draft?.id) return row;
    const id = `${row.id}e`;
    const edits = row.message.file ? {} : { edits: draft.id };
    return { ...row, id, message: { ...row.message, id, ...edits } };
  });
}

export function createReplyStreams(parts: TurnParts, { recordEffect }: TurnLog) {
  const { clock, commit, outbox, live } = parts;

  /** Undefined where replies are shown only once they are whole. */
  function begin(task: Omit<Turn, "stream">): ReplyStream | undefined {
    const { row } = task;
    const { reply } = row;
    if (!reply || !live.isOn(row)) return undefined;
    const draftId = firstRowId(row.messageId);
    const ended = new AbortController();
    let latest = "";
    let shown = "";
    let edits = 0;
    let work: Promise<void> | undefined;

    function visible(text: string): string {
      // A line that names a file becomes one in the end, or a sentence.
      const words = text.slice(0, /^M(?:E(?:D(?:I(?:A(?::.*)?)?)?)?)?$/m.exec(text)?.index);
      const whole = withPrefix(words, parts.media.settings(row.channel, row.account).responsePrefix, {
        provider: task.choice.provider,
        model: task.choice.model,
        thinkingLevel: task.session.current.thinkingLevel,
        identityName: parts.agentSettings(row.agentId).identityName,
      });
      return whole.trimEnd();
    }

    function firstRow(text: string): OutboxRow | undefined {
      const limit = parts.channelTextLimit(row.channel, row.account);
      return reply && replyRows(row, text, reply, limit, clock.now())[0];
    }

    async function run(): Promise<void> {
      let draft = outbox.byId(draftId);
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

    return {
      show(text) {
        const words = visible(text);
        if (ended.signal.aborted || words.length < minFirstChars) return;
        latest = words;
        work ??= run()
          .catch((error) =>
            parts.log("warn", "a growing reply could not be shown", { error: (error as Error).message }),
          )
          .finally(() => {
            work = undefined;
          });
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
