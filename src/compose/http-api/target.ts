import type { Principal } from "../../auth/mod.ts";
import type { HttpHead } from "../../network/mod.ts";
import { keyPart, parseSessionKey, resolveSessionKey, type SessionSettings } from "../../session/mod.ts";
import { ApiProblem, apiError, badRequest } from "./answers.ts";

/** Words that a session key may not begin with when a caller chose it: what they name is ours to start. */
const reservedSessions = /^(?:subagent|cron|acp):/i;

/**
 * The agent that `model` and the header name. `openclaw` and `openclaw/default` are the default agent,
 * `openclaw/<id>`, `openclaw:<id>` and `agent:<id>` that one. Two different names are a 400, like an unknown one:
 * never a silent default (attack A-245).
 */
export function agentOf(model: string, header: string | undefined, settings: SessionSettings): string {
  const named = /^(?:openclaw[/:]|agent:)(.+)$/.exec(model)?.[1];
  if (model !== "openclaw" && named === undefined) {
    throw badRequest(
      `There is no model ${JSON.stringify(model.slice(0, 100))} here. Use "openclaw", or "openclaw/<agentId>"; GET /v1/models lists them.`,
      "model",
      "model_not_found",
    );
  }
  const fromModel = named === "default" ? undefined : named;
  if (fromModel !== undefined && header !== undefined && fromModel !== header) {
    throw badRequest("`model` and x-openclaw-agent-id name different agents.", "model");
  }
  return knownAgent(fromModel ?? header, settings);
}

export function knownAgent(named: string | undefined, settings: SessionSettings): string {
  const agentId = named ?? settings.defaultAgentId;
  if (!settings.agentIds.includes(agentId)) {
    throw badRequest(
      `There is no agent ${JSON.stringify(agentId.slice(0, 100))}. GET /v1/models lists them.`,
      "model",
      "model_not_found",
    );
  }
  return agentId;
}

/** True when a caller may say in which session it speaks: owners, unless it is turned off; others only when turned on. */
export function mayNameSession(caller: Principal, override: boolean | undefined): boolean {
  return override ?? caller.isOwner;
}

/** The whole key of a session that a caller named, in this agent. */
export function namedSession(named: string, agentId: string, param: string): string {
  const key = resolveSessionKey(named, agentId);
  const parsed = key === undefined ? undefined : parseSessionKey(key);
  if (key === undefined || parsed === undefined) throw badRequest("The session key is not one.", param);
  if (parsed.agentId !== agentId) {
    throw badRequest(`The session key belongs to the agent ${parsed.agentId}, not to ${agentId}.`, param);
  }
  if (reservedSessions.test(parsed.rest)) {
    throw badRequest("Session keys of subagents, cron jobs and ACP cannot be used from here.", param);
  }
  return key;
}

export interface ApiSession {
  readonly key: string;
  /** False: made for this request alone. */
  readonly kept: boolean;
}

/** The session of a /v1 request: named, derived from `user`, or one of its own. */
export function apiSession(input: {
  readonly head: HttpHead;
  readonly caller: Principal;
  readonly agentId: string;
  readonly user: string | undefined;
  /** "openai", "openresponses": keeps the two wires' sessions apart. */
  readonly family: string;
  readonly requestId: string;
  readonly override: boolean | undefined;
}): ApiSession {
  const { agentId, family, user } = input;
  const named = input.head.headers["x-openclaw-session-key"];
  if (named !== undefined && named !== "") {
    if (!mayNameSession(input.caller, input.override)) {
      throw new ApiProblem(
        apiError(
          403,
          "forbidden",
          "Naming a session is turned off here (gateway.http.allowSessionKeyOverride).",
        ),
      );
    }
    return { key: namedSession(named, agentId, "x-openclaw-session-key"), kept: true };
  }
  if (user !== undefined && user !== "") {
    // A token's users are its own: the same word from somebody else leads to another conversation.
    const whose = input.caller.method === "api-token" ? `${keyPart(input.caller.id)}:` : "";
    const key = `agent:${agentId}:${family}-user:${whose}${keyPart(user)}`;
    if (!parseSessionKey(key)) throw badRequest("`user` is too long.", "user");
    return { key, kept: true };
  }
  return { key: `agent:${agentId}:${family}:${input.requestId}`, kept: false };
}
