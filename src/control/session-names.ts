import type { SessionSettings } from "../session/mod.ts";
import { invalid, MethodError } from "./frames.ts";

/** Turns what a client calls a session into the session's key and agent. */
export interface SessionNames {
  /** Throws a MethodError for a key that cannot be one, or an agent that does not exist. */
  resolve(
    named: string | undefined,
    agentId: string | undefined,
  ): { readonly key: string; readonly agentId: string };
}

export function sessionNames(
  settings: () => SessionSettings,
  keys: {
    readonly resolve: (named: string | undefined, defaultAgentId: string) => string | undefined;
    readonly parse: (key: string) => { readonly agentId: string } | undefined;
  },
): SessionNames {
  return {
    resolve(named, wantedAgent) {
      const { agentIds, defaultAgentId } = settings();
      const key = keys.resolve(named, wantedAgent ?? defaultAgentId);
      const agentId = key === undefined ? undefined : keys.parse(key)?.agentId;
      if (key === undefined || agentId === undefined) {
        throw new MethodError(
          invalid(`invalid session key: ${JSON.stringify(named)}; expected agent:<agentId>:<name>`),
        );
      }
      if (!agentIds.includes(agentId)) {
        throw new MethodError(invalid(`Agent ${JSON.stringify(agentId)} no longer exists in configuration`));
      }
      return { key, agentId };
    },
  };
}
