import { uuid } from "../../kernel/mod.ts";
import { newSession } from "../../session/mod.ts";
import type { ApiParts } from "./parts.ts";

/** Has a session use this model ("provider/model") from its next turn on, and records who said so. */
export async function useModel(
  parts: ApiParts,
  order: {
    readonly sessionKey: string;
    readonly agentId: string;
    readonly model: string;
    readonly actor: string;
  },
): Promise<void> {
  const { sessionKey: key, agentId, model, actor } = order;
  const row =
    parts.sessions.get(key) ??
    newSession({ key, agentId, sessionId: uuid(parts.random), now: parts.clock.now() });
  if (row.model === model) return;
  await parts.commit([
    parts.sessions.put({ ...row, model }),
    parts.ledger.append({
      stage: "operator",
      kind: "admin",
      action: "session.model",
      sessionKey: key,
      actor,
      facts: { model },
    }),
  ]);
}
