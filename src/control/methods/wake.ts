import { admitted, reasonText, schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import type { SessionNames } from "../session-names.ts";
import { sourceOf } from "./chat.ts";

const { any, object, oneOf, open, optional, string } = schema;

/** wake, system-event, set-heartbeats. There are no heartbeats yet: what is to happen now happens, the rest is refused. */
export function wakeMethods(parts: ControlParts, names: SessionNames): Method[] {
  async function wake(
    params: {
      readonly text: string;
      readonly mode?: string;
      readonly sessionKey?: string;
      readonly agentId?: string;
    },
    call: Call,
  ) {
    if (params.mode !== "now") {
      throw new MethodError(
        unavailable('heartbeats are not available yet; use mode "now"', { reason: "not-available-yet" }),
      );
    }
    const { key, agentId } = names.resolve(params.sessionKey, params.agentId);
    const verdict = await parts.runs.submit({
      sessionKey: key,
      agentId,
      // The prefix keeps an event from being read as a command: /reset needs more than the scope of wake.
      text: `[system event] ${params.text}`,
      idempotencyKey: parts.random.bytes(16).toString("hex"),
      source: sourceOf(call),
      actor: call.principal.id,
    });
    if (!admitted(verdict))
      throw new MethodError(unavailable(reasonText(verdict.reason), { reason: verdict.reason }, 1000));
    return { ok: true };
  }

  return [
    method({
      name: "wake",
      scope: "operator.write",
      maxBytes: 4_194_304,
      params: open(
        object({
          mode: oneOf(["now", "next-heartbeat"]),
          text: string({ minLength: 1, maxLength: 100_000 }),
          sessionKey: optional(string({ maxLength: 512 })),
          agentId: optional(string()),
        }),
      ),
      run: wake,
    }),
    method({
      name: "system-event",
      scope: "operator.admin",
      maxBytes: 4_194_304,
      params: open(
        object({
          text: string({ minLength: 1, maxLength: 100_000 }),
          mode: optional(string()),
          sessionKey: optional(string({ maxLength: 512 })),
        }),
      ),
      run: wake,
    }),
    method({
      name: "set-heartbeats",
      scope: "operator.admin",
      params: open(object({ enabled: optional(any()) })),
      run: (params) => {
        if (typeof params.enabled !== "boolean")
          throw new MethodError(invalid("invalid set-heartbeats params: enabled (boolean) required"));
        if (params.enabled) {
          throw new MethodError(
            unavailable("heartbeats are not available yet", { reason: "not-available-yet" }),
          );
        }
        return { ok: true, enabled: false };
      },
    }),
  ];
}
