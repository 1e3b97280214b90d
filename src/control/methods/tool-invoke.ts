import { admitted, reasonText, schema } from "../../kernel/mod.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import type { SessionNames } from "../session-names.ts";
import { sourceOf } from "./chat.ts";

const { any, boolean, object, optional, record, string } = schema;

/** tools.invoke: one tool call without a model, through the same policy, record and sandbox as one of a model. */
export function toolInvokeMethods(parts: ControlParts, names: SessionNames): Method[] {
  return [
    method({
      name: "tools.invoke",
      scope: "operator.write",
      maxBytes: 4_194_304,
      repeats: "remembered",
      // Closed: a field that is not named here cannot loosen anything.
      params: object({
        name: string({ minLength: 1, maxLength: 64 }),
        args: optional(record(any())),
        sessionKey: optional(string({ minLength: 1, maxLength: 512 })),
        agentId: optional(string({ minLength: 1, maxLength: 64 })),
        confirm: optional(boolean()),
        idempotencyKey: optional(string({ minLength: 1, maxLength: 256 })),
        conversationReadOrigin: optional(string()),
      }),
      run: async (params, call) => {
        const { key, agentId } = names.resolve(params.sessionKey, params.agentId);
        const verdict = await parts.invokeTool({
          agentId,
          sessionKey: key,
          tool: params.name,
          args: params.args ?? {},
          actor: call.principal.id,
          isOwner: sourceOf(call).trust === "owner",
        });
        const toolName = params.name;
        if (!admitted(verdict)) {
          return {
            ok: false,
            toolName,
            ...(verdict.reason === "http.approval_needed" ? { requiresApproval: true } : {}),
            error: { code: verdict.reason, message: reasonText(verdict.reason) },
          };
        }
        const { text, isError } = verdict.value;
        if (isError)
          return {
            ok: false,
            toolName,
            source: "core",
            error: { code: "tool_error", message: text || "failed" },
          };
        return { ok: true, toolName, source: "core", output: { content: [{ type: "text", text }] } };
      },
    }),
  ];
}
