import { costOf, type Model, type ModelChoice, run, type ToolRequest } from "../agent/mod.ts";
import type { LedgerStore } from "../audit/mod.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import type { Clock, Commit, Json, Log } from "../kernel/mod.ts";
import {
  createDenials,
  effectFacts,
  type Question,
  type Review,
  readReview,
  reviewPrompt,
  reviewSubject,
} from "../policy/mod.ts";
import type { UsageStore } from "../store/mod.ts";
import type { ReviewPort } from "../turn-parts.ts";

const defaultTimeoutMs = 30_000;
const maxOutputTokens = 400;

/** The second model of exec mode "auto": it sees one command and the owner's message, and has no tools. */
export function createReviewer(ports: {
  readonly config: () => OpenClawConfig;
  readonly modelFor: (
    agentId: string,
    reference: string,
  ) => Promise<{ readonly model: Model; readonly choice: ModelChoice }>;
  readonly commit: Commit;
  readonly ledger: Pick<LedgerStore, "append">;
  readonly usage: Pick<UsageStore, "add">;
  readonly redact: (text: string) => string;
  readonly clock: Clock;
  readonly log: Log;
}): ReviewPort {
  const { clock, commit, ledger } = ports;
  const denials = createDenials();
  const ask = (reason: string): Review => ({ verdict: "ask", reason });

  function settingsOf(agentId: string) {
    const { tools, agents } = ports.config();
    const agent = agents?.entries?.[agentId] ?? agents?.list?.find((item) => item.id === agentId);
    return { ...tools?.exec?.reviewer, ...agent?.tools?.exec?.reviewer };
  }

  async function review(
    request: ToolRequest,
    question: Question,
    row: InboxRow,
    signal: AbortSignal,
  ): Promise<Review> {
    const { model: reference, timeoutMs = defaultTimeoutMs } = settingsOf(request.agentId);
    if (reference === undefined) return ask("No reviewing model is set (tools.exec.reviewer.model).");
    if (denials.isSpent(request.sessionKey)) return ask("It refused too often in this conversation.");
    const effects = effectFacts(question.effects, ports.redact);
    const subject = reviewSubject(question, { effects, ownerMessage: row.text }, ports.redact);
    if (subject === undefined) return ask("The command or the message is too long to be judged as a whole.");
    const found = await judge(request, reference, subject, timeoutMs, signal);
    if (found.verdict === "deny") denials.denied(request.sessionKey);
    return found;
  }

  async function judge(
    request: ToolRequest,
    reference: string,
    subject: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Review> {
    const { runId, agentId, sessionKey } = request;
    const record = (kind: "effect.start" | "effect.end", facts: Json, outcome?: "ok" | "error") =>
      ledger.append({
        stage: "policy",
        kind,
        action: "review",
        runId,
        sessionKey,
        facts,
        ...(outcome ? { outcome } : {}),
      });
    const { model, choice } = await ports.modelFor(agentId, reference);
    const names = { provider: choice.provider, model: choice.model, toolCallId: request.id };
    await commit([record("effect.start", names)]);
    const late = new AbortController();
    const cancel = clock.after(timeoutMs, () => late.abort());
    try {
      const loop = run({
        runId,
        agentId,
        sessionKey,
        model,
        modelId: choice.model,
        system: reviewPrompt,
        messages: [{ role: "user", content: [{ type: "text", text: subject }] }],
        tools: [],
        unanswered: [],
        maxOutputTokens: Math.min(choice.maxOutputTokens, maxOutputTokens),
        maxRounds: 1,
        signal: AbortSignal.any([signal, late.signal]),
        clock,
      });
      let usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
      let step = await loop.next();
      while (!step.done) {
        if (step.value.type === "modelEnd") usage = step.value.usage;
        step = await loop.next();
      }
      const said = step.value;
      const isDone = said.status === "done";
      const found = isDone
        ? readReview(said.text.trim())
        : ask(late.signal.aborted ? "The reviewing model was too slow." : "The reviewing model failed.");
      const day = new Date(clock.now()).toISOString().slice(0, 10);
      const { verdict, reason } = found;
      // The verdict is on record before what it allows.
      await commit([
        record("effect.end", { ...names, verdict, reason: ports.redact(reason) }, isDone ? "ok" : "error"),
        ports.usage.add(day, agentId, choice.provider, choice.model, {
          ...usage,
          costUsd: costOf(choice, usage),
        }),
      ]);
      return found;
    } finally {
      cancel();
    }
  }

  return {
    personAllowed: denials.personAllowed,
    review: (request, question, row, signal) =>
      review(request, question, row, signal).catch((error: Error) => {
        ports.log("warn", "a command could not be reviewed; a person is asked", { error: error.message });
        return ask("The reviewing model could not be asked.");
      }),
  };
}
