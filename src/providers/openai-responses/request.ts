import type { ImagePart, ModelRequest } from "../../agent/model.ts";
import { type CallIdRule, dataUrl, parametersOf, type SoundMessage, soundMessages } from "../conversation.ts";

const callIds: CallIdRule = { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: 64 };
/** The least that the API takes as max_output_tokens. */
const minOutputTokens = 16;

/** The body of POST /responses. */
export function encodeRequest(request: ModelRequest): object {
  return {
    model: request.model,
    ...(request.system.trim() === "" ? {} : { instructions: request.system }),
    input: soundMessages(request.messages, { callIds }).flatMap(encodeMessage),
    stream: true,
    // Otherwise the provider keeps the conversation for a month.
    store: false,
    max_output_tokens: Math.max(minOutputTokens, request.maxOutputTokens),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            type: "function",
            name: tool.name,
            description: tool.description,
            parameters: parametersOf(tool),
            // Strict mode refuses schemas with optional members.
            strict: false,
          })),
        }),
  };
}

function encodeMessage(message: SoundMessage): readonly object[] {
  switch (message.role) {
    case "user":
      return [
        {
          role: "user",
          content: message.content.map((part) =>
            part.type === "text" ? inputText(part.text) : inputImage(part),
          ),
        },
      ];
    case "assistant":
      return [
        ...(message.text === "" ? [] : [{ role: "assistant", content: message.text }]),
        ...message.calls.map((call) => ({
          type: "function_call",
          call_id: call.id,
          name: call.name,
          arguments: JSON.stringify(call.arguments),
        })),
      ];
    case "tool":
      return [
        {
          type: "function_call_output",
          call_id: message.callId,
          // Servers without vision know only the plain form.
          output:
            message.pictures.length === 0
              ? message.text
              : [inputText(message.text), ...message.pictures.map(inputImage)],
        },
      ];
  }
}

function inputText(text: string): object {
  return { type: "input_text", text };
}

function inputImage(picture: ImagePart): object {
  return { type: "input_image", image_url: dataUrl(picture), detail: "auto" };
}
