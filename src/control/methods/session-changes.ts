import type { Scope } from "../../auth/mod.ts";
import { schema, uuid } from "../../kernel/mod.ts";
import type { SessionRow } from "../../session/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { sessionInfo } from "../session-info.ts";
import type { SessionNames } from "../session-names.ts";
import { refuseInternal } from "./chat.ts";

const { boolean, object, open, optional, string, union } = schema;

/** Fields that a caller with write scope may change; the rest needs admin. */
const ordinaryFields = new Set([
  "key",
  "agentId",
  "expectedSessionId",
  "label",
  "pinned",
  "archived",
  "model",
  "thinkingLevel",
]);

/** What makes, changes and ends conversations. `existing` throws a MethodError where there is none. */
export function sessionChanges(
  parts: ControlParts,
  names: SessionNames,
  existing: (key: string) => SessionRow,
): Method[] {
  /** The session of this key, made when there is none. */
  function found(key: string, agentId: string): SessionRow {
    const now = parts.clock.now();
    return (
      parts.sessions.get(key) ?? {
        key,
        agentId,
        sessionId: uuid(parts.random),
        kind: "direct",
        createdAt: now,
        updatedAt: now,
        startedAt: now,
        lastInteractionAt: now,
        archived: false,
        pinned: false,
        lastSeq: 0,
        lastEntryId: null,
        windowStartSeq: 0,
        inputTokens: 0,
        outputTokens: 0,
        costUsd: 0,
      }
    );
  }

  function changed(row: SessionRow, reason: string): void {
    const info = sessionInfo(parts, row);
    parts.hub.send(
      "sessions.changed",
      { kind: "listFollowers" },
      { ...info, sessionKey: row.key, reason, ts: parts.clock.now(), session: info },
    );
  }

  function entryOf(row: SessionRow) {
    return {
      sessionId: row.sessionId,
      updatedAt: row.updatedAt,
      sessionStartedAt: row.createdAt,
      ...(row.label === undefined ? {} : { label: row.label }),
    };
  }

  function resolved(row: SessionRow) {
    const choice = parts.modelChoice(row.agentId, row.model);
    return { modelProvider: choice.provider, model: choice.model };
  }

  return [
    method({
      name: "sessions.create",
      scope: "operator.write",
      repeats: "remembered",
      params: open(
        object({
          key: optional(string({ minLength: 1, maxLength: 512 })),
          agentId: optional(string()),
          label: optional(string({ maxLength: 200 })),
          model: optional(string({ maxLength: 200 })),
        }),
      ),
      run: async (params) => {
        refuseInternal(params);
        const { key, agentId } = names.resolve(
          params.key ?? `web-${uuid(parts.random).slice(0, 8)}`,
          params.agentId,
        );
        const before = found(key, agentId);
        const row: SessionRow = {
          ...before,
          ...(params.label === undefined ? {} : { label: params.label }),
          ...(params.model === undefined ? {} : { model: params.model }),
        };
        await parts.commit([parts.sessions.put(row)]);
        changed(row, "create");
        return {
          ok: true,
          key,
          sessionId: row.sessionId,
          entry: entryOf(row),
          runStarted: false,
          resolved: resolved(row),
        };
      },
    }),
    method({
      name: "sessions.patch",
      scope: "operator.write",
      scopeFor: (params): Scope | undefined =>
        Object.keys(params).every((field) => ordinaryFields.has(field)) ? undefined : "operator.admin",
      params: open(
        object({
          key: string({ minLength: 1, maxLength: 512 }),
          agentId: optional(string()),
          expectedSessionId: optional(string()),
          label: optional(union([string({ maxLength: 200 }), nothing()])),
          model: optional(union([string({ maxLength: 200 }), nothing()])),
          thinkingLevel: optional(union([string({ maxLength: 40 }), nothing()])),
          verboseLevel: optional(union([string({ maxLength: 40 }), nothing()])),
          pinned: optional(boolean()),
          archived: optional(boolean()),
        }),
      ),
      run: async (params) => {
        const { key, agentId } = names.resolve(params.key, params.agentId);
        const before = found(key, agentId);
        if (params.archived !== undefined && params.expectedSessionId === undefined) {
          throw new MethodError(invalid(`expectedSessionId required for session lifecycle patch: ${key}`));
        }
        if (params.expectedSessionId !== undefined && params.expectedSessionId !== before.sessionId) {
          throw new MethodError(invalid(`session changed: ${key}`, { reason: "session-changed" }));
        }
        const row = patched(before, params, parts.clock.now());
        await parts.commit([parts.sessions.put(row)]);
        changed(row, "patch");
        return {
          ok: true,
          path: parts.sessionsPath(agentId),
          key,
          entry: entryOf(row),
          resolved: resolved(row),
        };
      },
    }),
    method({
      name: "sessions.reset",
      scope: "operator.admin",
      params: open(object({ key: string({ minLength: 1, maxLength: 512 }), reason: optional(string()) })),
      admin: (params) => ({ action: "sessions.reset", facts: { key: params.key } }),
      run: async (params) => {
        const before = existing(params.key);
        parts.runs.abort(before.key);
        const now = parts.clock.now();
        const id = uuid(parts.random);
        const row: SessionRow = {
          ...before,
          updatedAt: now,
          lastSeq: before.lastSeq + 1,
          lastEntryId: id,
          windowStartSeq: before.lastSeq + 1,
          inputTokens: 0,
          outputTokens: 0,
          costUsd: 0,
        };
        await parts.commit([
          parts.sessions.append(before.sessionId, {
            seq: row.lastSeq,
            id,
            parentId: before.lastEntryId,
            timestamp: new Date(now).toISOString(),
            body: { type: "reset" },
          }),
          parts.sessions.put(row),
        ]);
        parts.runs.forget(row.sessionId);
        changed(row, "reset");
        return { ok: true, key: row.key, entry: entryOf(row), resolved: resolved(row) };
      },
    }),
    method({
      name: "sessions.delete",
      scope: "operator.admin",
      params: open(
        object({
          key: string({ minLength: 1, maxLength: 512 }),
          expectedSessionId: optional(string()),
          deleteTranscript: optional(boolean()),
        }),
      ),
      admin: (params) => ({ action: "sessions.delete", facts: { key: params.key } }),
      run: async (params) => {
        const { key, agentId } = names.resolve(params.key, undefined);
        if (key === `agent:${agentId}:main`)
          throw new MethodError(invalid(`Cannot delete the main session (${key}).`));
        const row = parts.sessions.get(key);
        if (!row) return { ok: true, key, deleted: false, archived: [] };
        parts.runs.abort(key);
        await parts.forgetConversation(row);
        await parts.commit([parts.sessions.delete(key, row.sessionId)]);
        parts.runs.forget(row.sessionId);
        const isKept = params.deleteTranscript === false;
        if (!isKept) await parts.eraseTranscript(row);
        parts.hub.send(
          "sessions.changed",
          { kind: "listFollowers" },
          { sessionKey: key, agentId, sessionId: row.sessionId, reason: "delete", ts: parts.clock.now() },
        );
        return { ok: true, key, deleted: true, archived: isKept ? [parts.transcriptPath(row)] : [] };
      },
    }),
  ];
}

function nothing(): schema.Schema<null> {
  return { type: "null" };
}

function patched(
  row: SessionRow,
  params: {
    label?: string | null;
    model?: string | null;
    thinkingLevel?: string | null;
    verboseLevel?: string | null;
    pinned?: boolean;
    archived?: boolean;
  },
  now: number,
): SessionRow {
  const { label: _label, model: _model, thinkingLevel: _thinking, verboseLevel: _verbose, ...rest } = row;
  const pick = <K extends "label" | "model" | "thinkingLevel" | "verboseLevel">(field: K) => {
    const value = params[field] === undefined ? row[field] : (params[field] ?? undefined);
    return value === undefined || value === "" ? {} : { [field]: value };
  };
  return {
    ...rest,
    ...pick("label"),
    ...pick("model"),
    ...pick("thinkingLevel"),
    ...pick("verboseLevel"),
    pinned: params.pinned ?? row.pinned,
    archived: params.archived ?? row.archived,
    updatedAt: now,
  };
}
