import { maxPictures, maxPicturesBytes } from "../kernel/mod.ts";
import type { ModelMessage } from "./model.ts";

type Result = Extract<ModelMessage, { role: "tool" }>;

/**
 * Takes pictures out of the oldest results once a run has been shown too many: down to half of what is allowed, so that
 * the next ones leave what a provider keeps of the conversation as it is. The newest stay.
 */
export function boundPictures(messages: ModelMessage[]): void {
  const results = pictureResults(messages);
  let count = results.reduce((sum, [, { pictures = [] }]) => sum + pictures.length, 0);
  let bytes = results.reduce((sum, [, result]) => sum + bytesOf(result), 0);
  if (count <= maxPictures && bytes <= maxPicturesBytes) return;
  for (const [index, result] of results.slice(0, -1)) {
    if (count <= maxPictures / 2 && bytes <= maxPicturesBytes / 2) return;
    messages[index] = textAlone(result);
    count -= result.pictures?.length ?? 0;
    bytes -= bytesOf(result);
  }
}

/** Leaves the texts of all results; false when there was nothing to take out. */
export function withoutToolPictures(messages: ModelMessage[]): boolean {
  const results = pictureResults(messages);
  for (const [index, result] of results)
    messages[index] = { ...textAlone(result), text: `${result.text}\n[This model took no picture.]` };
  return results.length > 0;
}

function pictureResults(messages: readonly ModelMessage[]): readonly (readonly [number, Result])[] {
  return [...messages.entries()].filter(
    (entry): entry is [number, Result] => entry[1].role === "tool" && (entry[1].pictures?.length ?? 0) > 0,
  );
}

function textAlone({ pictures: _, ...result }: Result): Result {
  return result;
}

function bytesOf({ pictures = [] }: Result): number {
  return pictures.reduce((sum, { base64 }) => sum + (base64.length * 3) / 4, 0);
}
