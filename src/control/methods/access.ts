import { schema } from "../../kernel/mod.ts";
import { type Method, method } from "../method.ts";

/** A message that somebody might write; what is absent is false, or the direct chat of the default account. */
export interface AccessQuery {
  readonly channel: string;
  readonly account?: string;
  readonly sender: string;
  /** Another id of the same account that the platform proves with the message: a Signal account's number. */
  readonly alias?: string;
  readonly chat?: string;
  readonly kind?: "direct" | "group" | "channel";
  readonly thread?: string;
  readonly text: string;
  readonly mention?: boolean;
  readonly reply?: boolean;
  readonly bot?: boolean;
  /** The agent whose name may be called; the bound one when absent. */
  readonly agent?: string;
}

/** Where in the config something stands: the key, and its line (of the nearest key that is there). */
interface ConfigPlace {
  readonly path?: string;
  readonly file?: string;
  readonly line?: number;
}

/** One rule: what it saw, what it said, and the config that decided (`isSet` false: its default). */
export interface AccessStep extends ConfigPlace {
  readonly rule: string;
  readonly outcome: "pass" | "refuse" | "note";
  readonly reason?: string;
  readonly facts: string;
  readonly isSet: boolean;
}

export interface AccessChange extends ConfigPlace {
  readonly text: string;
}

export interface AccessAnswer {
  readonly admitted: boolean;
  readonly reason?: string;
  readonly sentence?: string;
  readonly agentId?: string;
  readonly steps: readonly AccessStep[];
  /** What it takes to be let in, each beside those before it; empty where nothing helps. */
  readonly needs: readonly AccessChange[];
  /** What each alone would end it. */
  readonly losses: readonly AccessChange[];
}

/** One way to a tool. */
export interface ToolReach extends ConfigPlace {
  /** "telegram:123", "anybody else", or "operator". */
  readonly sender: string;
  readonly channel: string;
  readonly account?: string;
  readonly kind?: "direct" | "group" | "channel";
  readonly chat?: string;
  readonly threadId?: string;
  readonly agentId: string;
  readonly needs: readonly string[];
  readonly isOwner?: boolean;
  /** What let the sender in. */
  readonly because?: string;
}

export interface AccessPort {
  explain(query: AccessQuery): Promise<AccessAnswer>;
  whoCan(tool: string): Promise<readonly ToolReach[]>;
}

const { boolean, object, oneOf, optional, string } = schema;

const id = string({ minLength: 1, maxLength: 256 });

/** access.explain and access.whoCan: questions about the rules in force. They change nothing. */
export function accessMethods(access: AccessPort): Method[] {
  return [
    method({
      name: "access.explain",
      scope: "operator.read",
      params: object({
        channel: id,
        account: optional(id),
        sender: string({ maxLength: 256 }),
        alias: optional(id),
        chat: optional(id),
        kind: optional(oneOf(["direct", "group", "channel"])),
        thread: optional(id),
        text: string({ maxLength: 10_000 }),
        mention: optional(boolean()),
        reply: optional(boolean()),
        bot: optional(boolean()),
        agent: optional(id),
      }),
      run: (params) => access.explain(params),
    }),
    method({
      name: "access.whoCan",
      scope: "operator.read",
      params: object({ tool: id }),
      run: async ({ tool }) => ({ tool, rows: await access.whoCan(tool) }),
    }),
  ];
}
