import { schema } from "../../kernel/mod.ts";
import { type Method, method } from "../method.ts";

const { object, optional, string } = schema;

export type SandboxProofFacts =
  | {
      readonly ok: true;
      readonly kind: string;
      /** The promises that were tried, by name. */
      readonly held: readonly string[];
      readonly tookMs: number;
      /** True: it ended since, and is made and proved anew at its next use. */
      readonly ended: boolean;
    }
  | { readonly ok: false; readonly why: string };

/** A sandbox that was tried since the last change of the config. */
export interface SandboxSummary {
  readonly id: string;
  readonly agentId?: string;
  readonly sessionKey?: string;
  readonly workspace: string;
  readonly provedAtMs: number;
  /** Absent: it is being tried. */
  readonly proof?: SandboxProofFacts;
  readonly container?: {
    readonly name: string;
    readonly image: string;
    readonly createdAtMs: number;
    readonly lastUsedAtMs: number;
    readonly runningCommands: number;
  };
}

export interface SandboxExplanation {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly mode: string;
  readonly scope: string;
  readonly workspaceAccess: string;
  /** "auto": what there is. */
  readonly backend: string;
  readonly isSandboxed: boolean;
  readonly tools: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  /** Config keys that change this. */
  readonly change: readonly string[];
  readonly sandbox?: {
    readonly id: string;
    readonly workspace: string;
    readonly description: string;
    /** What makes it; absent where nothing does, for `problem`. */
    readonly kind?: string;
    readonly problem?: string;
    readonly passedOver?: readonly string[];
    readonly proof?: SandboxProofFacts;
  };
}

export interface SandboxControl {
  list(): readonly SandboxSummary[];
  explain(agentId: string, sessionKey: string): Promise<SandboxExplanation>;
  /** Ends them, with what runs in them; the next use makes and proves them anew. */
  recreate(chosen: {
    readonly agentId?: string;
    readonly sessionKey?: string;
  }): Promise<{ readonly forgotten: number; readonly removed: number }>;
}

const agentId = string({ minLength: 1, maxLength: 100 });
const sessionKey = string({ minLength: 1, maxLength: 500 });

/** sandbox.list, sandbox.explain, sandbox.recreate. */
export function sandboxMethods(
  parts: SandboxControl,
  mainSession: (agentId: string | undefined) => { readonly agentId: string; readonly sessionKey: string },
): Method[] {
  return [
    method({
      name: "sandbox.list",
      scope: "operator.read",
      params: object({}),
      run: async () => ({ sandboxes: parts.list() }),
    }),
    method({
      name: "sandbox.explain",
      scope: "operator.read",
      params: object({ agentId: optional(agentId), sessionKey: optional(sessionKey) }),
      run: async (params) => {
        const main = mainSession(params.agentId ?? /^agent:([^:]+):/.exec(params.sessionKey ?? "")?.[1]);
        return await parts.explain(main.agentId, params.sessionKey ?? main.sessionKey);
      },
    }),
    method({
      name: "sandbox.recreate",
      scope: "operator.admin",
      params: object({ agentId: optional(agentId), sessionKey: optional(sessionKey) }),
      admin: (params) => ({ action: "sandbox.recreate", facts: { ...params } }),
      run: (params) => parts.recreate(params),
    }),
  ];
}
