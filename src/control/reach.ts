import type { Reach } from "../auth/mod.ts";
import type { SessionNames } from "./session-names.ts";

/** What calls are about, for callers who are kept to some agents or channels. */
export interface MethodReach {
  /** Undefined: nobody has placed this method here, so such a caller may not call it. */
  of(method: string, params: unknown): Reach | undefined;
  handsOutRights(method: string): boolean;
}

interface Named {
  readonly key?: string;
  readonly keys?: readonly string[];
  readonly sessionKey?: string;
  readonly agentId?: string;
  readonly channel?: string;
}

/** Which parameters say what a method is about, exactly as its handler reads them. */
type About =
  /** Nothing that belongs to an agent or a channel. */
  | "nothing"
  | "sessionKey, agentId"
  | "key, agentId"
  | "key"
  | "keys"
  /** `agentId`, else the session's agent, else the default one. */
  | "agentId, sessionKey"
  /** Everything of the agent; of all of them without `agentId`. */
  | "agentId or all"
  /** `channel`; all of them without it. */
  | "channel";

/** Whoever may do this gives himself or others rights that no limit binds. */
const rights: ReadonlySet<string> = new Set([
  "config.apply",
  "config.patch",
  "config.set",
  "dashboard.ticket",
  "device.pair.approve",
  "device.pair.setupCode",
  "device.scopes.requestUpgrade",
  "device.token.rotate",
  "exec.approvals.set",
]);

const about: Readonly<Record<string, About>> = {
  agent: "sessionKey, agentId",
  "agent.identity.get": "agentId, sessionKey",
  "agents.list": "nothing",
  "channels.logout": "channel",
  "channels.pairing.approve": "channel",
  "channels.pairing.dismiss": "channel",
  "channels.pairing.list": "channel",
  "channels.start": "channel",
  "channels.status": "channel",
  "channels.stop": "channel",
  "chat.abort": "sessionKey, agentId",
  "chat.history": "sessionKey, agentId",
  "chat.inject": "sessionKey, agentId",
  "chat.message.get": "sessionKey, agentId",
  "chat.send": "sessionKey, agentId",
  "chat.startup": "sessionKey, agentId",
  "commands.list": "nothing",
  "gateway.identity.get": "nothing",
  health: "nothing",
  "message.action": "channel",
  "models.list": "nothing",
  poll: "channel",
  // The others look at whose question it is themselves: their parameters do not say it.
  "question.get": "nothing",
  "question.list": "nothing",
  "question.request": "sessionKey, agentId",
  "question.resolve": "nothing",
  "question.waitAnswer": "nothing",
  send: "channel",
  "sessions.abort": "key",
  "sessions.compact": "key, agentId",
  "sessions.create": "key, agentId",
  "sessions.delete": "key",
  "sessions.describe": "key",
  "sessions.get": "key",
  "sessions.list": "agentId or all",
  "sessions.messages.subscribe": "key, agentId",
  "sessions.messages.unsubscribe": "key, agentId",
  "sessions.patch": "key, agentId",
  "sessions.preview": "keys",
  "sessions.reset": "key",
  "sessions.send": "key",
  "sessions.subscribe": "agentId or all",
  "tokens.create": "nothing",
  "tokens.list": "nothing",
  "tokens.revoke": "nothing",
  "tools.catalog": "agentId, sessionKey",
  "tools.effective": "sessionKey, agentId",
  "tools.invoke": "sessionKey, agentId",
  wake: "sessionKey, agentId",
};

/** The methods that are placed here, for the test that each of them exists. */
export const placedMethods: readonly string[] = [...Object.keys(about), ...rights];

export function methodReach(names: SessionNames, channels: () => readonly string[]): MethodReach {
  function ofSession(named: string | undefined, agentId: string | undefined): Reach {
    const session = names.resolve(named, agentId);
    // agent:<agentId>:<channel>:...: what was said on a channel belongs to it.
    const [, , first = ""] = session.key.split(":");
    return { agents: [session.agentId], channels: channels().includes(first) ? [first] : [] };
  }

  return {
    handsOutRights: (method) => rights.has(method),
    of(method, params) {
      const { key, keys = [], sessionKey, agentId, channel } = params as Named;
      switch (Object.hasOwn(about, method) ? about[method] : undefined) {
        case "nothing":
          return { agents: [], channels: [] };
        case "sessionKey, agentId":
          return ofSession(sessionKey, agentId);
        case "key, agentId":
          return ofSession(key, agentId);
        case "key":
          return ofSession(key, undefined);
        case "keys": {
          const reached = keys.map((item) => ofSession(item, undefined));
          return {
            agents: reached.flatMap((item) => item.agents),
            channels: reached.flatMap((item) => item.channels),
          };
        }
        case "agentId, sessionKey":
          return agentId === undefined ? ofSession(sessionKey, undefined) : ofSession(undefined, agentId);
        case "agentId or all":
          return { agents: agentId === undefined ? "all" : [agentId], channels: "all" };
        case "channel":
          return { agents: [], channels: channel === undefined ? "all" : [channel] };
        default:
          return undefined;
      }
    },
  };
}
