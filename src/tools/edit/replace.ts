import { InputError } from "../../kernel/mod.ts";

export interface Edit {
  readonly oldText: string;
  readonly newText: string;
  readonly everywhere: boolean;
}

/**
 * The text after all edits, each made on what the one before left. Throws an InputError that names the edit which does
 * not match exactly once (or, `everywhere`, at least once).
 */
export function replaceAll(
  before: string,
  edits: readonly Edit[],
  path: string,
): { readonly text: string; readonly places: number; readonly firstLine: number } {
  let text = before;
  let places = 0;
  let firstAt = Number.POSITIVE_INFINITY;
  for (const [index, { oldText, newText, everywhere }] of edits.entries()) {
    const which = edits.length === 1 ? "oldText" : `edits[${index}].oldText`;
    if (oldText === newText)
      throw new InputError(`${which} and its newText are the same; there is nothing to change.`);
    if (!newText.isWellFormed()) throw new InputError(`The newText of ${which} holds broken characters.`);
    const at = text.indexOf(oldText);
    if (at < 0)
      throw new InputError(
        `${which} does not occur in ${JSON.stringify(path)}. It must match exactly, blanks and line ends included: read the file again.${lineEndHint(text, oldText)}`,
      );
    if (!everywhere && text.includes(oldText, at + 1))
      throw new InputError(
        `${which} occurs ${countOf(text, oldText)} times in ${JSON.stringify(path)}. Add lines around it until it is unique${edits.length === 1 ? ", or set replaceAll" : ""}.`,
      );
    firstAt = Math.min(firstAt, at);
    if (everywhere) {
      const parts = text.split(oldText);
      places += parts.length - 1;
      text = parts.join(newText);
    } else {
      places += 1;
      text = text.slice(0, at) + newText + text.slice(at + oldText.length);
    }
  }
  return { text, places, firstLine: text.slice(0, firstAt).split("\n").length };
}

/** Places that share letters count too: each of them could be meant. */
function countOf(text: string, wanted: string): number {
  let count = 0;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) count += 1;
  return count;
}

function lineEndHint(text: string, oldText: string): string {
  const isOther = text.includes("\r\n") && oldText.includes("\n") && !oldText.includes("\r\n");
  return isOther ? " The file ends its lines with CR LF." : "";
}
