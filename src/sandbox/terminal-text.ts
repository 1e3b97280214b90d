/** The longest sequence that is waited for; what is longer is no sequence that a program means. */
const maxSequenceChars = 4096;

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
/** ECMA-48: strings (OSC, DCS, SOS, PM, APC) up to their terminator, control sequences (CSI), and the short ones. */
const sequence =
  /\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[ -/]*[0-OQ-WYZ\\`-~]/g;
/** One that has begun and may go on in the next piece. */
const begun = /(?:\u001b[\]PX^_][^\u0007\u001b]*\u001b?|(?:\u001b\[|\u009b)[0-?]*[ -/]*|\u001b[ -/]*)$/;
const pasteMode = /\u001b\[\?2004([hl])/g;
/** All that is left and prints nothing, but tabs, line ends, and what moves back in the line. */
const unprintable = /[\u0000-\u0007\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: as above

/**
 * A filter from what a terminal is sent to text that a model, a log and another terminal can take: sequences and
 * control characters are taken out, also those that come in pieces. Carriage returns and backspaces stay; see
 * {@link settledText}.
 */
export class TerminalText {
  #held = "";
  #takesPastes = false;

  /** The program has asked to be told what is pasted (mode 2004), so that it is not taken for typing. */
  get takesPastes(): boolean {
    return this.#takesPastes;
  }

  add(piece: string): string {
    const all = this.#held + piece;
    const mode = [...all.matchAll(pasteMode)].at(-1)?.[1];
    if (mode !== undefined) this.#takesPastes = mode === "h";
    const text = all.replace(sequence, "");
    const from = Math.max(0, text.length - maxSequenceChars);
    this.#held = begun.exec(text.slice(from))?.[0] ?? "";
    return text.slice(0, text.length - this.#held.length).replace(unprintable, "");
  }
}

/** Text as it stands on the screen at last: what a line was overwritten with, without what was there before. */
export function settledText(text: string): string {
  if (!/[\r\b]/.test(text)) return text;
  return text
    .split("\n")
    .map((line) => withoutErased(line.replace(/\r+$/, "").split("\r").at(-1) ?? ""))
    .join("\n");
}

function withoutErased(line: string): string {
  if (!line.includes("\b")) return line;
  const shown: string[] = [];
  for (const character of line) {
    if (character === "\b") shown.pop();
    else shown.push(character);
  }
  return shown.join("");
}
