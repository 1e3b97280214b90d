import type { SessionRow } from "../session/mod.ts";
import type { ControlParts } from "./parts.ts";
import type { SessionInfo } from "./protocol.ts";

/** A session as clients see it. */
export function sessionInfo(parts: Pick<ControlParts, "runs" | "modelChoice">, row: SessionRow): SessionInfo {
  const running = parts.runs.activeRun(row.key);
  const choice = parts.modelChoice(row.agentId, row.model);
  return {
    key: row.key,
    kind: row.kind,
    agentId: row.agentId,
    sessionId: row.sessionId,
    updatedAt: row.updatedAt,
    createdAt: row.createdAt,
    ...(row.label === undefined ? {} : { label: row.label, displayName: row.label }),
    ...(row.title === undefined ? {} : { derivedTitle: row.title }),
    ...(row.lastMessage === undefined ? {} : { lastMessagePreview: row.lastMessage }),
    isMain: row.key === `agent:${row.agentId}:main`,
    archived: row.archived,
    pinned: row.pinned,
    hasActiveRun: running !== undefined,
    activeRunIds: running ? [running.runId] : [],
    status: running ? "running" : "done",
    modelProvider: choice.provider,
    model: choice.model,
    contextTokens: choice.contextTokens,
    inputTokens: row.inputTokens,
    outputTokens: row.outputTokens,
    totalTokens: row.inputTokens + row.outputTokens,
    estimatedCostUsd: row.costUsd,
  };
}
