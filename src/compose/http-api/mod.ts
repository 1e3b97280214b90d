/**
 * The HTTP API: what programs reach without a WebSocket. OpenAI's two wires to an agent, single tool calls, and hooks.
 *
 * 1. Each way in has one row (method, path, credential, body limit), names the method of the protocol that does the
 *    same and asks for its scope, and no handler runs before its caller is proved.
 * 2. A caller is proved before a byte of its body is read; wrong secrets are counted, slowed and locked out.
 * 3. What is not configured is not there; a part of a request that is not supported is refused, never dropped.
 * 4. A message goes the way of every message (inbox, lane, record); an idempotency key is run once, restarts included.
 * 5. A client that goes away stops its run.
 * 6. A session or an agent that a caller names is checked, never guessed; the two must agree.
 * 7. A tool call passes policy and the sandbox; tools that run commands are never open to it.
 * 8. What a hook's caller wrote stands behind a fence; instructions come from the configuration only.
 * 9. A file of a reply is given to whoever may read its session, as the bytes that the reply was recorded with; to
 *    everybody else it is not there. No file runs as a page.
 */
import { mayUseAgent, type Principal } from "../../auth/mod.ts";
import type { OpenClawConfig } from "../../config/mod.ts";
import { chatFilePath } from "../../control/mod.ts";
import { InputError, type Reason, refuse, type Verdict } from "../../kernel/mod.ts";
import type { Route } from "../../network/mod.ts";
import { createDoor } from "./authenticate.ts";
import { chatCompletion } from "./chat-completions.ts";
import { hooksRoute } from "./hooks.ts";
import { listModels, oneModel } from "./model-list.ts";
import { operatorRoute } from "./operator-route.ts";
import type { ApiParts, InvokeTool, ToolCall, ToolResult } from "./parts.ts";
import { replyFile } from "./reply-file.ts";
import { response } from "./responses.ts";
import { createRunDesk } from "./run-desk.ts";
import { type ApiSettings, apiSettings } from "./settings.ts";
import { invokeOverHttp, openOverHttp } from "./tools-invoke.ts";

export { createToolInvoker, type ToolInvoker } from "./invoke-tool.ts";
export type { ApiParts, InvokeTool, ToolCall, ToolResult } from "./parts.ts";
export { createRunTap, type RunTap } from "./run-tap.ts";
export { apiSecrets } from "./settings.ts";

/** Tool calls over the WebSocket: what a request over HTTP may not name is not open here either. */
export function operatorToolCalls(
  invoke: InvokeTool,
  config: () => OpenClawConfig,
): (call: ToolCall & { readonly isOwner: boolean }) => Promise<Verdict<ToolResult>> {
  return async ({ isOwner, ...call }) =>
    openOverHttp(call.tool, apiSettings(config()).tools, isOwner)
      ? invoke(call, new AbortController().signal)
      : refuse("policy.tool_denied", call.tool);
}

const maxToolBodyBytes = 2 * 1024 * 1024;

/** The API's routes. Throws an InputError when the configuration asks for what is not available. */
export function apiRoutes(parts: ApiParts): Route[] {
  const settings = followSettings(parts);
  const startedAtMs = parts.clock.now();

  async function refused(reason: Reason, address: string, path: string): Promise<void> {
    await parts
      .commit([
        parts.ledger.append({
          stage: "auth",
          kind: "verdict",
          action: "refuse",
          outcome: reason,
          actor: address,
          facts: { path: path.slice(0, 100) },
        }),
      ])
      .catch((error: Error) =>
        parts.log("error", "a refusal could not be recorded", { error: error.message }),
      );
  }

  const door = createDoor({ ...parts, refused });
  const desk = createRunDesk(parts);
  const agentsOf = ({ limits }: Principal) =>
    parts.sessionSettings().agentIds.filter((id) => mayUseAgent(limits, id).ok);
  const modelsAreOn = () => settings().chatCompletions.enabled || settings().responses.enabled;

  return [
    operatorRoute(
      {
        method: "POST",
        path: "/v1/chat/completions",
        capability: "chat.send",
        isOn: () => settings().chatCompletions.enabled,
        maxBodyBytes: () => settings().chatCompletions.maxBodyBytes,
        handle: (request, caller) => chatCompletion(request, caller, parts, desk, settings()),
      },
      door,
      parts.isReady,
    ),
    operatorRoute(
      {
        method: "POST",
        path: "/v1/responses",
        capability: "chat.send",
        isOn: () => settings().responses.enabled,
        maxBodyBytes: () => settings().responses.maxBodyBytes,
        handle: (request, caller) => response(request, caller, parts, desk, settings()),
      },
      door,
      parts.isReady,
    ),
    operatorRoute(
      {
        method: "GET",
        path: "/v1/models",
        capability: "agents.list",
        isOn: modelsAreOn,
        maxBodyBytes: () => 0,
        handle: (_request, caller) => listModels(agentsOf(caller), startedAtMs),
      },
      door,
      parts.isReady,
    ),
    operatorRoute(
      {
        method: "GET",
        path: "/v1/models/*",
        capability: "agents.list",
        isOn: modelsAreOn,
        maxBodyBytes: () => 0,
        handle: (request, caller) => oneModel(request, agentsOf(caller), startedAtMs),
      },
      door,
      parts.isReady,
    ),
    operatorRoute(
      {
        method: "POST",
        path: "/tools/invoke",
        capability: "tools.invoke",
        isOn: () => true,
        maxBodyBytes: () => maxToolBodyBytes,
        handle: (request, caller) => invokeOverHttp(request, caller, parts, settings()),
      },
      door,
      parts.isReady,
    ),
    operatorRoute(
      {
        method: "GET",
        path: chatFilePath,
        capability: "chat.history",
        forPage: true,
        isOn: () => true,
        maxBodyBytes: () => 0,
        handle: (request, caller) => replyFile(request, caller, parts),
      },
      door,
      parts.isReady,
    ),
    hooksRoute(parts, settings, refused),
  ];
}

/** The settings of the config as it is now. One that cannot be had while running turns hooks off, and says why once. */
function followSettings(parts: ApiParts): () => ApiSettings {
  let config = parts.config();
  let settings = apiSettings(config);
  return () => {
    if (parts.config() === config) return settings;
    config = parts.config();
    try {
      settings = apiSettings(config);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      parts.log("error", "hooks are off until this is mended", { problem: error.message });
      settings = apiSettings({ ...config, hooks: { enabled: false } });
    }
    return settings;
  };
}
