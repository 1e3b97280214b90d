import { schema } from "../../kernel/mod.ts";
import type { Nodes } from "../../nodes/mod.ts";
import { MethodError, unavailable } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import { answered } from "./nodes.ts";

const { any, object, open, optional, record, string } = schema;

const nodeId = string({ minLength: 1, maxLength: 128 });
const timeoutMs = 15_000;

/** exec.approvals.node.get and set: a node's own rules for commands, asked of the node. */
export function nodeApprovalMethods({
  nodes,
  newKey,
}: {
  readonly nodes: Nodes;
  readonly newKey: () => string;
}): Method[] {
  async function relay(id: string, command: string, params: unknown, call: Call) {
    const paramsJSON = JSON.stringify(params);
    const owner = call.principal.id;
    const invoked = await nodes.invoke(id, {
      command,
      paramsJSON,
      timeoutMs,
      idempotencyKey: newKey(),
      owner,
    });
    const { payload } = answered(invoked, id, command);
    if (typeof payload !== "object" || payload === null)
      throw new MethodError(unavailable("the node answered with something else than its approvals"));
    return payload;
  }
  return [
    method({
      name: "exec.approvals.node.get",
      scope: "operator.admin",
      params: object({ nodeId }),
      run: (params, call) => relay(params.nodeId, "system.execApprovals.get", {}, call),
    }),
    method({
      name: "exec.approvals.node.set",
      maxBytes: 4_194_304,
      scope: "operator.admin",
      params: object({
        nodeId,
        file: optional(open(record(any()))),
        native: optional(any()),
        baseHash: optional(string({ minLength: 1, maxLength: 256 })),
      }),
      admin: (params) => ({ action: "exec.approvals.node.set", facts: { nodeId: params.nodeId } }),
      run: ({ nodeId: id, ...rest }, call) => relay(id, "system.execApprovals.set", rest, call),
    }),
  ];
}
