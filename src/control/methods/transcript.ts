import { type Source, schema, uuid } from "../../kernel/mod.ts";
import type { AssistantMessage, Entry, SessionRow } from "../../session/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import type { SessionNames } from "../session-names.ts";
import { sourceOf, wireMessage } from "./chat.ts";

const { integer, object, open, optional, string } = schema;

const key = string({ minLength: 1, maxLength: 512 });
const pageSize = 500;
const oldestPages = 20;
const compactTimeoutMs = 200_000;

/** chat.inject, chat.message.get, sessions.compact. */
export function transcriptMethods(parts: ControlParts, names: SessionNames): Method[] {
  function existing(named: string, agentId: string | undefined): SessionRow {
    const row = parts.sessions.get(names.resolve(named, agentId).key);
    if (!row) throw new MethodError(invalid(`No session found: ${named}`));
    return row;
  }

  return [
    method({
      name: "chat.inject",
      scope: "operator.admin",
      maxBytes: 4_194_304,
      params: open(
        object({
          sessionKey: key,
          message: string({ minLength: 1, maxLength: 1_000_000 }),
          agentId: optional(string()),
          label: optional(string({ maxLength: 200 })),
        }),
      ),
      admin: (params) => ({
        action: "chat.inject",
        facts: { key: params.sessionKey, chars: params.message.length },
      }),
      run: async (params, call) => {
        const row = existing(params.sessionKey, params.agentId);
        // The run that is going on numbers the entries: a line from outside would take a number of its.
        if (parts.runs.activeRun(row.key))
          throw new MethodError(unavailable("a reply is being written in this session", undefined, 1000));
        const text = params.label === undefined ? params.message : `[${params.label}]\n\n${params.message}`;
        const { entry, after } = noteEntry(parts, row, text, sourceOf(call));
        await parts.commit([parts.sessions.append(row.sessionId, entry), parts.sessions.put(after)]);
        parts.runs.forget(row.sessionId);
        const about = { sessionKey: row.key, agentId: row.agentId };
        const [message] = wireMessage(entry, row.key);
        parts.hub.send(
          "session.message",
          { kind: "followers", sessionKey: row.key },
          {
            ...about,
            message,
            messageId: entry.id,
            messageSeq: entry.seq,
          },
        );
        parts.hub.send(
          "chat",
          { kind: "readers" },
          {
            ...about,
            runId: `inject-${entry.id}`,
            seq: 0,
            state: "final",
            stopReason: "stop",
            message: { role: "assistant", content: [{ type: "text", text }], timestamp: after.updatedAt },
          },
        );
        return { ok: true, messageId: entry.id };
      },
    }),
    method({
      name: "chat.message.get",
      scope: "operator.read",
      params: open(
        object({
          sessionKey: key,
          messageId: string({ minLength: 1, maxLength: 256 }),
          agentId: optional(string()),
          maxChars: optional(integer({ minimum: 1 })),
        }),
      ),
      run: (params) => {
        const row = existing(params.sessionKey, params.agentId);
        const found = findEntry(parts, row, params.messageId);
        if (found === undefined) return { ok: false, unavailableReason: "not_found" };
        if (found === "hidden") return { ok: false, unavailableReason: "not_visible" };
        const [message] = wireMessage(parts.shown.entry(found), row.key, params.maxChars);
        return message ? { ok: true, message } : { ok: false, unavailableReason: "not_visible" };
      },
    }),
    method({
      name: "sessions.compact",
      scope: "operator.admin",
      params: open(object({ key, agentId: optional(string()), maxLines: optional(integer({ minimum: 1 })) })),
      async run(params, { principal }) {
        const { key: sessionKey, agentId, windowStartSeq } = existing(params.key, params.agentId);
        const source = {
          author: principal.id,
          proof: "secret",
          trust: "owner",
          sensitivity: "private",
        } as const;
        const idempotencyKey = uuid(parts.random);
        const order = { sessionKey, agentId, text: "/compact", idempotencyKey, source, actor: principal.id };
        const submitted = await parts.runs.submit(order);
        if (!submitted.ok) return { ok: false, key: sessionKey, compacted: false, reason: submitted.reason };
        const end = await parts.runs.wait(idempotencyKey, compactTimeoutMs);
        const compacted = parts.sessions.get(sessionKey)?.windowStartSeq !== windowStartSeq;
        return { ok: end?.status === "ok", key: sessionKey, compacted, reason: end?.text ?? "still running" };
      },
    }),
  ];
}

function noteEntry(parts: ControlParts, row: SessionRow, text: string, source: Source) {
  const now = parts.clock.now();
  const message: AssistantMessage = {
    role: "assistant",
    content: [{ type: "text", text }],
    timestamp: now,
    source,
    provider: "gateway",
    model: "injected",
    usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, totalTokens: 0, costUsd: 0 },
    stopReason: "stop",
  };
  const entry: Entry = {
    seq: row.lastSeq + 1,
    id: uuid(parts.random),
    parentId: row.lastEntryId,
    timestamp: new Date(now).toISOString(),
    body: { type: "message", message },
  };
  const after: SessionRow = { ...row, updatedAt: now, lastSeq: entry.seq, lastEntryId: entry.id };
  return { entry, after };
}

/** Looks back from the newest entry; what lies before a reset is hidden, as in chat.history. */
function findEntry(parts: ControlParts, row: SessionRow, id: string): Entry | "hidden" | undefined {
  let hidden = false;
  let throughSeq = row.lastSeq;
  for (let page = 0; page < oldestPages && throughSeq > 0; page++) {
    const entries = parts.sessions.entries(row.sessionId, { afterSeq: 0, throughSeq, limit: pageSize });
    for (const entry of entries.toReversed()) {
      if (entry.id === id) return hidden ? "hidden" : entry;
      if (entry.body.type === "reset") hidden = true;
    }
    throughSeq = (entries[0]?.seq ?? 1) - 1;
  }
  return undefined;
}
