import { schema } from "../../kernel/mod.ts";
import type { SessionRow } from "../../session/mod.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { readText } from "../reply-files.ts";
import type { SessionNames } from "../session-names.ts";

const { array, boolean, integer, object, oneOf, open, optional, string } = schema;

const searchedSessions = 200;
const searchedEntries = 5000;
const pageSize = 200;

/** sessions.search, sessions.usage, sessions.cleanup. */
export function sessionReportMethods(parts: ControlParts, names: SessionNames): Method[] {
  return [
    method({
      name: "sessions.search",
      scope: "operator.read",
      params: open(
        object({
          query: string({ minLength: 1, maxLength: 4096 }),
          agentId: optional(string()),
          sessionKeys: optional(array(string({ minLength: 1 }), { minItems: 1, maxItems: 200 })),
          limit: optional(integer({ minimum: 1, maximum: 25 })),
        }),
      ),
      run: (params) => search(parts, names, params),
    }),
    method({
      name: "sessions.usage",
      scope: "operator.read",
      params: open(
        object({
          key: optional(string({ minLength: 1, maxLength: 512 })),
          agentId: optional(string()),
          agentScope: optional(oneOf(["all"])),
          limit: optional(integer({ minimum: 1, maximum: 1000 })),
        }),
      ),
      run: (params) => usage(parts, names, params),
    }),
    method({
      name: "sessions.cleanup",
      scope: "operator.admin",
      params: open(
        object({
          agent: optional(string()),
          allAgents: optional(boolean()),
          enforce: optional(boolean()),
        }),
      ),
      admin: (params) => ({ action: "sessions.cleanup", facts: { enforce: params.enforce ?? false } }),
      // The sessions lie in one database with their index: nothing can be missing, orphaned or over a cap.
      run: (params) => {
        const agentId = params.agent ?? parts.sessionSettings().defaultAgentId;
        const count = parts.sessions.count();
        return {
          agentId,
          storePath: parts.sessionsPath(agentId),
          mode: params.enforce ? "enforce" : "warn",
          dryRun: !params.enforce,
          beforeCount: count,
          afterCount: count,
          missing: 0,
          dmScopeRetired: 0,
          modelRunPruned: 0,
          archived: 0,
          capArchived: 0,
          pruned: 0,
          capped: 0,
          unreferencedArtifacts: 0,
          diskBudget: null,
          wouldMutate: false,
          applied: params.enforce ?? false,
          appliedCount: 0,
        };
      },
    }),
  ];
}

function rowsOf(
  parts: ControlParts,
  names: SessionNames,
  params: { readonly agentId?: string; readonly sessionKeys?: readonly string[] },
  limit: number,
): readonly SessionRow[] {
  if (params.sessionKeys) {
    return params.sessionKeys.flatMap((key) => {
      const row = parts.sessions.get(names.resolve(key, params.agentId).key);
      return row ? [row] : [];
    });
  }
  const agent = params.agentId === undefined ? {} : { agentId: params.agentId };
  return parts.sessions.list({ limit, offset: 0, archived: "all", ...agent }).rows;
}

/** Looks through what was said last; there is no index, so it is bounded and says when it stopped early. */
async function search(
  parts: ControlParts,
  names: SessionNames,
  params: {
    readonly query: string;
    readonly agentId?: string;
    readonly sessionKeys?: readonly string[];
    readonly limit?: number;
  },
) {
  const words = params.query.toLowerCase();
  const limit = params.limit ?? 10;
  const rows = rowsOf(parts, names, params, searchedSessions);
  const results = [];
  let left = searchedEntries;
  for (const row of rows) {
    if (left <= 0 || results.length >= limit) return { results, truncated: true };
    // One page of one session at a time: whoever else waits gets his turn in between.
    await new Promise<void>((resolve) => void parts.clock.after(0, resolve));
    const entries = parts.sessions.entries(row.sessionId, {
      afterSeq: row.windowStartSeq,
      throughSeq: row.lastSeq,
      limit: pageSize,
    });
    left -= entries.length;
    for (const entry of entries.toReversed()) {
      if (entry.body.type !== "message" || results.length >= limit) continue;
      const { message } = entry.body;
      if (message.role === "toolResult") continue;
      const text = readText(message);
      const at = text.toLowerCase().indexOf(words);
      if (at < 0) continue;
      results.push({
        sessionKey: row.key,
        sessionId: row.sessionId,
        messageId: entry.id,
        role: message.role,
        timestamp: Date.parse(entry.timestamp),
        snippet: text.slice(Math.max(0, at - 80), at + words.length + 80),
        score: 1,
      });
    }
  }
  return { results };
}

function usage(
  parts: ControlParts,
  names: SessionNames,
  params: { readonly key?: string; readonly agentId?: string; readonly limit?: number },
) {
  const keys = params.key === undefined ? {} : { sessionKeys: [params.key] };
  const agent = params.agentId === undefined ? {} : { agentId: params.agentId };
  const sessions = rowsOf(parts, names, { ...keys, ...agent }, params.limit ?? 50).map((row) => ({
    key: row.key,
    agentId: row.agentId,
    sessionId: row.sessionId,
    updatedAt: row.updatedAt,
    ...(row.label === undefined ? {} : { label: row.label }),
    usage: {
      input: row.inputTokens,
      output: row.outputTokens,
      totalTokens: row.inputTokens + row.outputTokens,
      totalCost: row.costUsd,
    },
  }));
  const totals = { input: 0, output: 0, totalTokens: 0, totalCost: 0 };
  for (const { usage: used } of sessions)
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += used[name];
  const now = parts.clock.now();
  const day = new Date(now).toISOString().slice(0, 10);
  return {
    updatedAt: now,
    startDate: day,
    endDate: day,
    sessions,
    totals,
    aggregates: {},
    creatorOptions: [],
    cacheStatus: { status: "fresh", cachedFiles: 0, pendingFiles: 0, staleFiles: 0 },
  };
}
