import {
  type AdministrativeAction,
  type Call,
  type ConnectParams,
  changesBetween,
  type Subscriber,
} from "./control/mod.ts";
import type { Json, Reason } from "./kernel/mod.ts";
import type { Arrival } from "./network/mod.ts";
import type { OperatorParts } from "./operator-parts.ts";

export type OperatorRecord = ReturnType<typeof createOperatorRecord>;

/** What operators change, and who was not let in, as the record tells it. */
export function createOperatorRecord(
  parts: Pick<OperatorParts, "commit" | "ledger" | "log">,
  hasEnded: (connection: Subscriber) => boolean,
) {
  /** Puts the action on record before it happens, and what it changed when it has. */
  async function administer(
    { action, facts, state }: AdministrativeAction,
    { principal, connection }: Call,
    run: () => unknown,
  ): Promise<unknown> {
    const { address, client } = connection;
    const record = (kind: "admin" | "effect.end", more: Json, outcome?: "ok" | "error") =>
      parts.commit([
        parts.ledger.append({
          stage: "operator",
          kind,
          action,
          actor: principal.id,
          facts: more,
          ...(outcome === undefined ? {} : { outcome }),
        }),
      ]);
    // What cannot be looked at must not keep anybody from mending it.
    const look = async () => state?.().catch(() => undefined);
    const before = await look();
    await record("admin", { ...facts, address, client });
    const end = async (outcome: "ok" | "error") => {
      if (!state) return;
      const changes = changesBetween(before, await look()).map((change) => ({ ...change }));
      await record("effect.end", { changes }, outcome).catch((error: Error) =>
        parts.log("error", "the end of an action could not be recorded", { action, error: error.message }),
      );
    };
    try {
      const result = await run();
      const recorded = end("ok");
      // Its own connection ends by it: the answer goes out before the socket closes.
      if (!hasEnded(connection)) await recorded;
      return result;
    } catch (error) {
      await end("error");
      throw error;
    }
  }

  function recordRefusal(reason: Reason, params: ConnectParams, arrival: Arrival): Promise<void> {
    const client = `${params.client.id}/${params.client.mode}`;
    return parts
      .commit([
        parts.ledger.append({
          stage: "auth",
          kind: "verdict",
          action: "refuse",
          outcome: reason,
          actor: arrival.address,
          facts: { client },
        }),
      ])
      .catch((error) =>
        parts.log("error", "a refusal could not be recorded", { error: (error as Error).message }),
      );
  }

  return { administer, recordRefusal };
}
