import { hash } from "node:crypto";
import type { Principal } from "../../auth/mod.ts";
import { attachmentBlocks, type RunEndInfo, sizeText } from "../../control/mod.ts";
import { digestOf, type InboxRow } from "../../delivery/mod.ts";
import { admitted, type Reason, reasonText, type Source } from "../../kernel/mod.ts";
import type { HttpRequest } from "../../network/mod.ts";
import { type Entry, parseChatCommand, replyText } from "../../session/mod.ts";
import { ApiProblem, apiError, badRequest, missingScope } from "./answers.ts";
import { unavailable } from "./operator-route.ts";
import type { ApiParts } from "./parts.ts";
import type { RunListener } from "./run-tap.ts";
import { useModel } from "./session-model.ts";

export interface RunOrder {
  readonly runId: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly text: string;
  readonly caller: Principal;
  /** "provider/model" for the session, from x-openclaw-model. */
  readonly model: string | undefined;
  readonly closed: AbortSignal;
  readonly listener?: RunListener;
}

/** How a run ended, as the API tells it. */
export interface RunReply {
  readonly status: "ok" | "error" | "aborted";
  readonly text: string;
  readonly errorMessage: string;
  readonly stopReason: string;
  /** Those from the provider's cache too. */
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

export interface RunDesk {
  /** The run's id: from the Idempotency-Key, so that the same one never runs twice; otherwise a new one. */
  runIdOf(request: HttpRequest, prefix: string, caller: Principal): string;
  /**
   * Hands the message in and resolves once it is on disk. Throws an ApiProblem when it is refused. When the client
   * goes away before the end, the run is stopped, unless another request began it.
   */
  start(order: RunOrder): Promise<{ readonly ended: Promise<RunReply> }>;
}

const longestRunMs = 24 * 3600 * 1000;

export function createRunDesk(parts: ApiParts): RunDesk {
  async function start(order: RunOrder): Promise<{ readonly ended: Promise<RunReply> }> {
    const { runId, sessionKey, caller, closed } = order;
    refuseCommands(order);
    if (order.model !== undefined) await chooseModel(order, order.model);
    const unfollow = order.listener ? parts.tap.follow(runId, order.listener) : () => {};
    const verdict = await parts.runs.submit({
      sessionKey,
      agentId: order.agentId,
      text: order.text,
      idempotencyKey: runId,
      source: sourceOf(caller),
      actor: caller.id,
    });
    if (!admitted(verdict)) {
      unfollow();
      throw refusal(verdict.reason, verdict.detail);
    }
    const { status } = verdict.value;
    const abort = () => void parts.runs.abort(sessionKey, runId);
    if (status === "started") {
      if (closed.aborted) abort();
      else closed.addEventListener("abort", abort, { once: true });
    }
    const ended = (status === "ok" ? Promise.resolve(undefined) : parts.runs.wait(runId, longestRunMs)).then(
      (end) => {
        unfollow();
        closed.removeEventListener("abort", abort);
        if (!end) return replayed(order);
        const text = withFileLines(end.text, end.sent, order.sessionKey);
        return { ...spoken(order), ...end, text, errorMessage: end.errorMessage ?? "" };
      },
    );
    return { ended };
  }

  /** What an operator's hand does in a chat needs the operator's scope here too (`/reset`), and approvals are not answered here. */
  function refuseCommands({ text, caller }: RunOrder): void {
    const command = parseChatCommand(text, parts.sessionSettings().resetTriggers)?.name;
    if ((command === "new" || command === "reset" || command === "compact") && !caller.isOwner) {
      throw new ApiProblem(missingScope("operator.admin"));
    }
  }

  async function chooseModel(order: RunOrder, reference: string): Promise<void> {
    if (!order.caller.isOwner) throw new ApiProblem(missingScope("operator.admin"));
    const provider = reference.split("/", 1)[0];
    if (!reference.includes("/") || !parts.models().some((row) => row.provider === provider)) {
      throw badRequest(
        `x-openclaw-model ${JSON.stringify(reference.slice(0, 100))} names no configured provider; use provider/model.`,
        "x-openclaw-model",
      );
    }
    const { sessionKey, agentId, caller } = order;
    await useModel(parts, { sessionKey, agentId, model: reference, actor: caller.id });
  }

  /** The end of a run that was over before this request asked, from disk. */
  function replayed(order: RunOrder): RunReply {
    const row = parts.inbox.byRunId(order.runId);
    const said = spoken(order);
    if (row?.state === "failed") return { ...said, status: "error", errorMessage: row.detail ?? "" };
    return { ...said, status: row?.detail === "aborted" ? "aborted" : "ok", errorMessage: "" };
  }

  /** What the transcript holds of the run: the last answer's text, and the tokens of all. */
  function spoken(order: RunOrder): Omit<RunReply, "status" | "errorMessage"> {
    const session = parts.sessions.get(order.sessionKey);
    const entries = session ? parts.sessions.entries(session.sessionId, { afterSeq: 0, limit: 400 }) : [];
    let reply = { text: "", stopReason: "stop", inputTokens: 0, cachedTokens: 0, outputTokens: 0 };
    for (const { seq, message } of entries.flatMap((entry) => assistantOf(entry, order.runId))) {
      const { input, output, cacheRead, cacheWrite } = message.usage;
      reply = {
        text: withFileLines(
          replyText(message),
          message.delivered && { seq, files: message.delivered.files },
          order.sessionKey,
        ),
        stopReason: message.stopReason,
        inputTokens: reply.inputTokens + input + cacheRead + cacheWrite,
        cachedTokens: reply.cachedTokens + cacheRead,
        outputTokens: reply.outputTokens + output,
      };
    }
    return reply;
  }

  return {
    start,
    runIdOf(request, prefix, caller) {
      const key = request.headers["idempotency-key"];
      if (key === undefined) return `${prefix}${parts.random.bytes(16).toString("hex")}`;
      if (key === "" || key.length > 256) {
        throw badRequest("Idempotency-Key must have 1 to 256 characters.", "Idempotency-Key");
      }
      // Other callers and other paths have keys of their own: nobody can hit, or guess, another's run.
      return `${prefix}${hash("sha256", `${caller.id}\n${request.path}\n${key}`).slice(0, 32)}`;
    },
  };
}

/** These wires carry text: each file of the reply is a line at its end that says where it is had from. */
function withFileLines(text: string, sent: RunEndInfo["sent"], sessionKey: string): string {
  const blocks = sent ? attachmentBlocks(sent.files, sessionKey, sent.seq) : [];
  const lines = blocks.map(
    ({ fileName, mimeType, sizeBytes, url }) =>
      `[file: ${fileName}, ${mimeType}, ${sizeText(sizeBytes)}${url === undefined ? "" : `, at ${url}`}]`,
  );
  return [...(text === "" ? [] : [text]), ...lines].join("\n");
}

/** Of two texts that a request may stand for, the one that this run was begun with; the second when it is new. */
export function sameAsBefore(row: InboxRow | undefined, sessionKey: string, a: string, b: string): string {
  return row !== undefined && row.digest === digestOf(sessionKey, a) ? a : b;
}

/** The answer to a run that brought no reply; undefined for one that did. */
export function failureOf(reply: RunReply) {
  if (reply.status === "ok") return undefined;
  // A client that tries again by itself would make the whole run again.
  const headers = { "x-should-retry": "false" };
  if (reply.status === "aborted") {
    return {
      status: 409,
      type: "run_aborted",
      message: "The run was stopped before it was done. Use a new Idempotency-Key to run it again.",
      headers,
    };
  }
  return { status: 500, type: "api_error", message: reply.errorMessage || "The run failed.", headers };
}

function assistantOf(entry: Entry, runId: string) {
  return entry.runId === runId && entry.body.type === "message" && entry.body.message.role === "assistant"
    ? [{ seq: entry.seq, message: entry.body.message }]
    : [];
}

function sourceOf(caller: Principal): Source {
  return {
    author: caller.id,
    proof: caller.method === "none" ? "none" : "secret",
    trust: caller.isOwner ? "owner" : "known",
    sensitivity: "private",
  };
}

function refusal(reason: Reason, detail: string): ApiProblem {
  const message = reasonText(reason);
  if (reason === "delivery.conflict") {
    return new ApiProblem(
      apiError(
        409,
        "idempotency_error",
        "This Idempotency-Key was already used for another request. Use a new one.",
        { code: reason },
      ),
    );
  }
  if (reason === "auth.agent_not_allowed")
    return new ApiProblem(apiError(403, "forbidden", message, { code: reason }));
  if (reason === "session.message_too_large") {
    return new ApiProblem(apiError(413, "invalid_request_error", `${message} (${detail})`, { code: reason }));
  }
  return new ApiProblem(unavailable(message));
}
