import { withoutControls } from "./wire.ts";

/** More lines than this are drawn together, so that an answer does not fill the window for minutes. */
const maxLines = 25;
const bold = "\u0002";
const italic = "\u001d";

/**
 * The text as lines of at most `maxBytes` bytes of UTF-8. Markdown's emphasis becomes IRC's, the rest stays as it is
 * written; no control character of the text's own gets through.
 */
export function linesOf(text: string, maxBytes: number): readonly string[] {
  const written = text
    .split(/\r\n|[\r\n\u2028\u2029]/)
    .map((line) => styled(withoutControls(line).trimEnd()))
    .filter((line) => line.trim() !== "" && !/^\s*```\S*$/.test(line));
  const lines = written.flatMap((line) => pieces(line, maxBytes));
  return lines.length <= maxLines ? lines : pieces(written.join(" / "), maxBytes);
}

function styled(line: string): string {
  // In code the signs mean themselves.
  return line
    .split(/(`[^`]+`)/)
    .map((part, index) => (index % 2 === 1 ? part : emphasised(part)))
    .join("")
    .replace(/^#{1,6} +(.*)$/, (_, title: string) => bold + title.replaceAll(bold, "") + bold);
}

function emphasised(part: string): string {
  return part
    .replace(/\*\*(?=\S)([^*]+?)(?<=\S)\*\*/g, `${bold}$1${bold}`)
    .replace(/(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])/g, `${italic}$1${italic}`)
    .replace(/\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g, "$1 ($2)");
}

/** Cut between words where there are any, and never inside a character as people see it. */
function pieces(line: string, maxBytes: number): string[] {
  const found: string[] = [];
  let current = "";
  let bytes = 0;
  for (const { segment } of graphemes.segment(line)) {
    const size = Buffer.byteLength(segment);
    if (bytes + size > maxBytes && current !== "") {
      const space = current.lastIndexOf(" ");
      const cutAt = space > current.length / 2 ? space : current.length;
      found.push(current.slice(0, cutAt));
      current = current.slice(cutAt).trimStart();
      bytes = Buffer.byteLength(current);
    }
    // One "character" can be made of thousands of marks.
    if (size > maxBytes) continue;
    current += segment;
    bytes += size;
  }
  if (current.trim() !== "") found.push(current);
  return found;
}

const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });
