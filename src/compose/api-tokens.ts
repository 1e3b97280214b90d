import { join } from "node:path";
import type { ToolSpec } from "../agent/mod.ts";
import { type ApiTokens, mayUseAgent, openApiTokens, operatorScopes, roles, toolsOf } from "../auth/mod.ts";
import { type Method, tokenMethods } from "../control/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import type { Clock, Json, Log, Random, Verdict } from "../kernel/mod.ts";
import { watchFile } from "../nodes/mod.ts";
import { narrowed, type PolicyContext, type PolicySettings, toolAllowed } from "../policy/mod.ts";
import { readJsonFile, writeJsonFile } from "../store/mod.ts";

export interface ComposedApiTokens {
  readonly tokens: ApiTokens;
  readonly methods: readonly Method[];
  /** Whether the author of a message may have this agent work for him. */
  mayUseAgent(author: string, agentId: string): Verdict<undefined>;
  /** The tools of a message's turn, narrowed to what its author may have the agent call. */
  narrowSpecs(row: InboxRow, specs: readonly ToolSpec[]): Promise<readonly ToolSpec[]>;
  /** The same for one call, that all of these authors had a part in. */
  narrow(agentId: string, authors: string, context: PolicyContext): PolicyContext;
}

/** The API tokens of one state folder: their file, their methods, and what follows from their limits. */
export async function composeApiTokens(parts: {
  readonly credentials: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly record: (row: {
    readonly action: string;
    readonly actor: string;
    readonly facts: Readonly<Record<string, Json>>;
  }) => Promise<void>;
  /** Ends the principal's connections, and stops what it started. */
  readonly ended: (principalId: string) => void;
  readonly turnPolicy: (row: InboxRow) => Promise<PolicySettings>;
}): Promise<ComposedApiTokens> {
  const { clock, random, log } = parts;
  const tokens = await openApiTokens({
    file: apiTokenFile(parts.credentials, clock),
    clock,
    random,
    log,
    ended: parts.ended,
    record: (action, facts) => parts.record({ action, actor: "api-tokens-file", facts }),
  });
  const toolsOfAuthors = (agentId: string, authors: string) => toolsOf(tokens.limitsOf(authors), agentId);
  return {
    tokens,
    methods: tokenMethods({ tokens, roles, scopes: operatorScopes, nowMs: clock.now }),
    mayUseAgent: (author, agentId) => mayUseAgent(tokens.limitsOf(author), agentId),
    async narrowSpecs(row, specs) {
      const allow = toolsOfAuthors(row.agentId, row.source.author);
      if (allow === undefined) return specs;
      const kept = narrowed(await parts.turnPolicy(row), [{ allow }]);
      return specs.filter((spec) => toolAllowed(spec.name, kept));
    },
    narrow(agentId, authors, context) {
      const allow = toolsOfAuthors(agentId, authors);
      return allow === undefined
        ? context
        : { ...context, settings: narrowed(context.settings, [{ allow }]) };
    },
  };
}

/** credentials/api-tokens.json, for the gateway that watches it and for the command line that does not. */
export function apiTokenFile(credentials: string, clock: Clock) {
  const path = join(credentials, "api-tokens.json");
  return {
    read: () => readJsonFile(path),
    write: (value: unknown) => writeJsonFile(path, value),
    watch: (changed: () => void) => watchFile({ folder: credentials, clock }, path, changed),
  };
}
