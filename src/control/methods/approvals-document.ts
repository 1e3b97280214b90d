import { schema } from "../../kernel/mod.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { any, object, open, optional, record, string } = schema;

/** exec.approvals.get and set: the host's document of standing rules for commands. */
export function approvalsDocumentMethods(parts: ControlParts): Method[] {
  return [
    method({
      name: "exec.approvals.get",
      scope: "operator.admin",
      params: open(object({})),
      run: () => parts.approvalsDocument.get(),
    }),
    method({
      name: "exec.approvals.set",
      scope: "operator.admin",
      maxBytes: 4_194_304,
      params: open(object({ file: record(any()), baseHash: optional(string()) })),
      admin: (params) => ({
        action: "exec.approvals.set",
        facts: { agents: Object.keys((params.file.agents as object | undefined) ?? {}).length },
      }),
      run: (params) => parts.approvalsDocument.set(params.file, params.baseHash),
    }),
  ];
}
