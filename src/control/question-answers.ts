import { invalid, MethodError } from "./frames.ts";
import type { Question, QuestionAnswers, QuestionRecord } from "./protocol.ts";

/** Throws a MethodError for questions that could not be told apart, or options that could not. */
export function checkQuestions(questions: readonly Question[]): void {
  for (const [index, { questionId, options }] of questions.entries()) {
    const labels = options.map(({ label }) => label);
    const name = JSON.stringify(questionId);
    if (questions.findIndex((other) => other.questionId === questionId) !== index)
      throw new MethodError(invalid(`two questions are called ${name}; give each an id of its own`));
    if (new Set(labels).size !== labels.length)
      throw new MethodError(invalid(`question ${name} offers one option twice`));
  }
}

/** The answers in the order of the questions; an error names the question and what is offered, never what was given. */
export function checkedAnswers(
  questions: readonly Question[],
  { answers }: QuestionAnswers,
): QuestionAnswers {
  const ids = questions.map(({ questionId }) => questionId);
  const stray = Object.keys(answers).find((id) => !ids.includes(id));
  if (stray !== undefined)
    throw new MethodError(invalid(`there is no question ${JSON.stringify(stray)}; it has ${ids.join(", ")}`));
  return {
    answers: Object.fromEntries(
      questions.map((question) => {
        const { questionId } = question;
        const words = Object.hasOwn(answers, questionId) ? (answers[questionId] ?? []) : [];
        const problem = problemOf(question, words);
        if (problem !== undefined)
          throw new MethodError(invalid(`the answer to ${JSON.stringify(questionId)} must ${problem}`));
        return [questionId, [...words]];
      }),
    ),
  };
}

/** What an answer must be, when it is not. */
function problemOf(
  { options, multiSelect, isOther }: Question,
  words: readonly string[],
): string | undefined {
  const labels = options.map(({ label }) => label);
  const own = words.filter((word) => !labels.includes(word));
  const isFree = isOther === true || options.length === 0;
  if (words.length === 0) return "not be empty; cancel the question instead";
  if (multiSelect !== true && words.length > 1) return "be one";
  if (new Set(words).size !== words.length) return "name nothing twice";
  if (own.length > (isFree ? 1 : 0)) {
    const offered = labels.map((label) => JSON.stringify(label)).join(", ");
    return isFree ? `be one text${offered === "" ? "" : `, or among ${offered}`}` : `be among ${offered}`;
  }
  return own.some((word) => word.trim() === "") ? "not be blank" : undefined;
}

/** As anybody but the asker sees it. */
export function withoutSecrets(record: QuestionRecord): QuestionRecord {
  if (!record.answers) return record;
  const secret = new Set(
    record.questions.filter(({ isSecret }) => isSecret).map(({ questionId }) => questionId),
  );
  const shown = Object.entries(record.answers.answers).map(([id, words]) => [
    id,
    secret.has(id) ? [] : words,
  ]);
  return { ...record, answers: { answers: Object.fromEntries(shown) } };
}
