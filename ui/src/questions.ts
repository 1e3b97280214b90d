import { type Desk, gatewayNowMs, problemText } from "./desk.ts";
import { GatewayRefusal } from "./link.ts";
import { amount, type Fields, fields, items, text } from "./untrusted.ts";

/** One thing that a program asks the person. */
export interface AskedQuestion {
  readonly questionId: string;
  readonly header: string;
  readonly question: string;
  readonly options: readonly { readonly label: string; readonly description: string }[];
  readonly takesSeveral: boolean;
  /** One's own words are an answer too; the only one where there are no options. */
  readonly takesWords: boolean;
  readonly isSecret: boolean;
}

export interface PendingQuestions {
  readonly id: string;
  readonly questions: readonly AskedQuestion[];
  readonly sessionKey: string;
  /** By the gateway's clock. */
  readonly expiresAtMs: number;
  readonly answering: boolean;
}

/** Labels of options, or one's own words, by questionId. What is in it is kept nowhere. */
export type Answers = Readonly<Record<string, readonly string[]>>;

export interface Questions {
  load(): Promise<void>;
  event(name: string, payload: Fields): void;
  answer(id: string, answers: Answers): Promise<void>;
  cancel(id: string): Promise<void>;
  /** Takes away what can no longer be answered. */
  dropExpired(): void;
}

export function openQuestions(desk: Desk): Questions {
  const { store } = desk;
  const remove = (id: string) =>
    store.change((state) => ({ questions: state.questions.filter((one) => one.id !== id) }));
  const mark = (id: string, answering: boolean) =>
    store.change((state) => ({
      questions: state.questions.map((one) => (one.id === id ? { ...one, answering } : one)),
    }));

  async function resolve(id: string, end: Fields, done: string): Promise<void> {
    mark(id, true);
    try {
      await desk.call("question.resolve", { id, ...end });
      remove(id);
      desk.notify("info", done);
    } catch (error) {
      const reason = error instanceof GatewayRefusal ? text(error.details.reason) : "";
      if (reason === "QUESTION_ALREADY_RESOLVED" || reason === "QUESTION_NOT_FOUND") remove(id);
      else mark(id, false);
      desk.notify("problem", problemText("Your answer was not taken", error));
    }
  }

  return {
    async load() {
      try {
        const listed = items(fields(await desk.call("question.list")).questions);
        const read = listed.map((raw) => readQuestions(fields(raw)));
        store.change(() => ({ questions: read.filter(isWhole) }));
      } catch {
        // A gateway, or a sign-in, that has no questions: then there is nothing to show.
      }
    },

    event(name, payload) {
      if (name === "question.resolved") remove(text(payload.id));
      if (name !== "question.requested") return;
      const asked = readQuestions(payload);
      if (!isWhole(asked)) return;
      store.change((state) => ({
        questions: [...state.questions.filter((one) => one.id !== asked.id), asked],
      }));
    },

    answer: (id, answers) => resolve(id, { answers: { answers } }, "Your answer was given."),
    cancel: (id) => resolve(id, { cancel: true }, "Cancelled. Nothing was answered."),

    dropExpired() {
      const nowMs = gatewayNowMs(desk);
      if (store.state.questions.some((one) => one.expiresAtMs <= nowMs))
        store.change((state) => ({ questions: state.questions.filter((one) => one.expiresAtMs > nowMs) }));
    },
  };
}

/** Half of a set cannot be answered. */
function isWhole({ id, questions }: PendingQuestions): boolean {
  return id !== "" && questions.length > 0 && questions.every((one) => one.questionId !== "");
}

function readQuestions(raw: Fields): PendingQuestions {
  return {
    id: text(raw.id),
    questions: items(raw.questions).map((item) => readQuestion(fields(item))),
    sessionKey: text(raw.sessionKey),
    expiresAtMs: amount(raw.expiresAtMs) ?? Number.MAX_SAFE_INTEGER,
    answering: false,
  };
}

function readQuestion(raw: Fields): AskedQuestion {
  const options = items(raw.options).map((item) => {
    const { label, description } = fields(item);
    return { label: text(label), description: text(description) };
  });
  return {
    questionId: text(raw.questionId),
    header: text(raw.header),
    question: text(raw.question),
    options,
    takesSeveral: raw.multiSelect === true,
    takesWords: raw.isOther === true || options.length === 0,
    isSecret: raw.isSecret === true,
  };
}
