import type { ModelRequest } from "../../agent/model.ts";
import { dataUrl, parametersOf, type SoundMessage, soundMessages } from "../conversation.ts";
import type { Quirks } from "./quirks.ts";

/** The body of POST /chat/completions. */
export function encodeRequest(request: ModelRequest, quirks: Quirks): object {
  const messages: object[] =
    request.system.trim() === "" ? [] : [{ role: "system", content: request.system }];
  for (const message of soundMessages(request.messages, quirks.callIds))
    messages.push(encodeMessage(message));
  return {
    model: request.model,
    messages,
    stream: true,
    ...(quirks.asksForUsage ? { stream_options: { include_usage: true } } : {}),
    [quirks.maxTokensField]: request.maxOutputTokens,
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    // An empty list is refused.
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            type: "function",
            function: { name: tool.name, description: tool.description, parameters: parametersOf(tool) },
          })),
        }),
  };
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
