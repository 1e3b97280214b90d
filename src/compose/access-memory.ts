import { hash } from "node:crypto";
import type { Activation, KeptBudgets } from "../access/mod.ts";
import type { InboundMessage, InboxRow } from "../delivery/mod.ts";
import type { Clock, Commit, Write } from "../kernel/mod.ts";
import type { MetaStore } from "../store/mod.ts";

const budgetPrefix = "budget:";

/** What the access rules must know again after a restart, beside the config and the pairings. */
export interface AccessMemory {
  readonly budgets: KeptBudgets;
  /** What an owner chose for this group. */
  activationOf(message: Pick<InboundMessage, "channel" | "account" | "conversation">): Activation | undefined;
  chooseActivation(row: InboxRow, activation: Activation): Write;
  /** Forgets budgets that are whole again. */
  sweep(): Promise<void>;
}

/** `secret`: so that what is kept about a budget names nobody. */
export function createAccessMemory(ports: {
  readonly meta: MetaStore;
  readonly secret: string;
  readonly clock: Clock;
  readonly commit: Commit;
}): AccessMemory {
  const { meta } = ports;
  const budgetKey = (key: string) => `${budgetPrefix}${hash("sha256", `${ports.secret}\n${key}`)}`;
  const activationKey = (channel: string, account: string, chat: string) =>
    `activation:${JSON.stringify([channel, account, chat])}`;
  return {
    budgets: {
      get(key) {
        const at = Number(meta.get(budgetKey(key)) ?? "");
        return at > 0 ? at : undefined;
      },
      put: (key, wholeAtMs) => meta.put(budgetKey(key), String(wholeAtMs)),
    },
    activationOf({ channel, account, conversation }) {
      if (conversation.kind === "direct") return undefined;
      const chosen = meta.get(activationKey(channel, account, conversation.id));
      return chosen === "mention" || chosen === "always" ? chosen : undefined;
    },
    chooseActivation: ({ channel, account, reply }, activation) =>
      meta.put(activationKey(channel, account, reply?.conversation.id ?? ""), activation),
    sweep: () => ports.commit([meta.expire(budgetPrefix, ports.clock.now())]),
  };
}
