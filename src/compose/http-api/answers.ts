import type { HttpAnswer } from "../../network/mod.ts";

export const jsonType = { "content-type": "application/json; charset=utf-8" } as const;

export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return { status, headers: { ...jsonType, ...headers }, body: JSON.stringify(value) };
}

/** Ends a request with this answer. */
export class ApiProblem extends Error {
  readonly answer: HttpAnswer;
  constructor(answer: HttpAnswer) {
    super(`answered ${answer.status}`);
    this.name = "ApiProblem";
    this.answer = answer;
  }
}

interface ErrorFields {
  readonly param?: string;
  readonly code?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The error of the OpenAI wire: `{error: {message, type, param, code}}`. */
export function apiError(status: number, type: string, message: string, more: ErrorFields = {}): HttpAnswer {
  const { param = null, code = null, details, headers = {} } = more;
  return json(status, { error: { message, type, param, code, ...(details ? { details } : {}) } }, headers);
}

export function badRequest(message: string, param?: string, code?: string): ApiProblem {
  const fields = { ...(param === undefined ? {} : { param }), ...(code === undefined ? {} : { code }) };
  return new ApiProblem(apiError(400, "invalid_request_error", message, fields));
}

export function missingScope(scope: string): HttpAnswer {
  return apiError(403, "forbidden", `missing scope: ${scope}`, {
    code: "missing_scope",
    details: { code: "MISSING_SCOPE", missingScope: scope, requiredScopes: [scope] },
  });
}

/** A body as a JSON object; anything else is an ApiProblem 400. Text that is not UTF-8 is not JSON. */
export function jsonObject(body: Buffer): Readonly<Record<string, unknown>> {
  const value = parseJson(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("The body must be a JSON object.");
  }
  return value as Readonly<Record<string, unknown>>;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw badRequest("The body is not valid JSON.");
  }
}
