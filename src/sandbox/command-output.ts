import type { OutputFile, OutputLines } from "./output-file.ts";
import { linesOf } from "./output-file.ts";
import { OutputTail } from "./output-tail.ts";
import { settledText, TerminalText } from "./terminal-text.ts";

/** What a command printed: its end in memory, and all of it, up to a limit, on the disk. */
export class CommandOutput {
  readonly #tail: OutputTail;
  readonly #file: OutputFile | undefined;
  readonly #terminal: TerminalText | undefined;

  constructor(
    maxChars: number,
    more: {
      readonly file?: OutputFile | undefined;
      /** It comes from a terminal: sequences that move the cursor or colour the text are taken out. */
      readonly isTerminal?: boolean;
    } = {},
  ) {
    this.#tail = new OutputTail(maxChars);
    this.#file = more.file;
    this.#terminal = more.isTerminal ? new TerminalText() : undefined;
  }

  add(text: string): void {
    const readable = this.#terminal ? this.#terminal.add(text) : text;
    if (readable === "") return;
    this.#tail.add(readable);
    this.#file?.add(readable);
  }

  read(): { readonly text: string; readonly droppedChars: number } {
    const { text, droppedChars } = this.#tail.read();
    return { text: this.#settled(text), droppedChars };
  }

  poll(): string {
    return this.#settled(this.#tail.poll());
  }

  /** What to write so that a program takes `text` as pasted. */
  pasted(text: string): string {
    // The mark of the end cannot be pasted itself: what follows it would be typed.
    return this.#terminal?.takesPastes ? `\u001b[200~${text.replaceAll("\u001b", "")}\u001b[201~` : text;
  }

  /** Numbered from 1. Without `offset`, the last ones. */
  async lines(offset: number | undefined, limit: number): Promise<OutputLines> {
    const page = await (this.#file
      ? this.#file.lines(offset, limit, this.#tail)
      : linesOf(this.#tail, offset, limit));
    return { ...page, lines: page.lines.map((line) => this.#settled(line)) };
  }

  /** No more comes. */
  close(): Promise<void> {
    return this.#file?.close() ?? Promise.resolve();
  }

  #settled(text: string): string {
    return this.#terminal ? settledText(text) : text;
  }
}
