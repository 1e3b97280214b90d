import type { Scope } from "../../auth/mod.ts";
import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { object, open, string } = schema;

/** What clients ask at their start about subjects that do not exist here yet: the documented empty answers. */
export function taskMethods(parts: ControlParts): Method[] {
  const empty = (name: string, scope: Scope, answer: () => unknown) =>
    method({ name, scope, params: open(object({})), run: answer });
  const now = () => parts.clock.now();
  return [
    empty("tasks.list", "operator.read", () => ({ tasks: [] })),
    method({
      name: "tasks.get",
      scope: "operator.read",
      params: open(object({ taskId: string({ minLength: 1 }) })),
      run: (params): never => {
        throw new MethodError(invalid(`task not found: ${JSON.stringify(params.taskId)}`));
      },
    }),
    empty("taskSuggestions.list", "operator.read", () => ({ suggestions: [] })),
    empty("plugin.approval.list", "operator.approvals", () => []),
    empty("openclaw.approval.list", "operator.approvals", () => []),
    empty("exec.approval.grants.list", "operator.approvals", () => ({ grants: [] })),
    empty("sessions.groups.list", "operator.read", () => ({ groups: [] })),
    empty("users.list", "operator.read", () => ({ profiles: [] })),
    empty("usage.status", "operator.read", () => ({ updatedAt: now(), providers: [] })),
    empty("models.authStatus", "operator.read", () => ({
      ts: now(),
      providers: [],
      providerCapabilities: [],
    })),
  ];
}
