/** How far from the limit a good place to cut may lie, as a part of it: shorter pieces than this look torn. */
const shortestPart = 0.5;

/**
 * Cuts a text into pieces of at most `limit` UTF-16 units, in order; none is empty, and a text of white space gives
 * none. It cuts, in this order of preference, between paragraphs, lines, sentences, words; never inside a surrogate
 * pair, and where it must cut a fenced code block it closes the fence and opens it again (with its language) in the
 * next piece. White space at a cut is dropped outside of code; everything else is kept.
 * Throws a RangeError for a limit below 16.
 */
export function chunkText(text: string, limit: number): string[] {
  if (!Number.isSafeInteger(limit) || limit < 16) throw new RangeError("chunkText: limit must be 16 or more");
  const chunks: string[] = [];
  let rest = text.trimEnd();
  while (rest.length > limit) {
    const cut = cutOf(rest, limit);
    if (cut.piece.trim() !== "") chunks.push(cut.piece);
    rest = cut.rest;
  }
  if (rest.trim() !== "") chunks.push(rest);
  return chunks;
}

interface Cut {
  readonly piece: string;
  readonly rest: string;
}

function cutOf(text: string, limit: number): Cut {
  const window = text.slice(0, limit);
  const fence = openFence(window);
  if (!fence) {
    const at = bestPlace(window, text);
    return { piece: window.slice(0, at).trimEnd(), rest: text.slice(at).replace(/^\s*?\n|^[ \t]+/, "") };
  }
  // The block begins late enough to leave it whole for the next piece.
  if (fence.start >= limit * shortestPart) {
    return { piece: text.slice(0, fence.start).trimEnd(), rest: text.slice(fence.start) };
  }
  const closing = `\n${fence.mark}`;
  const room = limit - closing.length;
  const inside = fence.bodyStart;
  // A fence line that fills the piece on its own cannot be repeated; it is cut like any other text.
  if (
    inside + closing.length >= limit * shortestPart ||
    fence.opening.length + closing.length >= limit * shortestPart
  ) {
    const at = wholeCharacters(text, limit);
    return { piece: text.slice(0, at), rest: text.slice(at) };
  }
  const newline = text.lastIndexOf("\n", room);
  const at = newline > inside + (room - inside) * shortestPart ? newline : wholeCharacters(text, room);
  const rest = text.slice(at).replace(/^\n/, "");
  // The block ends right at the cut: there is nothing left to open a fence for.
  const ends = new RegExp(`^ {0,3}${fence.mark.charAt(0)}{${fence.mark.length},}[ \\t]*(?:\\n|$)`).exec(
    rest,
  )?.[0];
  const piece = `${text.slice(0, at)}${closing}`;
  return { piece, rest: ends === undefined ? `${fence.opening}\n${rest}` : rest.slice(ends.length) };
}

interface Fence {
  readonly mark: string;
  /** The whole line that opens it. */
  readonly opening: string;
  readonly start: number;
  readonly bodyStart: number;
}

/** The fence that is still open at the end of `text`. */
function openFence(text: string): Fence | undefined {
  let open: Fence | undefined;
  let start = 0;
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && !open) open = { mark, opening: line, start, bodyStart: start + line.length + 1 };
    else if (mark && open && mark.startsWith(open.mark) && line.trim() === mark) open = undefined;
    start += line.length + 1;
  }
  return open;
}

/** Where to cut plain text: the last good place in its second half, or its end. */
function bestPlace(window: string, text: string): number {
  const least = Math.floor(window.length * shortestPart);
  // The first character behind the window decides whether its very end is a good place too.
  const view = text.slice(0, window.length + 1);
  for (const places of [/\n\s*\n/g, /\n/g, /[.!?…]["')\]]*\s/g, /\s/g]) {
    const at = lastEnd(view, places, least);
    if (at !== undefined) return Math.min(at, window.length);
  }
  return wholeCharacters(text, window.length);
}

function lastEnd(view: string, places: RegExp, least: number): number | undefined {
  let found: number | undefined;
  places.lastIndex = least;
  for (let match = places.exec(view); match; match = places.exec(view)) found = match.index + match[0].length;
  return found;
}

/** `at`, or one less where that would part a surrogate pair. */
function wholeCharacters(text: string, at: number): number {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
}
