const maxPendingMarks = 16;

/**
 * Builds markdown from a stream of text and marks, in one pass: blanks collapse, breaks are made only before more
 * text, and a mark around nothing leaves no trace. Stops at `maxChars`, and says so.
 */
export class MarkdownWriter {
  readonly #maxChars: number;
  readonly #parts: string[] = [];
  #length = 0;
  #breaks = 0;
  #space = false;
  #pending: string[] = [];
  #quoteDepth = 0;
  #indent = 0;
  #marker = "";
  #atLineStart = true;
  isFull = false;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  get length(): number {
    return this.#length;
  }

  toString(): string {
    return this.#parts.join("").trimEnd();
  }

  /** At least so many line ends before what comes next (1: a new line, 2: a blank line). */
  break(count: 1 | 2): void {
    this.#breaks = Math.max(this.#breaks, count);
    this.#space = false;
  }

  /** Text whose blanks mean nothing. */
  text(data: string): void {
    const flat = data.replace(/[\s\u00a0]+/g, " ");
    if (flat === "" || this.isFull) return;
    if (flat === " ") {
      this.#space = true;
      return;
    }
    if (flat.startsWith(" ")) this.#space = true;
    this.raw(flat.trim());
    this.#space = flat.endsWith(" ");
  }

  /** Text whose blanks and line ends are kept. */
  preformatted(data: string): void {
    const [first = "", ...rest] = data.split(/\r?\n/);
    if (first !== "") this.raw(first);
    for (const line of rest) {
      this.#breaks += 1;
      this.#breaks = Math.min(this.#breaks, 4);
      if (line !== "") this.raw(line);
    }
  }

  /** A mark that opens; it is only written with the text that follows. */
  open(mark: string): void {
    if (this.#space && this.#pending.length === 0) this.#pending.push(" ");
    this.#space = false;
    // Marks nested deeper than anybody writes are kept as nothing, so that close still finds its place.
    this.#pending.push(this.#pending.length < maxPendingMarks ? mark : "");
  }

  /** Closes the last mark that was opened, or forgets it when nothing came in between. */
  close(mark: string): void {
    if (this.#pending.length > 0) {
      this.#pending.pop();
      if (this.#pending.length === 1 && this.#pending[0] === " ") {
        this.#pending = [];
        this.#space = true;
      }
      return;
    }
    this.#append(mark);
  }

  item(marker: string): void {
    this.break(1);
    this.#marker = marker;
  }

  indent(by: 1 | -1): void {
    this.#indent = Math.max(0, this.#indent + by);
  }

  quote(by: 1 | -1): void {
    this.break(2);
    this.#quoteDepth = Math.max(0, this.#quoteDepth + by);
  }

  /** Written as it is, after the breaks and marks that wait. */
  raw(text: string): void {
    if (this.isFull) return;
    const prefix = "> ".repeat(Math.min(this.#quoteDepth, 8));
    if (this.#length > 0 && this.#breaks > 0) {
      this.#append(`\n${prefix}`.repeat(this.#breaks - 1));
      this.#append(`\n${prefix}`);
      this.#atLineStart = true;
    } else if (this.#length === 0) this.#append(prefix);
    if (this.#atLineStart) {
      const depth = Math.min(Math.max(0, this.#indent - 1), 8);
      this.#append("  ".repeat(depth) + this.#marker);
      this.#marker = "";
      if (this.#pending[0] === " ") this.#pending.shift();
    } else if (this.#space) this.#append(" ");
    this.#append(this.#pending.join("") + text);
    this.#pending = [];
    this.#breaks = 0;
    this.#space = false;
    this.#atLineStart = false;
  }

  #append(text: string): void {
    const room = this.#maxChars - this.#length;
    const kept = text.length > room ? text.slice(0, room) : text;
    if (kept.length < text.length) this.isFull = true;
    this.#parts.push(kept);
    this.#length += kept.length;
  }
}
