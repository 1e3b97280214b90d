import type { ImagePart, ModelRequest } from "../../agent/model.ts";
import { type CallIdRule, parametersOf, type SoundMessage, soundMessages } from "../conversation.ts";

const callIds: CallIdRule = { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: 64 };
/** Ends a prefix that the provider may keep for a few minutes; the next call of the turn reads it for a tenth. */
const cacheMark = { cache_control: { type: "ephemeral" } } as const;

/** The body of POST /v1/messages. */
export function encodeRequest(request: ModelRequest): object {
  const { system } = request;
  return {
    model: request.model,
    max_tokens: request.maxOutputTokens,
    stream: true,
    // The mark covers the tools as well: they stand before the system text.
    ...(system.trim() === "" ? {} : { system: [{ type: "text", text: system, ...cacheMark }] }),
    messages: encodeMessages(soundMessages(request.messages, { callIds })),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            name: tool.name,
            description: tool.description,
            input_schema: parametersOf(tool),
          })),
        }),
  };
}

interface Message {
  readonly role: "user" | "assistant";
  readonly content: object[];
}

/** Roles alternate: what follows under the same role joins the message before it, so all results of one answer are one message. */
function encodeMessages(messages: readonly SoundMessage[]): readonly Message[] {
  const out: Message[] = [];
  for (const message of messages) {
    const role = message.role === "assistant" ? "assistant" : "user";
    const last = out.at(-1);
    const blocks = encodeBlocks(message);
    if (last?.role === role) last.content.push(...blocks);
    else out.push({ role, content: blocks });
  }
  const content = out.at(-1)?.content;
  const block = content?.pop();
  if (content !== undefined && block !== undefined) content.push({ ...block, ...cacheMark });
  return out;
}

function encodeBlocks(message: SoundMessage): object[] {
  switch (message.role) {
    case "user":
      return message.content.map((part) =>
        part.type === "text" ? { type: "text", text: part.text } : imageBlock(part),
      );
    case "assistant":
      return [
        ...(message.text === "" ? [] : [{ type: "text", text: message.text }]),
        ...message.calls.map((call) => ({
          type: "tool_use",
          id: call.id,
          name: call.name,
          input: call.arguments,
        })),
      ];
    case "tool":
      return [
        {
          type: "tool_result",
          tool_use_id: message.callId,
          content:
            message.pictures.length === 0
              ? message.text
              : [{ type: "text", text: message.text }, ...message.pictures.map(imageBlock)],
          ...(message.isError ? { is_error: true } : {}),
        },
      ];
  }
}

function imageBlock({ mimeType, base64 }: ImagePart): object {
  return { type: "image", source: { type: "base64", media_type: mimeType, data: base64 } };
}
