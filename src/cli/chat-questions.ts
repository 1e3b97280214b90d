import type { Question, QuestionRecord } from "../control/protocol.ts";
import type { Style } from "./style.ts";
import { ago } from "./table.ts";
import { visibleLine } from "./visible.ts";

/** Questions that a program asks in a conversation, one after another, answered by lines that are typed. */
interface ChatQuestions {
  /** What a line is asked with; undefined while none is an answer. */
  readonly prompt: string | undefined;
  asked(record: QuestionRecord): void;
  /** Somebody answered it, or its time is over. */
  ended(id: string, status: string): void;
  /** Those of the conversation that is shown now, in the place of all others. */
  replace(records: readonly QuestionRecord[]): void;
  /** Shows the question that waits once more. */
  show(): void;
  answer(line: string): Promise<void>;
}

type Given = Readonly<Record<string, readonly string[]>>;

export function openChatQuestions(ports: {
  readonly rows: (rows: readonly string[]) => void;
  readonly style: Style;
  readonly now: () => number;
  /** False for a pipe: its lines were written for the agent, and no program that asks gets one of them. */
  readonly isTerminal: boolean;
  /** A command waits for its yes: a program's words beside it could talk somebody into it. They come after it. */
  readonly isHeld: () => boolean;
  readonly resolve: (
    id: string,
    end: { readonly cancel: true } | { readonly answers: { readonly answers: Given } },
  ) => Promise<unknown>;
  /** The prompt may be another one now. */
  readonly changed: () => void;
}): ChatQuestions {
  const { style } = ports;
  let waiting: readonly QuestionRecord[] = [];
  let given: Given = {};
  const told = new Set<string>();
  // Its end is told to everybody, us too, before our own answer is taken.
  let ending: string | undefined;

  const current = () => waiting[0];
  const next = () => current()?.questions.find(({ questionId }) => !Object.hasOwn(given, questionId));

  function remove(id: string): void {
    const wasFirst = current()?.id === id;
    waiting = waiting.filter((one) => one.id !== id);
    if (!wasFirst) return;
    given = {};
    if (current()) show();
    ports.changed();
  }

  function show(): void {
    const [record, question] = [current(), next()];
    if (!record || !question || ports.isHeld()) return;
    const isFirst = Object.keys(given).length === 0;
    ports.rows([
      ...(isFirst
        ? [
            `${style.bold("A program asks you:")} ${style.dim(`(expires ${ago(record.expiresAtMs, ports.now())})`)}`,
          ]
        : []),
      ...questionRows(question, style),
    ]);
  }

  function add(record: QuestionRecord): void {
    if (waiting.some(({ id }) => id === record.id) || told.has(record.id)) return;
    if (!ports.isTerminal || record.questions.some(({ isSecret }) => isSecret)) {
      told.add(record.id);
      const what = ports.isTerminal
        ? "a secret, which would be seen here"
        : "something, and this is no terminal";
      ports.rows([
        style.yellow(`A program asks you for ${what}: answer it on the page (openclaw dashboard).`),
      ]);
      return;
    }
    waiting = [...waiting, record];
    if (waiting.length === 1) show();
    ports.changed();
  }

  async function resolve(id: string, end: Parameters<typeof ports.resolve>[1], done: string): Promise<void> {
    ending = id;
    try {
      await ports.resolve(id, end);
      ports.rows([style.dim(`  ${done}`)]);
    } catch (error) {
      ports.rows([style.red(`✗ ${visibleLine((error as Error).message)}`)]);
    }
    remove(id);
  }

  return {
    get prompt() {
      const question = next();
      if (!question) return undefined;
      const marks = marksOf(question).slice(0, question.options.length);
      const offered = question.options.length === 0 ? "your answer" : marks.join("/");
      return `[${offered}  /later  /cancel] › `;
    },
    asked: add,
    ended(id, status) {
      if (id === ending) return;
      if (current()?.id === id) ports.rows([style.dim(`  the question is over: ${visibleLine(status)}`)]);
      remove(id);
    },
    replace(records) {
      waiting = [];
      given = {};
      for (const record of records) add(record);
    },
    show,
    async answer(line) {
      const [record, question] = [current(), next()];
      const words = line.trim();
      if (!record || !question || words === "") return;
      if (words === "/cancel") return resolve(record.id, { cancel: true }, "cancelled");
      if (words === "/later") {
        told.add(record.id);
        ports.rows([style.dim("  put aside; it still waits on the page")]);
        return remove(record.id);
      }
      const chosen = chosenBy(question, words);
      if (!chosen) return ports.rows([howTo(question)]);
      given = { ...given, [question.questionId]: chosen };
      if (!next()) return resolve(record.id, { answers: { answers: given } }, "answered");
      show();
      ports.changed();
    },
  };
}

function questionRows(question: Question, style: Style): string[] {
  const marks = marksOf(question);
  const header = question.header === "" ? "" : `${style.cyan(visibleLine(question.header))}  `;
  const ways = [
    ...(question.multiSelect ? ["several, with commas between them"] : []),
    ...(question.isOther && question.options.length > 0 ? ["or in your own words"] : []),
  ];
  return [
    `  ${header}${visibleLine(question.question)}`,
    ...question.options.map(({ label, description }, index) => {
      const note = description === undefined ? "" : style.dim(`  ${visibleLine(description)}`);
      return `    ${style.bold(marks[index] ?? "")}  ${visibleLine(label)}${note}`;
    }),
    ...(ways.length === 0 ? [] : [style.dim(`    ${ways.join("; ")}`)]),
  ];
}

/** Numbers; letters where an option is itself called by a number, so that "2" is never two of them. */
function marksOf({ options }: Question): readonly string[] {
  return options.some(({ label }) => /^\d+$/.test(label)) ? ["a", "b", "c", "d"] : ["1", "2", "3", "4"];
}

/** What a line chooses; undefined when it is no answer to this question. */
function chosenBy(question: Question, line: string): readonly string[] | undefined {
  const { options, multiSelect, isOther } = question;
  if (options.length === 0) return [line];
  const marks = marksOf(question);
  const labelOf = (word: string): string | undefined => {
    const marked = options[marks.indexOf(word.toLowerCase())]?.label;
    const named = options.find(({ label }) => label.toLowerCase() === word.toLowerCase())?.label;
    // Two of them: neither.
    return marked !== undefined && named !== undefined && marked !== named ? undefined : (marked ?? named);
  };
  const whole = labelOf(line);
  if (whole !== undefined) return [whole];
  if (!multiSelect) return isOther ? [line] : undefined;
  const parts = line
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  const labels = parts.flatMap((part) => labelOf(part) ?? []);
  const own = parts.filter((part) => labelOf(part) === undefined).join(", ");
  if (own !== "" && !isOther) return undefined;
  const chosen = [...new Set([...labels, ...(own === "" ? [] : [own])])];
  return chosen.length === 0 ? undefined : chosen;
}

function howTo(question: Question): string {
  const marks = marksOf(question).slice(0, question.options.length).join(", ");
  return `Answer with ${marks} or the words beside it${question.multiSelect ? "; several with commas" : ""}.`;
}
