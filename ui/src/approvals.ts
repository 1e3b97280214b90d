import { type Desk, gatewayNowMs, problemText } from "./desk.ts";
import { GatewayRefusal } from "./link.ts";
import { amount, type Fields, fields, firstText, items, text } from "./untrusted.ts";
import { type Decision, decisions } from "./wire.ts";

export interface PendingApproval {
  readonly id: string;
  /** Exactly what will run. */
  readonly command: string;
  /** The words of the command one by one, when the gateway tells them: joining them may hide where one ends. */
  readonly argv: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  readonly folder: string;
  readonly program: string;
  readonly host: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly toolCallId: string;
  readonly why: string;
  /** What "always" would keep, in words; empty when the gateway does not say. */
  readonly keeps: string;
  /** A rule that covers this command and the like ones that were allowed before; empty when there is none. */
  readonly proposes: string;
  readonly allowed: readonly Decision[];
  /** By the gateway's clock. */
  readonly expiresAtMs: number;
  readonly answering: boolean;
}

export interface Approvals {
  load(): Promise<void>;
  event(name: string, payload: Fields): void;
  /** `keep` says which of the two rules an allow-always keeps. */
  resolve(id: string, decision: Decision, keep?: "proposal"): Promise<void>;
  /** Takes away what can no longer be answered. */
  dropExpired(): void;
}

export function openApprovals(desk: Desk): Approvals {
  const { store } = desk;
  const remove = (id: string) =>
    store.change((state) => ({ approvals: state.approvals.filter((one) => one.id !== id) }));
  const mark = (id: string, answering: boolean) =>
    store.change((state) => ({
      approvals: state.approvals.map((one) => (one.id === id ? { ...one, answering } : one)),
    }));

  return {
    async load() {
      try {
        const listed = items(await desk.call("exec.approval.list")).map((raw) => readApproval(fields(raw)));
        store.change(() => ({ approvals: listed.filter((one) => one.id !== "") }));
      } catch (error) {
        if (error instanceof GatewayRefusal)
          desk.notify("problem", problemText("Approvals cannot be shown", error));
      }
    },

    event(name, payload) {
      if (name === "exec.approval.resolved") remove(text(payload.id));
      if (name !== "exec.approval.requested") return;
      const asked = readApproval(payload);
      if (asked.id === "") return;
      store.change((state) => ({
        approvals: [...state.approvals.filter((one) => one.id !== asked.id), asked],
      }));
    },

    async resolve(id, decision, keep) {
      mark(id, true);
      try {
        await desk.call("exec.approval.resolve", { id, decision, ...(keep ? { keep } : {}) });
        remove(id);
        desk.notify("info", resolvedText[decision]);
      } catch (error) {
        const reason = error instanceof GatewayRefusal ? text(error.details.reason) : "";
        if (reason === "APPROVAL_ALREADY_RESOLVED" || reason === "APPROVAL_NOT_FOUND") remove(id);
        else mark(id, false);
        desk.notify("problem", problemText("Your answer was not taken", error));
      }
    },

    dropExpired() {
      const nowMs = gatewayNowMs(desk);
      if (store.state.approvals.some((one) => one.expiresAtMs <= nowMs))
        store.change((state) => ({ approvals: state.approvals.filter((one) => one.expiresAtMs > nowMs) }));
    },
  };
}

const resolvedText: Readonly<Record<Decision, string>> = {
  "allow-once": "Allowed once.",
  "allow-always": "Allowed, now and whenever exactly this is asked again.",
  deny: "Denied. It will not run.",
};

export function readApproval(raw: Fields): PendingApproval {
  const request = fields(raw.request);
  const plan = fields(request.systemRunPlan);
  const argv = items(request.commandArgv ?? plan.argv).map(text);
  return {
    id: text(raw.id),
    command: firstText(request.command, plan.commandText) || argv.join(" "),
    argv,
    environment: Object.entries(fields(request.env)).map(([name, value]) => [name, text(value)] as const),
    folder: firstText(request.cwd, plan.cwd),
    program: text(request.resolvedPath),
    host: firstText(request.nodeId, request.host),
    agentId: text(request.agentId),
    sessionKey: text(request.sessionKey),
    toolCallId: text(request.toolCallId),
    why: firstText(request.warningText, analysisText(request.commandAnalysis)),
    keeps: text(fields(request.standing).text),
    proposes: text(fields(request.proposal).text),
    allowed: readAllowed(request.allowedDecisions),
    expiresAtMs: amount(raw.expiresAtMs) ?? Number.MAX_SAFE_INTEGER,
    answering: false,
  };
}

/** Nothing said means the narrow pair, never "always". */
function readAllowed(value: unknown): Decision[] {
  if (!Array.isArray(value)) return ["allow-once", "deny"];
  return decisions.filter((decision) => value.includes(decision));
}

function analysisText(analysis: unknown): string {
  if (typeof analysis === "string") return analysis;
  const { summary, text: words, message, warnings, reasons } = fields(analysis);
  return firstText(summary, words, message) || [...items(warnings), ...items(reasons)].map(text).join(" ");
}
