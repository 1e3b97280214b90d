/** What a storm left behind, judged by what people saw and what the gateway says of itself. */
import { DatabaseSync } from "node:sqlite";
import type { GatewayProcess } from "../support/gateway.ts";
import type { Said } from "./carrier.ts";
import type { Storm } from "./storm.ts";

export interface Written {
  /** Stands in the text and in its answer, and nowhere else. */
  readonly word: string;
  readonly conversation: string;
  /** Where it stands among all that was written; two that arrived the other way round share one place. */
  readonly place: number;
  /** It may be answered after what was written later. */
  readonly isLate?: true;
}

export interface Verdict {
  /** Messages by their final state, and what is not final. */
  readonly done: number;
  readonly otherwise: number;
  readonly sent: number;
  /** In doubt, and shown to the operator as such; of these, so many were seen. */
  readonly unknown: number;
  readonly unknownSeen: number;
  readonly rejected: number;
  /** What must not be: one line each. */
  readonly wrong: readonly string[];
}

export function wordOf(text: string | undefined): string | undefined {
  return /\bw\d{5}\b/.exec(text ?? "")?.[0];
}

/** Rows of the gateway's own database, read beside it. */
export function rows(gateway: GatewayProcess, sql: string): Readonly<Record<string, unknown>>[] {
  const database = new DatabaseSync(gateway.databaseFile, { readOnly: true });
  try {
    return database.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    database.close();
  }
}

/** A reply as the gateway has it, with the message that it answers. */
export interface Reply {
  readonly word: string | undefined;
  readonly messageId: string;
  readonly state: string;
}

export interface Kept {
  readonly inbox: readonly { readonly messageId: string; readonly state: string; readonly detail: string }[];
  readonly outbox: readonly Reply[];
}

export function keptBy(gateway: GatewayProcess): Kept {
  const inbox = rows(gateway, "SELECT message_id, state, detail FROM inbox");
  const outbox = rows(gateway, "SELECT message_id, state, message FROM outbox ORDER BY place");
  return {
    inbox: inbox.map((row) => ({
      messageId: String(row.message_id),
      state: String(row.state),
      detail: String(row.detail ?? ""),
    })),
    outbox: outbox.map((row) => ({
      messageId: String(row.message_id),
      state: String(row.state),
      word: wordOf((JSON.parse(String(row.message)) as { text: string }).text),
    })),
  };
}

export async function verdictOn({ carrier, gateway, written }: Storm): Promise<Verdict> {
  const kept = keptBy(gateway);
  const isLate = true as const;
  const judged = written.map((one) => (carrier.mayBeLate?.(one.word) ? { ...one, isLate } : one));
  const verdict = judge(judged, carrier.said(), kept);
  const client = await gateway.connect();
  const { intact } = (await client.rpc("audit.verify", {})) as { intact: boolean };
  return intact ? verdict : { ...verdict, wrong: [...verdict.wrong, "the record is not whole"] };
}

/** Each accepted event has one final state; each reply is seen at most once, in order, and none is lost. */
export function judge(written: readonly Written[], said: readonly Said[], kept: Kept): Verdict {
  const wrong: string[] = [];
  const states = new Map(kept.inbox.map(({ messageId, state }) => [messageId, state]));
  if (kept.inbox.length !== written.length)
    wrong.push(`${written.length} messages were written, ${kept.inbox.length} are known`);
  for (const { messageId, state, detail } of kept.inbox)
    if (state !== "done") wrong.push(`message ${messageId} ended as ${state} ${detail}`);
  const replies = Map.groupBy(kept.outbox, ({ word }) => word ?? "");
  const seen = Map.groupBy(said, ({ text }) => wordOf(text) ?? "");
  for (const { text } of seen.get("") ?? []) wrong.push(`nobody asked for ${JSON.stringify(text)}`);
  let unknownSeen = 0;
  for (const { word, conversation } of written) {
    const own = replies.get(word) ?? [];
    const views = seen.get(word) ?? [];
    const [reply] = own;
    if (own.length !== 1 || !reply) wrong.push(`${word} has ${own.length} replies`);
    if (reply && states.get(reply.messageId) === undefined) wrong.push(`${word}: a reply to no message`);
    if (views.length > 1) wrong.push(`${word} was answered ${views.length} times (${reply?.state})`);
    if (views.some((view) => view.conversation !== conversation)) wrong.push(`${word}: the wrong chat`);
    if (reply?.state === "unknown") unknownSeen += views.length;
    else if (reply?.state === "sent" && views.length === 0) wrong.push(`${word} was sent, and never seen`);
    else if (reply && reply.state !== "sent") wrong.push(`the reply to ${word} ended as ${reply.state}`);
  }
  wrong.push(...outOfOrder(written, said));
  const inState = (state: string) => kept.outbox.filter((reply) => reply.state === state).length;
  const done = kept.inbox.filter(({ state }) => state === "done").length;
  return {
    done,
    otherwise: kept.inbox.length - done,
    sent: inState("sent"),
    unknown: inState("unknown"),
    unknownSeen,
    rejected: inState("rejected"),
    wrong,
  };
}

function outOfOrder(written: readonly Written[], said: readonly Said[]): readonly string[] {
  const known = new Map(written.map((one) => [one.word, one]));
  const last = new Map<string, number>();
  return said.flatMap(({ conversation, text }) => {
    const word = wordOf(text) ?? "";
    const { place, isLate } = known.get(word) ?? { place: 0, isLate: true };
    if (isLate) return [];
    const before = last.get(conversation) ?? 0;
    last.set(conversation, Math.max(place, before));
    return place < before ? [`${word} was answered after what was written later`] : [];
  });
}
