import type { HttpAnswer, HttpRequest } from "../../network/mod.ts";
import { apiError, json } from "./answers.ts";

/** Agents under the names that clients use for models. */
export function modelIds(agentIds: readonly string[]): readonly string[] {
  return ["openclaw", "openclaw/default", ...agentIds.map((id) => `openclaw/${id}`)];
}

/** GET /v1/models. */
export function listModels(agentIds: readonly string[], startedAtMs: number): HttpAnswer {
  const data = [...new Set(modelIds(agentIds))].map((id) => model(id, startedAtMs));
  return json(200, { object: "list", data });
}

/**
 * GET /v1/models/{id}. The id may be percent-encoded once. A client that encodes a slash too is turned away by the
 * network layer (a path has one spelling); it can ask for `openclaw:<agentId>`.
 */
export function oneModel(request: HttpRequest, agentIds: readonly string[], startedAtMs: number): HttpAnswer {
  const id = decoded(request.path.slice("/v1/models/".length));
  const plain = id?.replace(/^(?:openclaw:|agent:)/, "openclaw/");
  if (id !== undefined && plain !== undefined && modelIds(agentIds).includes(plain))
    return json(200, model(id, startedAtMs));
  return apiError(404, "invalid_request_error", "There is no such model. GET /v1/models lists them.", {
    param: "model",
    code: "model_not_found",
  });
}

function model(id: string, startedAtMs: number) {
  return { id, object: "model", created: Math.floor(startedAtMs / 1000), owned_by: "openclaw" };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
