import { mayCall } from "../auth/mod.ts";
import {
  createQuestions,
  type Hub,
  type Method,
  type MethodReach,
  type QuestionRecord,
  type Questions,
  questionMethods,
  type SessionNames,
} from "../control/mod.ts";
import { admitted, type Clock, type Random } from "../kernel/mod.ts";

/** Questions to people, told to whoever may answer them. */
export function composeQuestions(parts: {
  readonly hub: Hub;
  readonly clock: Clock;
  readonly random: Random;
}): Questions {
  const { hub, clock, random } = parts;
  return createQuestions({
    clock,
    random,
    changed(record) {
      const audience = { kind: "questioned", agentId: record.agentId } as const;
      if (record.status === "pending") return hub.send("question.requested", audience, record);
      const { id, status, answers } = record;
      hub.send("question.resolved", audience, { id, status, ...(answers ? { answers } : {}) });
    },
  });
}

/** A caller who is kept to some agents or channels reaches the questions that he could ask himself. */
export function composeQuestionMethods(
  questions: Questions,
  names: SessionNames,
  reach: Pick<MethodReach, "of">,
): Method[] {
  function reachOf(sessionKey: string, agentId: string) {
    try {
      return reach.of("question.request", { sessionKey, agentId });
    } catch {
      // Its agent was taken out of the config meanwhile: nobody's, for whoever is kept to some.
      return undefined;
    }
  }

  return questionMethods(questions, names, ({ limits }, name, { sessionKey, agentId }: QuestionRecord) =>
    admitted(
      mayCall(limits, {
        name,
        handsOutRights: false,
        reach: () => reachOf(sessionKey, agentId),
      }),
    ),
  );
}
