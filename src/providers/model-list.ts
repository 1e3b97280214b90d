import type { ModelInfo } from "../agent/model.ts";
import { count, fields, list, text } from "./fields.ts";

/** The names that providers give to the size of a model's window, in tokens. */
const windowNames = [
  "context_window",
  "context_length",
  "max_model_len",
  "max_context_length",
  "max_input_tokens",
];

/** Reads GET /models: {data: [...]}, or the bare list that some compatible servers send. Entries without an id are left out. */
export function readModelList(document: unknown): readonly ModelInfo[] {
  const entries = Array.isArray(document) ? document : list(fields(document).data);
  return entries.flatMap((entry) => {
    const model = fields(entry);
    const id = text(model.id).replace(/^models\//, "");
    if (id === "") return [];
    const window = windowNames.map((name) => count(model[name])).find((size) => size > 0);
    return [window === undefined ? { id } : { id, contextWindow: window }];
  });
}
