import type { EndReason } from "../../../src/agent/model.ts";
import type { Step } from "./steps.ts";

export const wires = ["openai-completions", "openai-responses", "anthropic-messages"] as const;
export type Wire = (typeof wires)[number];

/** Writes one answer in the shapes that the real service was seen to send. */
export interface Encoder {
  begin(): string;
  step(step: Step): string;
  end(reason: EndReason): string;
}

type Usage = Extract<Step, { usage: unknown }>["usage"];
type Call = Extract<Step, { call: unknown }>["call"];

export function encoderFor(wire: Wire, model: string): Encoder {
  if (wire === "openai-completions") return completions(model);
  return wire === "openai-responses" ? responses(model) : messages(model);
}

function pieces({ arguments: text, fragments = 3 }: Call): readonly string[] {
  const size = Math.max(1, Math.ceil(text.length / fragments));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
    text.slice(n * size, (n + 1) * size),
  );
}

function completions(model: string): Encoder {
  let calls = 0;
  let usage: Usage | undefined;
  const chunk = (delta: object, finish: string | null = null) =>
    data({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1_700_000_000,
      model,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    });
  return {
    begin: () => chunk({ role: "assistant", content: "", refusal: null }),
    step(step) {
      if ("text" in step) return chunk({ content: step.text });
      if ("thinking" in step) return chunk({ reasoning_content: step.thinking });
      if ("refusal" in step) return chunk({ refusal: step.refusal });
      if ("error" in step) return data({ error: { ...step.error, type: step.error.code } });
      if ("usage" in step) usage = step.usage;
      if (!("call" in step)) return "";
      const index = calls++;
      const { name, id = `call_${calls}` } = step.call;
      const first = { index, id, type: "function", function: { name, arguments: "" } };
      const rest = pieces(step.call).map((piece) => ({ index, function: { arguments: piece } }));
      return [first, ...rest].map((fragment) => chunk({ tool_calls: [fragment] })).join("");
    },
    end(reason) {
      const finish = { stop: "stop", length: "length", toolUse: "tool_calls", refusal: "content_filter" }[
        reason
      ];
      const counted =
        usage === undefined
          ? ""
          : data({
              id: "chatcmpl-1",
              object: "chat.completion.chunk",
              created: 1_700_000_000,
              model,
              choices: [],
              usage: {
                prompt_tokens: usage.input + (usage.cacheRead ?? 0),
                completion_tokens: usage.output,
                total_tokens: usage.input + (usage.cacheRead ?? 0) + usage.output,
                prompt_tokens_details: { cached_tokens: usage.cacheRead ?? 0, audio_tokens: 0 },
              },
            });
      return `${chunk({}, finish)}${counted}data: [DONE]\n\n`;
    },
  };
}

function responses(model: string): Encoder {
  let sequence = 0;
  let items = 0;
  let calls = 0;
  let usage: Usage | undefined;
  const event = (type: string, fields: object) =>
    named(type, { type, sequence_number: sequence++, ...fields });
  const response = (status: string, more: object) => ({
    response: {
      id: "resp_1",
      object: "response",
      model,
      status,
      error: null,
      incomplete_details: null,
      ...more,
    },
  });
  const item = (type: string) => ({ output_index: items++, item_id: `${type}_${items}` });
  return {
    begin: () => event("response.created", response("in_progress", { output: [], usage: null })),
    step(step) {
      if ("text" in step) {
        return event("response.output_text.delta", { ...item("msg"), content_index: 0, delta: step.text });
      }
      if ("thinking" in step) {
        return event("response.reasoning_summary_text.delta", { ...item("rs"), delta: step.thinking });
      }
      if ("refusal" in step) return event("response.refusal.delta", { ...item("msg"), delta: step.refusal });
      if ("error" in step) return event("error", { ...step.error, param: null });
      if ("usage" in step) usage = step.usage;
      if (!("call" in step)) return "";
      calls++;
      const { output_index, item_id } = item("fc");
      const { name, id = `call_${calls}`, arguments: whole } = step.call;
      const opened = { type: "function_call", id: item_id, call_id: id, name };
      return [
        event("response.output_item.added", {
          output_index,
          item: { ...opened, status: "in_progress", arguments: "" },
        }),
        ...pieces(step.call).map((delta) =>
          event("response.function_call_arguments.delta", { item_id, output_index, delta }),
        ),
        event("response.function_call_arguments.done", { item_id, output_index, arguments: whole }),
        event("response.output_item.done", {
          output_index,
          item: { ...opened, status: "completed", arguments: whole },
        }),
      ].join("");
    },
    end(reason) {
      const counted = {
        usage: usage && {
          input_tokens: usage.input + (usage.cacheRead ?? 0),
          input_tokens_details: { cached_tokens: usage.cacheRead ?? 0 },
          output_tokens: usage.output,
          output_tokens_details: { reasoning_tokens: 0 },
        },
      };
      const cutBy = { length: "max_output_tokens", refusal: "content_filter", stop: "", toolUse: "" }[reason];
      if (cutBy === "") return event("response.completed", response("completed", counted));
      return event(
        "response.incomplete",
        response("incomplete", { ...counted, incomplete_details: { reason: cutBy } }),
      );
    },
  };
}

function messages(model: string): Encoder {
  let index = 0;
  let calls = 0;
  let usage: Usage = { input: 0, output: 0 };
  const event = (type: string, fields: object) => named(type, { type, ...fields });
  const block = (content: object, deltas: readonly object[]) => {
    const at = index++;
    return [
      event("content_block_start", { index: at, content_block: content }),
      ...deltas.map((delta) => event("content_block_delta", { index: at, delta })),
      event("content_block_stop", { index: at }),
    ].join("");
  };
  return {
    begin: () =>
      event("message_start", {
        message: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 0, output_tokens: 1 },
        },
      }) + event("ping", {}),
    step(step) {
      if ("text" in step || "refusal" in step) {
        const said = "text" in step ? step.text : step.refusal;
        return block({ type: "text", text: "" }, [{ type: "text_delta", text: said }]);
      }
      if ("thinking" in step) {
        const deltas = [
          { type: "thinking_delta", thinking: step.thinking },
          { type: "signature_delta", signature: "c2ln" },
        ];
        return block({ type: "thinking", thinking: "", signature: "" }, deltas);
      }
      if ("error" in step)
        return event("error", { error: { type: step.error.code, message: step.error.message } });
      if ("usage" in step) usage = step.usage;
      if (!("call" in step)) return "";
      calls++;
      const { name, id = `call_${calls}` } = step.call;
      const deltas = pieces(step.call).map((piece) => ({ type: "input_json_delta", partial_json: piece }));
      return block({ type: "tool_use", id, name, input: {} }, deltas);
    },
    end(reason) {
      const stop = { stop: "end_turn", length: "max_tokens", toolUse: "tool_use", refusal: "refusal" }[
        reason
      ];
      return (
        event("message_delta", {
          delta: { stop_reason: stop, stop_sequence: null },
          usage: {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cache_read_input_tokens: usage.cacheRead ?? 0,
            cache_creation_input_tokens: usage.cacheWrite ?? 0,
          },
        }) + event("message_stop", {})
      );
    },
  };
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function named(name: string, value: object): string {
  return `event: ${name}\n${data(value)}`;
}
