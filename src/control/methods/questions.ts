import type { Principal } from "../../auth/mod.ts";
import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { QuestionRecord } from "../protocol.ts";
import { type Questions, questionLimits, unknownQuestion } from "../questions.ts";
import type { SessionNames } from "../session-names.ts";

const { any, array, boolean, integer, object, oneOf, open, optional, record, string } = schema;

const id = string({ minLength: 1, maxLength: 128 });
const questionId = string({ pattern: "^[a-z][a-z0-9_]*$", maxLength: 64 });
// Closed, as published: what we do not know might be a promise that we would break, as `secretStore` is.
const questionSchema = object({
  questionId,
  header: string({ maxLength: 12 }),
  question: string({ minLength: 1, maxLength: 2000 }),
  options: array(
    object({
      label: string({ minLength: 1, maxLength: 200 }),
      description: optional(string({ maxLength: 500 })),
    }),
    { maxItems: 4 },
  ),
  multiSelect: optional(boolean()),
  isOther: optional(boolean()),
  isSecret: optional(boolean()),
  secretStore: optional(any()),
});
const answersSchema = object({
  // At most the options, and one text.
  answers: record(array(string({ maxLength: 4000 }), { maxItems: 5 }), { keys: questionId }),
});
const name = string({ minLength: 1, maxLength: 512 });

/** question.*: what a client asks people, and what they answer. */
export function questionMethods(
  questions: Questions,
  names: SessionNames,
  /** May he read the conversation that it belongs to? For callers who are kept to some agents or channels. */
  mayReach: (principal: Principal, methodName: string, record: QuestionRecord) => boolean,
): Method[] {
  const scope = "operator.questions";

  /** Of a question that he may not see nobody learns that it exists. */
  function reached(questionId: string, principal: Principal, methodName: string): QuestionRecord {
    const found = questions.get(questionId, principal);
    if (mayReach(principal, methodName, found)) return found;
    throw unknownQuestion(questionId);
  }

  return [
    method({
      name: "question.request",
      scope,
      maxBytes: 131_072,
      perMinute: 60,
      params: object({
        id: optional(id),
        questions: array(questionSchema, { minItems: 1, maxItems: 3 }),
        agentId: optional(name),
        sessionKey: optional(name),
        runId: optional(name),
        timeoutMs: optional(integer({ minimum: 1, maximum: questionLimits.maxTimeoutMs })),
      }),
      admin: (params) => ({
        action: "question.request",
        facts: { questions: params.questions.length, sessionKey: params.sessionKey ?? "main" },
      }),
      run({ questions: wanted, sessionKey, agentId, ...order }, call) {
        const asked = wanted.map(({ secretStore, ...question }) => {
          if (secretStore !== undefined)
            throw new MethodError(
              invalid("secretStore: there is no store that an answer could go to; ask with isSecret alone"),
            );
          return question;
        });
        const session = names.resolve(sessionKey, agentId);
        const made = questions.ask(call.principal, {
          ...order,
          questions: asked,
          sessionKey: session.key,
          agentId: session.agentId,
        });
        return { id: made.id, expiresAtMs: made.expiresAtMs };
      },
    }),
    method({
      name: "question.waitAnswer",
      scope,
      params: object({
        id,
        timeoutMs: optional(integer({ minimum: 1, maximum: questionLimits.maxTimeoutMs })),
      }),
      async run(params, { principal }) {
        reached(params.id, principal, "question.waitAnswer");
        return endOf(await questions.wait(params.id, params.timeoutMs, principal));
      },
    }),
    method({
      name: "question.get",
      scope,
      params: object({ id }),
      run: (params, { principal }) => ({ question: reached(params.id, principal, "question.get") }),
    }),
    method({
      name: "question.list",
      scope,
      params: open(object({})),
      run: (_params, { principal }) => ({
        questions: questions.pending().filter((one) => mayReach(principal, "question.list", one)),
      }),
    }),
    method({
      name: "question.resolve",
      scope,
      params: object({
        id,
        answers: optional(answersSchema),
        cancel: optional(oneOf([true])),
        secretStoreAllowedHosts: optional(any()),
        // What a client says of itself; who it is we know.
        resolvedBy: optional(name),
      }),
      // What was answered is nobody's but the asker's.
      admin: (params) => ({
        action: "question.resolve",
        facts: { id: params.id, isCancelled: params.cancel === true },
      }),
      run({ id: wanted, answers, cancel, secretStoreAllowedHosts }, { principal }) {
        if (secretStoreAllowedHosts !== undefined)
          throw new MethodError(invalid("secretStoreAllowedHosts: this question stores its answer nowhere"));
        if ((answers === undefined) === (cancel === undefined))
          throw new MethodError(
            invalid("invalid question.resolve params: give either answers or cancel: true"),
          );
        reached(wanted, principal, "question.resolve");
        if (answers) questions.answer(wanted, answers, principal);
        else questions.cancel(wanted, principal);
        return endOf(questions.get(wanted, principal));
      },
    }),
  ];
}

function endOf({ status, answers }: QuestionRecord) {
  return answers ? { status, answers } : { status };
}
