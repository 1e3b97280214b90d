import { InputError, schema } from "../../kernel/mod.ts";
import type { Approval } from "../../policy/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import type { ApprovalInfo, PairingInfo } from "../protocol.ts";

const { array, integer, object, oneOf, open, optional, string } = schema;

/** config.*, exec.approval.*, channels.pairing.*, audit.*, message.why, deliveries.list. */
export function operationMethods(parts: ControlParts): Method[] {
  return [
    ...configMethods(parts),
    ...approvalMethods(parts),
    ...pairingMethods(parts),
    ...recordMethods(parts),
  ];
}

function configMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "config.get",
      scope: "operator.read",
      params: open(object({})),
      run: () => parts.config.get(),
    }),
    method({
      name: "config.schema",
      scope: "operator.read",
      params: open(object({})),
      run: () => ({
        schema: parts.config.schema(),
        uiHints: {},
        version: parts.version,
        generatedAt: new Date(parts.clock.now()).toISOString(),
      }),
    }),
    method({
      name: "config.patch",
      scope: "operator.admin",
      maxBytes: 4_194_304,
      perMinute: 30,
      params: open(
        object({
          raw: string({ minLength: 1 }),
          baseHash: optional(string()),
          replacePaths: optional(array(string())),
          note: optional(string()),
        }),
      ),
      admin: (params) => ({
        action: "config.patch",
        facts: {
          bytes: params.raw.length,
          ...(params.note === undefined ? {} : { note: params.note.slice(0, 200) }),
        },
      }),
      run: (params) => parts.config.patch(params.raw, params.baseHash, params.replacePaths ?? []),
    }),
  ];
}

/** Of an approval as it may be shown. */
export function approvalInfo(approval: Approval): ApprovalInfo {
  return {
    id: approval.id,
    approvalKind: "exec",
    request: {
      ...approval.request,
      nodeId: approval.request.nodeId ?? null,
      security: "allowlist",
      ask: "on-miss",
      commandAnalysis: null,
      systemRunPlan: null,
    },
    createdAtMs: approval.createdAtMs,
    expiresAtMs: approval.expiresAtMs,
  };
}

function approvalMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "exec.approval.list",
      scope: "operator.approvals",
      params: open(object({})),
      run: () => parts.approvals.pending().map((item) => approvalInfo(parts.shown.approval(item))),
    }),
    method({
      name: "exec.approval.get",
      scope: "operator.approvals",
      params: open(object({ id: string({ minLength: 1 }) })),
      run: (params) => {
        const approval = parts.approvals.get(params.id);
        if (!approval) throw notFound();
        const { command, allowedDecisions, host, agentId } = parts.shown.approval(approval).request;
        return {
          id: approval.id,
          commandText: command,
          commandPreview: command,
          allowedDecisions,
          host,
          nodeId: approval.request.nodeId ?? null,
          agentId,
          expiresAtMs: approval.expiresAtMs,
          status: approval.state,
        };
      },
    }),
    method({
      name: "exec.approval.resolve",
      scope: "operator.approvals",
      params: open(
        object({
          id: string({ minLength: 1 }),
          decision: string(),
          // Which of the rules that the question showed an allow-always keeps.
          keep: optional(oneOf(["standing", "proposal"])),
        }),
      ),
      admin: (params) => ({
        action: "exec.approval.resolve",
        facts: { id: params.id, decision: params.decision },
      }),
      run: async (params, call) => {
        try {
          await parts.approvals.resolve(params.id, params.decision, call.principal.id, params.keep);
          return { ok: true };
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          if (error.message.startsWith("unknown")) throw notFound();
          const reason = error.message.startsWith("approval already resolved")
            ? { reason: "APPROVAL_ALREADY_RESOLVED" }
            : undefined;
          throw new MethodError(invalid(error.message, reason));
        }
      },
    }),
  ];
}

function notFound(): MethodError {
  return new MethodError(
    invalid("unknown or expired approval id", {
      reason: "APPROVAL_NOT_FOUND",
      remediation: "openclaw approvals pending lists those that wait",
    }),
  );
}

// As documented for the existing system; the access stage holds them.
const pairingLimits = { pendingPerAccount: 3, ttlMs: 3_600_000 };

function pairingMethods(parts: ControlParts): Method[] {
  const target = open(
    object({
      channel: string({ minLength: 1 }),
      accountId: optional(string()),
      requestId: string({ minLength: 1, maxLength: 64 }),
    }),
  );
  const changed = () => parts.hub.send("channels.pairing.changed", { kind: "pairing" }, {});
  const labelOf = (channel: string) => parts.channels().find((row) => row.id === channel)?.label ?? channel;
  const hasOwner = async () => {
    const { config } = (await parts.config.get()) as {
      readonly config?: { readonly commands?: { readonly ownerAllowFrom?: readonly unknown[] } };
    };
    return (config?.commands?.ownerAllowFrom ?? []).length > 0;
  };
  return [
    method({
      name: "channels.pairing.list",
      scope: "operator.pairing",
      params: open(object({ channel: optional(string()), accountId: optional(string()) })),
      run: async (params) => ({
        accounts: parts.channels().map((row) => ({
          channel: row.id,
          channelLabel: row.label,
          accountId: row.account,
          notifySupported: false,
        })),
        requests: (await parts.pairings.list(params.channel))
          .filter(({ account }) => params.accountId === undefined || account === params.accountId)
          .map(({ channel, account, request }): PairingInfo => {
            const createdAt = new Date(request.createdAtMs).toISOString();
            return {
              requestId: request.code,
              channel,
              channelLabel: labelOf(channel),
              accountId: account,
              senderId: request.senderId,
              senderLabel: request.claimedName || request.senderId,
              createdAt,
              lastSeenAt: createdAt,
              expiresAt: new Date(request.expiresAtMs).toISOString(),
              notifySupported: false,
            };
          }),
        commandOwnerConfigured: await hasOwner(),
        limits: pairingLimits,
      }),
    }),
    method({
      name: "channels.pairing.approve",
      scope: "operator.pairing",
      params: target,
      admin: (params) => ({ action: "channels.pairing.approve", facts: { channel: params.channel } }),
      run: async (params, call) => {
        const { channel, accountId = "default", requestId } = params;
        const hadOwner = await hasOwner();
        const { senderId } = await parts.pairings.approve(channel, accountId, requestId, call.principal.id);
        changed();
        const adopted = hadOwner ? "already-configured" : (await hasOwner()) ? "configured" : "not-requested";
        return { requestId, senderId, notification: "not-requested", commandOwnerBootstrap: adopted };
      },
    }),
    method({
      name: "channels.pairing.dismiss",
      scope: "operator.pairing",
      params: target,
      admin: (params) => ({ action: "channels.pairing.dismiss", facts: { channel: params.channel } }),
      run: async (params) => {
        const { channel, accountId = "default", requestId } = params;
        const { senderId } = await parts.pairings.dismiss(channel, accountId, requestId);
        changed();
        return { requestId, senderId };
      },
    }),
  ];
}

function recordMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "audit.list",
      scope: "operator.read",
      params: open(
        object({
          limit: optional(integer({ minimum: 1, maximum: 500 })),
          beforeSeq: optional(integer({ minimum: 1 })),
          afterSeq: optional(integer({ minimum: 0 })),
          stage: optional(string()),
          kind: optional(oneOf(["verdict", "effect.start", "effect.end", "admin"])),
          runId: optional(string()),
          sessionKey: optional(string()),
        }),
      ),
      run: (params) => {
        const { limit, ...filter } = params;
        return { rows: parts.audit.list({ ...filter, limit: limit ?? 100 }) };
      },
    }),
    method({
      name: "audit.verify",
      scope: "operator.read",
      params: open(object({ expectedHead: optional(string()) })),
      run: (params) => parts.audit.verify(params.expectedHead),
    }),
    method({
      name: "message.why",
      scope: "operator.read",
      params: open(object({ id: string({ minLength: 1, maxLength: 512 }) })),
      run: (params) => why(parts, params.id),
    }),
    method({
      name: "deliveries.list",
      scope: "operator.read",
      params: open(object({ state: oneOf(["unknown", "rejected"]) })),
      run: (params) => ({
        deliveries: parts.outbox
          .inDoubt(params.state, 100)
          .map(({ message, ...row }) => ({ ...row, conversation: message.conversation })),
      }),
    }),
  ];
}

/** One message's way through the stages. `id` is our message id, its run id (idempotency key), or a platform's event id as channel:account:event. */
function why(parts: ControlParts, id: string) {
  const [channel = "", account = "", ...event] = id.split(":");
  const row =
    parts.inbox.byMessageId(id) ??
    parts.inbox.byRunId(id) ??
    parts.inbox.byMessageId(parts.outbox.byId(id)?.messageId ?? "") ??
    parts.inbox.find(channel, account, event.join(":"));
  if (!row)
    throw new MethodError(
      invalid(
        `no message ${JSON.stringify(id)}; give a message id, a run id, a delivery's id, or channel:account:eventId`,
      ),
    );
  const steps = parts.audit.list({ messageId: row.messageId, limit: 500 }).reverse();
  const { text: _text, digest: _digest, ...message } = row;
  return {
    message,
    steps,
    deliveries: parts.outbox.byMessageId(row.messageId).map(({ message: _message, ...rest }) => rest),
  };
}
