import type { ModelRequest, ToolSpec } from "../../agent/model.ts";
import { conversationWriter, dataUrl, parametersOf, type SoundMessage } from "../conversation.ts";
import { jsonText, rememberedBy } from "../json-text.ts";
import type { Quirks } from "./quirks.ts";

/**
 * Writes the body of POST /chat/completions. Keep one per provider: it remembers how the messages of running
 * conversations are written.
 */
export function requestWriter(quirks: Quirks): (request: ModelRequest) => string {
  const rule = { callIds: quirks.callIds, resultsAreText: true } as const;
  const conversationJson = conversationWriter(rule, (message) => jsonText(encodeMessage(message)));
  const toolsJson = rememberedBy(encodeTools);
  return (request) => {
    const system =
      request.system.trim() === "" ? "" : `${jsonText({ role: "system", content: request.system })},`;
    const messages = conversationJson(request.messages);
    const head = jsonText({
      model: request.model,
      stream: true,
      ...(quirks.asksForUsage ? { stream_options: { include_usage: true } } : {}),
      [quirks.maxTokensField]: request.maxOutputTokens,
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    });
    // An empty list of tools is refused.
    const tools = request.tools.length === 0 ? "" : `,"tools":${toolsJson(request.tools)}`;
    return `${head.slice(0, -1)},"messages":[${system}${messages}]${tools}}`;
  };
}

/** The body as an object, for tests. */
export function encodeRequest(request: ModelRequest, quirks: Quirks): object {
  return JSON.parse(requestWriter(quirks)(request));
}

function encodeTools(tools: readonly ToolSpec[]): object {
  return tools.map((tool) => ({
    type: "function",
    function: { name: tool.name, description: tool.description, parameters: parametersOf(tool) },
  }));
}

function encodeMessage(message: SoundMessage): object {
  switch (message.role) {
    case "user": {
      const [first] = message.content;
      // Servers without vision know only the plain form.
      if (message.content.length === 1 && first?.type === "text")
        return { role: "user", content: first.text };
      return {
        role: "user",
        content: message.content.map((part) =>
          part.type === "text"
            ? { type: "text", text: part.text }
            : { type: "image_url", image_url: { url: dataUrl(part) } },
        ),
      };
    }
    case "assistant":
      return {
        role: "assistant",
        content: message.text === "" ? null : message.text,
        ...(message.calls.length === 0
          ? {}
          : {
              tool_calls: message.calls.map((call) => ({
                id: call.id,
                type: "function",
                function: { name: call.name, arguments: JSON.stringify(call.arguments) },
              })),
            }),
      };
    case "tool":
      return { role: "tool", tool_call_id: message.callId, content: message.text };
  }
}
