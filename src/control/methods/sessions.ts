import { schema } from "../../kernel/mod.ts";
import type { SessionRow } from "../../session/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { readText } from "../reply-files.ts";
import { sessionInfo } from "../session-info.ts";
import type { SessionNames } from "../session-names.ts";
import { sessionChanges } from "./session-changes.ts";

const { array, boolean, integer, object, oneOf, open, optional, string, union } = schema;

const listParams = open(
  object({
    limit: optional(integer({ minimum: 1, maximum: 1000 })),
    offset: optional(integer({ minimum: 0 })),
    activeMinutes: optional(integer({ minimum: 1 })),
    agentId: optional(string()),
    search: optional(string({ maxLength: 200 })),
    archived: optional(union([boolean(), oneOf(["all"])])),
  }),
);

export function sessionMethods(parts: ControlParts, names: SessionNames): Method[] {
  function existing(key: string): SessionRow {
    const row = parts.sessions.get(names.resolve(key, undefined).key);
    if (!row) throw new MethodError(invalid(`No session found: ${key}`));
    return row;
  }

  function list(params: schema.Static<typeof listParams>) {
    const limit = params.limit ?? 100;
    const offset = params.offset ?? 0;
    const { rows, total } = parts.sessions.list({
      limit,
      offset,
      archived: params.archived ?? false,
      ...(params.agentId === undefined ? {} : { agentId: params.agentId }),
      ...(params.search === undefined ? {} : { search: params.search }),
      ...(params.activeMinutes === undefined
        ? {}
        : { activeSince: parts.clock.now() - params.activeMinutes * 60_000 }),
    });
    const { defaultAgentId } = parts.sessionSettings();
    const choice = parts.modelChoice(defaultAgentId, undefined);
    const hasMore = offset + rows.length < total;
    return {
      ts: parts.clock.now(),
      path: parts.sessionsPath(params.agentId ?? defaultAgentId),
      count: rows.length,
      totalCount: total,
      limitApplied: limit,
      nextOffset: hasMore ? offset + rows.length : null,
      hasMore,
      owners: [],
      defaults: { modelProvider: choice.provider, model: choice.model, contextTokens: choice.contextTokens },
      sessions: rows.map((row) => sessionInfo(parts, row)),
    };
  }

  return [
    method({ name: "sessions.list", scope: "operator.read", params: listParams, run: list }),
    method({
      name: "sessions.get",
      scope: "operator.read",
      params: open(object({ key: string({ minLength: 1 }) })),
      run: (params) => ({ session: sessionInfo(parts, existing(params.key)) }),
    }),
    method({
      name: "sessions.describe",
      scope: "operator.read",
      params: open(object({ key: string({ minLength: 1 }) })),
      run: (params) => {
        const row = parts.sessions.get(names.resolve(params.key, undefined).key);
        return { session: row ? sessionInfo(parts, row) : null };
      },
    }),
    ...sessionChanges(parts, names, existing),
    method({
      name: "sessions.subscribe",
      scope: "operator.read",
      params: listParams,
      run: (params, call) => {
        // Registered before the list is read, so that nothing that changes in between is missed.
        call.connection.followsList = true;
        return Object.keys(params).length > 0
          ? { subscribed: true, list: list(params) }
          : { subscribed: true };
      },
    }),
    method({
      name: "sessions.messages.subscribe",
      scope: "operator.read",
      params: open(
        object({
          key: string({ minLength: 1, maxLength: 512 }),
          agentId: optional(string()),
          includeApprovals: optional(boolean()),
        }),
      ),
      run: (params, call) => {
        const { key } = names.resolve(params.key, params.agentId);
        const { followed } = call.connection;
        if (followed.size >= 200)
          throw new MethodError(invalid("too many message subscriptions on this connection (at most 200)"));
        followed.add(key);
        return { subscribed: true, key };
      },
    }),
    method({
      name: "sessions.messages.unsubscribe",
      scope: "operator.read",
      params: open(object({ key: string({ minLength: 1, maxLength: 512 }), agentId: optional(string()) })),
      run: (params, call) => {
        const { key } = names.resolve(params.key, params.agentId);
        call.connection.followed.delete(key);
        return { subscribed: false, key };
      },
    }),
    method({
      name: "sessions.resolve",
      scope: "operator.read",
      params: open(
        object({
          key: optional(string()),
          sessionId: optional(string()),
          label: optional(string()),
          allowMissing: optional(boolean()),
        }),
      ),
      run: (params) => {
        const row =
          params.key === undefined ? undefined : parts.sessions.get(names.resolve(params.key, undefined).key);
        const byOther =
          row ??
          parts.sessions
            .list({ limit: 1000, offset: 0, archived: "all" })
            .rows.find(
              (item) =>
                (params.sessionId !== undefined && item.sessionId === params.sessionId) ||
                (params.label !== undefined && item.label === params.label),
            );
        if (byOther) return { ok: true, key: byOther.key, agentId: byOther.agentId };
        if (params.allowMissing) return { ok: false };
        throw new MethodError(
          invalid(`No session found: ${params.key ?? params.sessionId ?? params.label ?? ""}`),
        );
      },
    }),
    method({
      name: "sessions.preview",
      scope: "operator.read",
      params: open(
        object({
          keys: array(string(), { maxItems: 100 }),
          limit: optional(integer({ minimum: 1, maximum: 100 })),
          maxChars: optional(integer({ minimum: 1 })),
        }),
      ),
      run: (params) => ({
        ts: parts.clock.now(),
        previews: params.keys.map((key) => {
          const row = parts.sessions.get(key);
          if (!row) return { key, status: "missing", items: [] };
          const items = previewItems(parts, row, params.limit ?? 10, params.maxChars ?? 240);
          return { key, status: items.length > 0 ? "ok" : "empty", items };
        }),
      }),
    }),
  ];
}

function previewItems(parts: ControlParts, row: SessionRow, limit: number, maxChars: number) {
  return parts.sessions
    .entries(row.sessionId, { afterSeq: 0, limit: limit * 4 })
    .flatMap((entry) => {
      if (entry.body.type !== "message") return [];
      const { message } = entry.body;
      const text = readText(message);
      return message.role === "toolResult" || text === ""
        ? []
        : [{ role: message.role, text: text.slice(0, maxChars) }];
    })
    .slice(-limit);
}
