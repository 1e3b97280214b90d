import { schema } from "../../kernel/mod.ts";
import type { Nodes } from "../../nodes/mod.ts";
import { MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import { maxPayloadBytes } from "../protocol.ts";
import { pairingChanged } from "./nodes.ts";

const { any, array, boolean, integer, object, open, optional, string } = schema;

const name = string({ minLength: 1, maxLength: 256 });

/** What only a node calls: its answers, its reports, and what it fetches for itself. */
export function nodeSideMethods({ nodes }: { readonly nodes: Nodes }): Method[] {
  const row = <P>(rest: Omit<Method<P>, "role" | "scope">) =>
    method<P>({ ...rest, role: "node", scope: undefined });
  return [
    row({
      name: "node.invoke.result",
      maxBytes: maxPayloadBytes,
      params: object({
        id: name,
        nodeId: name,
        ok: boolean(),
        payload: optional(any()),
        payloadJSON: optional(string()),
        error: optional(
          object({
            code: optional(string({ minLength: 1, maxLength: 256 })),
            message: optional(string({ minLength: 1, maxLength: 65_536 })),
          }),
        ),
      }),
      run: (params, call) => taken(nodes.answers.result(call.connection.id, params)),
    }),
    row({
      name: "node.invoke.progress",
      params: object({
        invokeId: name,
        nodeId: name,
        seq: integer({ minimum: 0 }),
        chunk: string({ maxLength: 16_384 }),
      }),
      run: (params, call) => taken(nodes.answers.progress(call.connection.id, params)),
    }),
    row({
      name: "node.event",
      maxBytes: 4_194_304,
      params: object({ event: name, payload: optional(any()), payloadJSON: optional(string()) }),
      run: (params, call) => {
        const { event, payload, payloadJSON } = params;
        const kind = nodes.report(call.connection.id, idOf(call), event, payload, payloadJSON);
        if (kind === "unapproved") throw new MethodError(pairingChanged());
        return { ok: true, event, ...outcomes[kind] };
      },
    }),
    row({
      name: "node.skills.update",
      maxBytes: 4_194_304,
      params: object({ skills: array(any(), { maxItems: 64 }) }),
      // A skill is text for the model. What a node brings reaches none: nobody has reviewed it.
      run: (_params, call) => ({ nodeId: idOf(call), skills: [] }),
    }),
    row({
      name: "node.pluginTools.update",
      maxBytes: 4_194_304,
      params: object({ tools: array(any(), { maxItems: 256 }) }),
      run: (_params, call) => ({ nodeId: idOf(call), tools: [] }),
    }),
    row({
      name: "node.runnerInventory.update",
      params: open(object({ protocolFeatures: optional(array(name)), workerHost: optional(any()) })),
      run: (_params, call) => {
        if (!nodes.isApproved(idOf(call)))
          throw new MethodError(
            unavailable(
              "node capability surface is awaiting operator approval; run openclaw nodes pending",
              undefined,
              1000,
            ),
          );
        return { nodeId: idOf(call) };
      },
    }),
    row({
      name: "node.pluginSurface.refresh",
      params: open(object({})),
      run: () => {
        throw new MethodError(
          unavailable("this gateway hosts no surface for nodes", { reason: "no-surface" }),
        );
      },
    }),
    row({
      name: "node.pending.pull",
      params: object({}),
      run: (_params, call) => ({ nodeId: idOf(call), actions: [] }),
    }),
    row({
      name: "node.pending.drain",
      params: object({ maxItems: optional(integer({ minimum: 1, maximum: 10 })) }),
      run: (params, call) => ({
        nodeId: idOf(call),
        ...nodes.work.drain(idOf(call), params.maxItems ?? 10),
      }),
    }),
    row({
      name: "node.pending.ack",
      params: object({ ids: array(name, { minItems: 1, maxItems: 100 }) }),
      run: (params, call) => ({ nodeId: idOf(call), ...nodes.work.acknowledge(idOf(call), params.ids) }),
    }),
    row({ name: "skills.bins", params: object({}), run: () => ({ bins: [] }) }),
  ];
}

const outcomes = {
  stats: { handled: true, reason: "updated" },
  alive: { handled: true, reason: "persisted" },
  exec: { handled: true },
  invalid: { handled: false, reason: "invalid_payload" },
  unsupported: { handled: false, reason: "unsupported_event" },
  unmatched: { handled: false, reason: "unmatched_exec_event" },
} as const;

/** A node always has a device; what has none is let in as no node. */
function idOf(call: Call): string {
  return call.principal.deviceId ?? "";
}

function taken(isTaken: boolean) {
  return isTaken ? { ok: true } : { ok: true, ignored: true };
}
