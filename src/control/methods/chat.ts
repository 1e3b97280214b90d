import { admitted, reasonText, type Source, schema, sleep } from "../../kernel/mod.ts";
import type { Entry, Message } from "../../session/mod.ts";
import { uploadedFiles } from "../attachments.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { maxPayloadBytes } from "../protocol.ts";
import { attachmentBlocks } from "../reply-files.ts";
import { sessionInfo } from "../session-info.ts";
import type { SessionNames } from "../session-names.ts";

const { any, array, boolean, integer, object, open, optional, string } = schema;

/** Of tools' results, gone through at once. */
const stepChars = 500_000;

/** chat.send, chat.history, chat.abort, agent, agent.wait, sessions.send, sessions.abort. */
export function chatMethods(parts: ControlParts, names: SessionNames): Method[] {
  async function submit(
    params: {
      sessionKey?: string;
      agentId?: string;
      message: string;
      idempotencyKey: string;
      attachments?: readonly unknown[];
    },
    call: Call,
  ) {
    refuseInternal(params);
    const { key, agentId } = names.resolve(params.sessionKey, params.agentId);
    const files = uploadedFiles(params.attachments);
    if (params.message.trim() === "" && files.length === 0)
      throw new MethodError(invalid("message or attachment required"));
    const verdict = await parts.runs.submit({
      sessionKey: key,
      agentId,
      text: params.message,
      idempotencyKey: params.idempotencyKey,
      source: sourceOf(call),
      actor: call.principal.id,
      files,
    });
    if (admitted(verdict)) return { key, agentId, ...verdict.value };
    const message = reasonText(verdict.reason);
    if (verdict.reason === "delivery.conflict")
      throw new MethodError(invalid(message, { reason: "chat-request-conflict" }));
    if (verdict.reason === "session.message_too_large")
      throw new MethodError(invalid(`${message} (${verdict.detail})`, { reason: verdict.reason }));
    throw new MethodError(unavailable(message, { reason: verdict.reason }, 1000));
  }

  const chatSend = open(
    object({
      sessionKey: string({ minLength: 1, maxLength: 512 }),
      message: string(),
      idempotencyKey: string({ minLength: 1, maxLength: 256 }),
      agentId: optional(string()),
      attachments: optional(array(any())),
    }),
  );

  // Read as the turn will read it, with the words that reset as the config names them.
  // Who says of himself whose words these are must be who may say it; nothing here goes by it.
  const adminForCommand = (params: { readonly message: string }) =>
    adminCommands.has(parts.chatCommand(params.message)) ||
    provenanceFields.some((name) => Object.hasOwn(params, name))
      ? ("operator.admin" as const)
      : undefined;

  return [
    method({
      name: "chat.send",
      scope: "operator.write",
      scopeFor: adminForCommand,
      maxBytes: maxPayloadBytes,
      repeats: "own",
      params: chatSend,
      run: async (params, call) => {
        const { runId, status } = await submit(params, call);
        return { runId, status };
      },
    }),
    method({
      name: "sessions.send",
      scope: "operator.write",
      scopeFor: adminForCommand,
      maxBytes: maxPayloadBytes,
      repeats: "own",
      params: open(
        object({
          key: string({ minLength: 1 }),
          message: string(),
          idempotencyKey: optional(string({ minLength: 1, maxLength: 256 })),
          attachments: optional(array(any())),
        }),
      ),
      run: async (params, call) => {
        const idempotencyKey = params.idempotencyKey ?? parts.random.bytes(16).toString("hex");
        refuseInternal(params);
        const { runId, status } = await submit(
          {
            sessionKey: params.key,
            message: params.message,
            idempotencyKey,
            ...(params.attachments === undefined ? {} : { attachments: params.attachments }),
          },
          call,
        );
        return { runId, status };
      },
    }),
    method({
      name: "chat.history",
      scope: "operator.read",
      params: open(
        object({
          sessionKey: string({ minLength: 1, maxLength: 512 }),
          agentId: optional(string()),
          limit: optional(integer({ minimum: 1, maximum: 1000 })),
          offset: optional(integer({ minimum: 0 })),
          maxChars: optional(integer({ minimum: 1 })),
        }),
      ),
      run: (params) => history(parts, names, params),
    }),
    method({
      name: "chat.abort",
      scope: "operator.write",
      params: open(
        object({
          sessionKey: string({ minLength: 1 }),
          runId: optional(string()),
          agentId: optional(string()),
        }),
      ),
      run: (params) => {
        const { key } = names.resolve(params.sessionKey, params.agentId);
        const runIds = parts.runs.abort(key, params.runId);
        return { ok: true, aborted: runIds.length > 0, runIds };
      },
    }),
    method({
      name: "sessions.abort",
      scope: "operator.write",
      params: open(
        object({ key: optional(string()), runId: optional(string()), clearQueued: optional(boolean()) }),
      ),
      run: (params) => {
        const { key } = names.resolve(params.key, undefined);
        const runIds = parts.runs.abort(key, params.runId);
        return {
          ok: true,
          abortedRunId: runIds[0] ?? null,
          status: runIds.length > 0 ? "aborted" : "no-active-run",
        };
      },
    }),
    method({
      name: "agent",
      scope: "operator.write",
      scopeFor: adminForCommand,
      maxBytes: maxPayloadBytes,
      repeats: "own",
      params: open(
        object({
          message: string({ minLength: 1 }),
          idempotencyKey: string({ minLength: 1, maxLength: 256 }),
          agentId: optional(string()),
          sessionKey: optional(string({ maxLength: 512 })),
          attachments: optional(array(any())),
          timeout: optional(integer({ minimum: 0 })),
        }),
      ),
      run: async (params, call) => {
        const { runId, key, agentId, status } = await submit(params, call);
        const accepted = {
          runId,
          sessionKey: key,
          agentId,
          status: "accepted",
          acceptedAt: parts.clock.now(),
        };
        if (status !== "ok") call.answerAgain(accepted);
        return agentOutcome(parts, runId, params.timeout);
      },
    }),
    method({
      name: "agent.wait",
      scope: "operator.write",
      params: open(object({ runId: string({ minLength: 1 }), timeoutMs: optional(integer({ minimum: 0 })) })),
      run: async (params) => {
        const end = await parts.runs.wait(params.runId, params.timeoutMs ?? 30_000);
        if (end) {
          const text = { disposition: "visible", text: end.text };
          return {
            runId: end.runId,
            status: end.status === "error" ? "error" : "ok",
            startedAt: end.startedAt,
            endedAt: end.endedAt,
            terminalReply: text,
            ...(end.errorMessage === undefined ? {} : { error: end.errorMessage }),
          };
        }
        return { runId: params.runId, status: "timeout" };
      },
    }),
  ];
}

async function agentOutcome(parts: ControlParts, runId: string, timeoutSeconds: number | undefined) {
  const timeoutMs =
    timeoutSeconds === undefined || timeoutSeconds === 0 ? 24 * 3600 * 1000 : timeoutSeconds * 1000;
  const end = await parts.runs.wait(runId, timeoutMs);
  if (!end)
    throw new MethodError(unavailable("the run did not end in time", { reason: "timeout" }), {
      runId,
      status: "timeout",
      summary: "timeout",
    });
  if (end.status === "error") {
    const message = end.errorMessage ?? "the run failed";
    throw new MethodError(unavailable(message), { runId, status: "error", summary: message });
  }
  return {
    runId,
    status: "ok",
    summary: end.status === "aborted" ? "aborted" : "completed",
    result: {
      payloads: [
        { text: end.text, mediaUrl: null },
        ...(end.sent ? attachmentBlocks(end.sent.files, end.sessionKey, end.sent.seq) : []).map(
          ({ type: _, url = null, ...file }) => ({ text: "", mediaUrl: url, ...file }),
        ),
      ],
      meta: {
        durationMs: end.endedAt - end.startedAt,
        aborted: end.status === "aborted",
        agentMeta: { sessionKey: end.sessionKey, provider: end.provider, model: end.model },
      },
    },
  };
}

async function history(
  parts: ControlParts,
  names: SessionNames,
  params: { sessionKey: string; agentId?: string; limit?: number; offset?: number; maxChars?: number },
) {
  const { key, agentId } = names.resolve(params.sessionKey, params.agentId);
  const row = parts.sessions.get(key);
  const choice = parts.modelChoice(agentId, row?.model);
  const defaults = {
    modelProvider: choice.provider,
    model: choice.model,
    contextTokens: choice.contextTokens,
  };
  const pendingInputs = { items: [], total: 0 };
  if (!row) {
    return {
      sessionKey: key,
      sessionId: "",
      messages: [],
      pendingInputs,
      hasMore: false,
      totalMessages: 0,
      defaults,
    };
  }
  const limit = params.limit ?? 200;
  const entries = parts.sessions.entries(row.sessionId, {
    afterSeq: 0,
    throughSeq: row.lastSeq - (params.offset ?? 0),
    limit,
  });
  // What was said before a reset stays in the log, and out of the conversation.
  const resetAt = entries.findLastIndex((entry) => entry.body.type === "reset");
  const messages = await shownMessages(parts, entries.slice(resetAt + 1), key, params.maxChars);
  const firstSeq = resetAt >= 0 ? 1 : (entries[0]?.seq ?? 1);
  const running = parts.runs.activeRun(key);
  return {
    sessionKey: key,
    sessionId: row.sessionId,
    messages,
    pendingInputs,
    hasMore: firstSeq > 1,
    totalMessages: row.lastSeq,
    ...(firstSeq > 1 ? { nextOffset: row.lastSeq - firstSeq + 1 } : {}),
    defaults,
    sessionInfo: sessionInfo(parts, row),
    ...(running
      ? { inFlightRun: { runId: running.runId, text: running.text, startedAt: running.startedAt } }
      : {}),
  };
}

/** Between two large steps whoever else waits gets his turn. */
async function shownMessages(
  { clock, shown }: ControlParts,
  entries: readonly Entry[],
  sessionKey: string,
  maxChars: number | undefined,
) {
  const messages: Readonly<Record<string, unknown>>[] = [];
  let chars = 0;
  for (const entry of entries) {
    messages.push(...wireMessage(shown.entry(entry), sessionKey, maxChars));
    chars += resultChars(entry);
    if (chars < stepChars) continue;
    chars = 0;
    await sleep(clock, 0);
  }
  return messages;
}

function resultChars({ body }: Entry): number {
  if (body.type !== "message" || body.message.role !== "toolResult") return 0;
  return body.message.content.reduce((sum, { text }) => sum + text.length, 0);
}

/** An entry, as it may be shown, as clients read it; what is not a message gives nothing. */
export function wireMessage(
  entry: Entry,
  sessionKey: string,
  maxChars = Number.POSITIVE_INFINITY,
): Readonly<Record<string, unknown>>[] {
  if (entry.body.type !== "message") return [];
  const { message, idempotencyKey } = entry.body;
  const { delivered, ...told } =
    message.role === "assistant" ? message : { ...message, delivered: undefined };
  const parts = delivered ? deliveredParts(delivered.text, told.content) : told.content;
  const content =
    typeof parts === "string"
      ? parts.slice(0, maxChars)
      : parts.map((part) => (part.type === "text" ? { ...part, text: part.text.slice(0, maxChars) } : part));
  const files = delivered ? attachmentBlocks(delivered.files, sessionKey, entry.seq) : [];
  return [
    {
      ...told,
      content: typeof content === "string" ? content : [...content, ...files],
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      __openclaw: {
        id: entry.id,
        seq: entry.seq,
        ...(entry.runId === undefined ? {} : { runId: entry.runId }),
      },
    },
  ];
}

/** A reply's parts as people have them: its text without the lines that name files. */
function deliveredParts(text: string, content: Message["content"]) {
  const others = typeof content === "string" ? [] : content.filter((part) => part.type !== "text");
  return [...(text === "" ? [] : [{ type: "text" as const, text }]), ...others];
}

/**
 * Who holds the gateway's own secret (or signed in with it) is the owner; a device or a token that was given less than all rights
 * speaks as a person whom the owner knows (attack A-042: a caller with write scope that passes for the owner).
 */
export function sourceOf(call: Call): Source {
  const { id, method: provedBy } = call.principal;
  const isNarrowed = provedBy === "device-token" || provedBy === "api-token";
  const isOwner = !isNarrowed || call.principal.isOwner;
  const trust = isOwner ? "owner" : "known";
  return { author: id, proof: "secret", trust, sensitivity: "private" };
}

/** Commands that do what a method with admin scope does: sessions.reset, sessions.compact. */
const adminCommands: ReadonlySet<string | undefined> = new Set(["new", "reset", "compact"]);

/** What a client may claim of a message's origin. */
const provenanceFields = [
  "systemInputProvenance",
  "systemProvenanceReceipt",
  "inputProvenance",
  "senderIsOwner",
];

/** Of the gateway's own making: a client that sends one means to loosen something. */
const internalFields = [
  "spawnedBy",
  "workspaceDir",
  "sandbox",
  "elevated",
  "execSecurity",
  "execAsk",
  "parent",
];

export function refuseInternal(params: object): void {
  const field = internalFields.find((name) => Object.hasOwn(params, name));
  if (field !== undefined)
    throw new MethodError(
      invalid(`at root: unexpected property '${field}'; it comes from the configuration only`),
    );
}
