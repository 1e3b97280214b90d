/** The last `maxChars` of a stream of text, whatever came before. Memory stays under twice that. */
export class OutputTail {
  readonly #maxChars: number;
  #text = "";
  #dropped = 0;
  #polled = 0;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  add(text: string): void {
    this.#text += text;
    if (this.#text.length > this.#maxChars * 2) this.#trim();
  }

  read(): { readonly text: string; readonly droppedChars: number } {
    this.#trim();
    return { text: this.#text, droppedChars: this.#dropped };
  }

  /** What came since the last poll; begins with a note when part of that was dropped already. */
  poll(): string {
    this.#trim();
    const lost = Math.max(0, this.#dropped - this.#polled);
    const fresh = this.#text.slice(Math.max(0, this.#polled - this.#dropped));
    this.#polled = this.#dropped + this.#text.length;
    return lost > 0 ? `[${lost} characters dropped]\n${fresh}` : fresh;
  }

  #trim(): void {
    let excess = this.#text.length - this.#maxChars;
    if (excess <= 0) return;
    // Never leaves half of a surrogate pair at the front.
    if (/^[\udc00-\udfff]/.test(this.#text.slice(excess, excess + 1))) excess += 1;
    this.#text = this.#text.slice(excess);
    this.#dropped += excess;
  }
}
