import type { Principal } from "../../auth/mod.ts";
import { admitted } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpRequest, Route } from "../../network/mod.ts";
import { ApiProblem, apiError } from "./answers.ts";
import { type Door, unauthorized } from "./authenticate.ts";

/** A row of the API: all that must be known to let a request in. */
export interface OperatorRow {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The protocol's method that does the same: its row says which scope is needed. */
  readonly capability: string;
  /** True: the page asks for it too, with its cookie. */
  readonly forPage?: boolean;
  readonly isOn: () => boolean;
  readonly maxBodyBytes: () => number;
  readonly handle: (request: HttpRequest, caller: Principal) => Promise<HttpAnswer> | HttpAnswer;
}

/** The route of a row. The handler is called only with a caller who was proved and holds the scope. */
export function operatorRoute(row: OperatorRow, door: Door, isReady: () => boolean): Route {
  return {
    method: row.method,
    path: row.path,
    auth: "operator",
    has: row.isOn,
    get maxBodyBytes() {
      return row.maxBodyBytes();
    },
    before: async (head) => {
      if (!isReady()) return unavailable("The gateway is starting or stopping; try again in a moment.");
      return door.check(head, row.method, row.capability, row.forPage);
    },
    async handle(request) {
      const verdict = door.callerOf(request, row.forPage);
      if (!admitted(verdict)) return unauthorized(verdict.reason);
      try {
        return await row.handle(request, verdict.value);
      } catch (error) {
        if (error instanceof ApiProblem) return error.answer;
        throw error;
      }
    },
  };
}

export function unavailable(message: string): HttpAnswer {
  return apiError(503, "service_unavailable", message, { headers: { "retry-after": "1" } });
}
