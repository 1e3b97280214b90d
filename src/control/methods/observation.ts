import type { LedgerRow } from "../../audit/mod.ts";
import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { integer, object, open, optional, string } = schema;

/** audit.activity.list and diagnostics.stability. */
export function observationMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "audit.activity.list",
      scope: "operator.read",
      params: open(
        object({
          runId: optional(string()),
          sessionKey: optional(string()),
          limit: optional(integer({ minimum: 1, maximum: 500 })),
          cursor: optional(string({ maxLength: 20 })),
        }),
      ),
      run: (params) => activity(parts, params),
    }),
    method({
      name: "diagnostics.stability",
      scope: "operator.read",
      params: open(
        object({ limit: optional(integer({ minimum: 1 })), sinceSeq: optional(integer({ minimum: 0 })) }),
      ),
      // Nothing is recorded in memory: what happened is in the ledger (audit.list) and the log (logs.tail).
      run: () => ({
        generatedAt: new Date(parts.clock.now()).toISOString(),
        capacity: 0,
        count: 0,
        dropped: 0,
        events: [],
        summary: { byType: {} },
      }),
    }),
  ];
}

function activity(
  parts: ControlParts,
  params: {
    readonly runId?: string;
    readonly sessionKey?: string;
    readonly limit?: number;
    readonly cursor?: string;
  },
) {
  const beforeSeq = params.cursor === undefined ? undefined : Number(params.cursor);
  if (beforeSeq !== undefined && !(Number.isSafeInteger(beforeSeq) && beforeSeq > 0))
    throw new MethodError(invalid("invalid cursor; pass on nextCursor as it was given"));
  const limit = params.limit ?? 100;
  const rows = parts.audit.list({
    stage: "sandbox",
    limit,
    ...(beforeSeq === undefined ? {} : { beforeSeq }),
    ...(params.runId === undefined ? {} : { runId: params.runId }),
    ...(params.sessionKey === undefined ? {} : { sessionKey: params.sessionKey }),
  });
  const last = rows.at(-1);
  return {
    events: rows.flatMap(toolAction),
    ...(rows.length === limit && last ? { nextCursor: String(last.seq) } : {}),
  };
}

/** An effect of a tool as the activity list tells it; what is none gives nothing. */
function toolAction(row: LedgerRow) {
  if (!row.action.startsWith("tool.") || row.kind === "verdict" || row.kind === "admin") return [];
  const { toolCallId } = (row.facts ?? {}) as { readonly toolCallId?: string };
  const agentId = row.sessionKey?.split(":")[1] ?? "main";
  const started = row.kind === "effect.start";
  const end = row.outcome === "ok" ? { status: "succeeded" } : { status: "failed", errorCode: "tool_failed" };
  return [
    {
      eventType: "tool_action",
      schemaVersion: 1,
      eventId: row.hash,
      sequence: row.seq,
      sourceSequence: row.seq,
      occurredAt: row.at,
      redaction: "metadata_only",
      actor: { type: "agent", id: agentId },
      agentId,
      ...(row.sessionKey === undefined ? {} : { sessionKey: row.sessionKey }),
      runId: row.runId ?? "unknown",
      kind: "tool_action",
      ...(toolCallId === undefined ? {} : { toolCallId }),
      toolName: row.action.slice("tool.".length),
      action: started ? "tool.action.started" : "tool.action.finished",
      ...(started ? { status: "started" } : end),
    },
  ];
}
