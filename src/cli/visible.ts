/**
 * Text of others, made harmless for a terminal. A message, a file or a model can hold escape sequences that move
 * the cursor, hide what was printed, set the clipboard or answer for the user, and marks that reorder a line so
 * that a command reads as another one. None of them is ever sent raw: each shows as its code.
 */

/** Code points from..to. Controls but tab and newline, DEL, the C1 range, and marks that reorder or split a line. */
const harmful: readonly (readonly [number, number])[] = [
  [0x00, 0x08],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2066, 0x2069],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe0fff],
];

/** Besides: what would break a line, and what takes no room at all. */
const hidden: readonly (readonly [number, number])[] = [
  [0x09, 0x0a],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x115f, 0x1160],
  [0x180e, 0x180e],
  [0x200b, 0x200d],
  [0x2060, 0x2064],
  [0x3164, 0x3164],
  [0xffa0, 0xffa0],
];

const everything = [...harmful, ...hidden];

/** Text of nothing but printable ASCII, which is most of it, is looked at once. */
const plain = /^[ -~]*$/;

function replaced(
  text: string,
  ranges: readonly (readonly [number, number])[],
  by: (character: string) => string,
): string {
  if (plain.test(text)) return text;
  let out = "";
  for (const character of text.toWellFormed()) {
    const point = character.codePointAt(0) ?? 0;
    out += ranges.some(([from, to]) => point >= from && point <= to) ? by(character) : character;
  }
  return out;
}

/** Lines of text: newlines stay, a tab becomes two spaces, everything that is not shown becomes its code. */
export function visibleText(text: string): string {
  return replaced(text.replaceAll("\r\n", "\n").replaceAll("\t", "  "), harmful, code);
}

/** One line, exact: nothing that is there can be overlooked. For commands, paths, names and ids. */
export function visibleLine(text: string): string {
  return replaced(text, everything, code);
}

function code(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x100) return `\\x${point.toString(16).padStart(2, "0")}`;
  return point < 0x10000 ? `\\u${point.toString(16).padStart(4, "0")}` : `\\u{${point.toString(16)}}`;
}

/** JSON for a pipe or a terminal: the same value, with the characters that a terminal obeys written as \u. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, null, 2) ?? "null";
  return replaced(text, harmful, (character) =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** Columns that a text takes in a terminal: two for East Asian wide characters and emoji, none for marks. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfPoint(character.codePointAt(0) ?? 0);
  return width;
}

function widthOfPoint(point: number): number {
  if (point < 0x300) return 1;
  const isMark =
    (point >= 0x300 && point <= 0x36f) ||
    (point >= 0x200b && point <= 0x200d) ||
    (point >= 0xfe00 && point <= 0xfe0f) ||
    (point >= 0x20d0 && point <= 0x20ff);
  if (isMark) return 0;
  const isWide =
    (point >= 0x1100 && point <= 0x115f) ||
    (point >= 0x2e80 && point <= 0xa4cf) ||
    (point >= 0xac00 && point <= 0xd7a3) ||
    (point >= 0xf900 && point <= 0xfaff) ||
    (point >= 0xfe30 && point <= 0xfe6f) ||
    (point >= 0xff00 && point <= 0xff60) ||
    (point >= 0xffe0 && point <= 0xffe6) ||
    (point >= 0x1f300 && point <= 0x1faff) ||
    (point >= 0x20000 && point <= 0x3fffd);
  return isWide ? 2 : 1;
}

/** At most `width` columns; what was cut off shows as an ellipsis. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let out = "";
  let used = 0;
  for (const character of text) {
    const next = widthOf(character);
    if (used + next > width - 1) break;
    out += character;
    used += next;
  }
  return `${out}…`;
}
