import type { FakeGateway, Params } from "./fake-gateway.ts";

/** One run of the fake gateway, played by the test: events in the order in which a real gateway sends them. */
export class FakeRun {
  readonly sessionKey: string;
  readonly runId: string;
  readonly message: string;
  readonly #gateway: FakeGateway;

  constructor(gateway: FakeGateway, sessionKey: string, runId: string, message: string) {
    this.#gateway = gateway;
    this.sessionKey = sessionKey;
    this.runId = runId;
    this.message = message;
  }

  status(phase: string): void {
    this.#chat({ state: "status", phase });
  }

  /** `text` is all of the reply so far. */
  delta(text: string): void {
    this.#chat({ state: "delta", deltaText: "", message: reply(text) });
  }

  toolStarts(toolCallId: string, name: string, args: unknown): void {
    this.#gateway.append(this.sessionKey, {
      role: "assistant",
      content: [{ type: "toolCall", id: toolCallId, name, arguments: args }],
      __openclaw: { runId: this.runId },
    });
    this.#agent("tool", { phase: "start", toolCallId, name, args });
  }

  toolEnds(toolCallId: string, output: string, isError = false): void {
    this.#gateway.append(this.sessionKey, {
      role: "toolResult",
      toolCallId,
      content: [{ type: "text", text: output }],
      isError,
      __openclaw: { runId: this.runId },
    });
    this.#agent("tool", {
      phase: "result",
      toolCallId,
      isError,
      result: { content: [{ type: "text", text: output }] },
    });
  }

  asksApproval(id: string, request: Params): void {
    const approval = {
      approvalKind: "exec",
      id,
      request: { sessionKey: this.sessionKey, agentId: "main", ...request },
      createdAtMs: Date.now(),
      expiresAtMs: Date.now() + 1_800_000,
    };
    this.#gateway.approvals = [...this.#gateway.approvals, approval];
    this.#agent("approval", { phase: "requested", toolCallId: request.toolCallId });
    this.#gateway.emit("exec.approval.requested", approval);
  }

  final(text: string, provider = "mock", model = "mock-1", files: readonly Params[] = []): void {
    const own = { __openclaw: { runId: this.runId } };
    const message = reply(text, files);
    this.#gateway.append(this.sessionKey, { ...message, provider, model, stopReason: "stop", ...own });
    this.#chat({ state: "final", stopReason: "stop", message });
  }

  aborted(text: string): void {
    this.#chat({ state: "aborted", stopReason: "rpc", message: reply(text) });
  }

  fails(errorMessage: string): void {
    this.#chat({ state: "error", errorMessage });
  }

  #chat(payload: Params): void {
    this.#gateway.emit("chat", {
      runId: this.runId,
      sessionKey: this.sessionKey,
      agentId: "main",
      seq: 1,
      ...payload,
    });
  }

  #agent(stream: string, data: Params): void {
    const { runId, sessionKey } = this;
    this.#gateway.emit("agent", { runId, sessionKey, stream, data, seq: 1, ts: 1_795_217_840_000 });
  }
}

function reply(text: string, files: readonly Params[] = []): Params {
  return { role: "assistant", content: [{ type: "text", text }, ...files], timestamp: 1_795_217_840_000 };
}
