/**
 * Text as pieces in which nothing is invisible.
 *
 * An approval is only worth something if the person sees what will run. Control characters, direction
 * overrides and zero-width characters can hide or reorder parts of a command, and look-alike letters can
 * imitate a known program or host.
 */
export interface Piece {
  /** What to show: the text itself, or for a hidden character its code point, such as "U+202E". */
  readonly shown: string;
  readonly hidden: boolean;
}

// Controls except line feed and tab, soft hyphen, joiners, marks and overrides of direction, invisible
// operators, blank letters, separators, odd spaces, private tags, lone surrogates.
const unseen =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]|[\p{Zs}--[ ]]/v;

// An emoji may be put together with joiners and selectors; as a whole it is plain to see.
const emojiOrUnseen = new RegExp(`(?<emoji>\\p{RGI_Emoji})|${unseen.source}`, "gv");

export function visiblePieces(source: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of source.matchAll(emojiOrUnseen)) {
    if (match[0] === "\n" || match[0] === "\t" || match.groups?.emoji !== undefined) continue;
    if (match.index > end) pieces.push({ shown: source.slice(end, match.index), hidden: false });
    pieces.push({ shown: codePointName(match[0]), hidden: true });
    end = match.index + match[0].length;
  }
  if (end < source.length) pieces.push({ shown: source.slice(end), hidden: false });
  return pieces;
}

/** The same as one string, with hidden characters in angle quotes. For attributes and titles. */
export function visibleLine(source: string): string {
  return visiblePieces(source.replaceAll(/\s+/g, " "))
    .map((piece) => (piece.hidden ? `‹${piece.shown}›` : piece.shown))
    .join("");
}

/** The letters outside ASCII, each once: "а" (Cyrillic) reads like "a". Empty when there are none. */
export function foreignLetters(source: string): string[] {
  return [...new Set(source.match(/[[\p{L}\p{N}]--\p{ASCII}]/gv) ?? [])];
}

export function codePointName(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
