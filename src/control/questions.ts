import { isDeepStrictEqual } from "node:util";
import type { Principal } from "../auth/mod.ts";
import { type Cancel, type Clock, type Random, sleep, uuid } from "../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "./frames.ts";
import type { Question, QuestionAnswers, QuestionRecord } from "./protocol.ts";
import { checkedAnswers, checkQuestions, withoutSecrets } from "./question-answers.ts";

/** Whose question it is: his credential, and his device where he proved one. */
type Asker = Pick<Principal, "id" | "deviceId">;

interface QuestionOrder {
  readonly id?: string;
  readonly questions: readonly Question[];
  readonly agentId: string;
  readonly sessionKey: string;
  readonly runId?: string;
  readonly timeoutMs?: number;
}

/**
 * Questions that clients ask people through the gateway. They live as long as it does, in its memory: a secret answer
 * is on no disk. All that is thrown is a MethodError that names no answer.
 */
export interface Questions {
  /** The same order under the same id by the same asker is one question: its answer may have been lost. */
  ask(asker: Asker, order: QuestionOrder): QuestionRecord;
  /** With the answers to secrets only for who asked. Throws for an id that is unknown, or over for some minutes. */
  get(id: string, reader: Asker): QuestionRecord;
  /** Those that wait for an answer, oldest first. */
  pending(): readonly QuestionRecord[];
  /** The record when it is over, or as it is after `timeoutMs`. */
  wait(id: string, timeoutMs: number | undefined, reader: Asker): Promise<QuestionRecord>;
  /** The first answer counts; whoever comes second with another one is told so. */
  answer(id: string, answers: QuestionAnswers, by: Asker): QuestionRecord;
  cancel(id: string, by: Asker): QuestionRecord;
  /** Ends what these callers asked. */
  cancelOf(isOver: (principalId: string) => boolean): void;
  /** Whoever waits is told that it expired, and nothing is asked any more; resolves when the answers are written. */
  close(): Promise<void>;
}

interface Kept {
  readonly asker: Asker;
  record: QuestionRecord;
  /** Who ended it. */
  by: Asker | undefined;
  readonly waiters: Set<() => void>;
  /** Of its expiry while it waits, then of its being forgotten. */
  cancelTimer: Cancel;
}

export const questionLimits = {
  perAsker: 8,
  inAll: 64,
  defaultTimeoutMs: 1_800_000,
  maxTimeoutMs: 86_400_000,
};
/** How long, and how many, are kept for an asker who was away when they ended. */
const endedKeptMs = 300_000;
const maxEnded = 128;
const maxWaiters = 32;

export function createQuestions(ports: {
  readonly clock: Clock;
  readonly random: Random;
  /** Told of each new question and of each end, as everybody may see it. */
  readonly changed: (record: QuestionRecord) => void;
}): Questions {
  const { clock } = ports;
  const all = new Map<string, Kept>();
  let isClosed = false;

  const waiting = () => [...all.values()].filter(({ record }) => record.status === "pending");

  function found(id: string): Kept {
    const one = all.get(id);
    if (!one) throw unknownQuestion(id);
    return one;
  }

  function end(one: Kept, change: Pick<QuestionRecord, "status" | "answers">, by?: Asker): void {
    one.cancelTimer();
    one.record = { ...one.record, ...change, ...(by ? { resolvedBy: by.id } : {}) };
    one.by = by;
    one.cancelTimer = clock.after(endedKeptMs, () => all.delete(one.record.id));
    const ended = [...all.values()].filter(({ record }) => record.status !== "pending");
    for (const old of ended.slice(0, -maxEnded)) {
      old.cancelTimer();
      all.delete(old.record.id);
    }
    ports.changed(withoutSecrets(one.record));
    for (const tell of one.waiters) tell();
  }

  /** Who comes late to it is told how it ended, and not what was answered. */
  function over({ record }: Kept): MethodError {
    return new MethodError(
      invalid(
        `this question is over: ${record.status}${record.resolvedBy ? ` by ${record.resolvedBy}` : ""}`,
        {
          reason: "QUESTION_ALREADY_RESOLVED",
          status: record.status,
        },
      ),
    );
  }

  function admit(asker: Asker): void {
    const pending = waiting();
    const own = pending.filter((one) => isSame(one.asker, asker)).length;
    if (own >= questionLimits.perAsker)
      throw crowded(`${own} of your questions wait already; wait for their answers, or cancel some`);
    if (pending.length >= questionLimits.inAll)
      throw crowded(`${pending.length} questions wait already; somebody must answer some first`);
  }

  return {
    ask(asker, { id = uuid(ports.random), timeoutMs = questionLimits.defaultTimeoutMs, ...asked }) {
      if (isClosed) throw new MethodError(unavailable("the gateway stops", undefined, 5_000));
      checkQuestions(asked.questions);
      const known = all.get(id);
      if (known) {
        const { questions, agentId, sessionKey, runId, status } = known.record;
        const before = { questions, agentId, sessionKey, ...(runId === undefined ? {} : { runId }) };
        if (status === "pending" && isSame(known.asker, asker) && isDeepStrictEqual(before, asked))
          return known.record;
        throw new MethodError(invalid("question id already in use; leave it out, and one is made"));
      }
      admit(asker);
      const createdAtMs = clock.now();
      const record: QuestionRecord = {
        id,
        ...asked,
        createdAtMs,
        expiresAtMs: createdAtMs + timeoutMs,
        status: "pending",
      };
      const one: Kept = {
        asker,
        record,
        by: undefined,
        waiters: new Set(),
        cancelTimer: clock.after(timeoutMs, () => end(one, { status: "expired" })),
      };
      all.set(id, one);
      ports.changed(record);
      return record;
    },
    get(id, reader) {
      const one = found(id);
      return isSame(one.asker, reader) ? one.record : withoutSecrets(one.record);
    },
    pending: () => waiting().map(({ record }) => record),
    async wait(id, timeoutMs, reader) {
      const one = found(id);
      const told = () => (isSame(one.asker, reader) ? one.record : withoutSecrets(one.record));
      if (one.record.status !== "pending") return told();
      // A client that came and went many times: who has waited longest may ask again.
      if (one.waiters.size >= maxWaiters) for (const tell of [...one.waiters].slice(0, 1)) tell();
      return new Promise((resolve) => {
        const tell = () => {
          one.waiters.delete(tell);
          cancel();
          resolve(told());
        };
        const cancel = timeoutMs === undefined ? () => {} : clock.after(timeoutMs, tell);
        one.waiters.add(tell);
      });
    },
    answer(id, given, by) {
      const one = found(id);
      const { record } = one;
      if (
        record.status === "answered" &&
        isDeepStrictEqual({ ...record.answers?.answers }, { ...given.answers })
      ) {
        // To say that a secret was guessed would tell it.
        const mayKnow = record.questions.every(({ isSecret }) => !isSecret) || isSame(one.by, by);
        if (mayKnow) return record;
      }
      if (record.status !== "pending") throw over(one);
      end(one, { status: "answered", answers: checkedAnswers(record.questions, given) }, by);
      return one.record;
    },
    cancel(id, by) {
      const one = found(id);
      if (one.record.status !== "pending" && one.record.status !== "cancelled") throw over(one);
      if (one.record.status === "pending") end(one, { status: "cancelled" }, by);
      return one.record;
    },
    cancelOf(isOver) {
      for (const one of waiting()) if (isOver(one.asker.id)) end(one, { status: "cancelled" });
    },
    async close() {
      isClosed = true;
      const pending = waiting();
      for (const one of pending) end(one, { status: "expired" });
      for (const { cancelTimer } of all.values()) cancelTimer();
      all.clear();
      if (pending.length > 0) await sleep(clock, 0);
    },
  };
}

/** The same for one that there never was, one that is forgotten, and one that the caller may not see. */
export function unknownQuestion(id: string): MethodError {
  return new MethodError(
    invalid(`unknown question ${JSON.stringify(id)}: it may be over; question.list shows those that wait`, {
      reason: "QUESTION_NOT_FOUND",
    }),
  );
}

function isSame(one: Asker | undefined, other: Asker): boolean {
  return one?.id === other.id && one.deviceId === other.deviceId;
}

function crowded(message: string): MethodError {
  return new MethodError(unavailable(message, { reason: "TOO_MANY_QUESTIONS" }, 60_000));
}
