/** [start, end) in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/** A word that a shell takes as it is: nothing in it expands, ends the command, or opens another. */
const plain = /[^\s"'`$;|&<>()\\{},]{1,8000}/y;
const maxWords = 8;
const maxQuotedChars = 2000;
/** Neither a secret nor hidden: references to one, files, options, and the words that stand for a value. */
const shown =
  /^(?:[-$@<%#].*|(?:pass|env|file|fd):.*|(?:~|\.{1,2})?\/[\w.~-]*(?:\/[\w.~-]*)*|[a-z]+:\/\/.*|\*+|\.{3}|…|true|false|null|none|undefined|string|number|boolean|required|optional|await|async|new)$/i;

/** A text, and what is found out of it at most once. */
export interface TextFacts {
  readonly text: string;
  readonly isJudged: boolean;
  /** True when a shell expands the variable of this name somewhere in it. */
  readonly expands: (name: string) => boolean;
  /**
   * The quote in which the one at `at` opens another, for a shell that reads the text from its beginning; "" where it
   * stands in none. Undefined where it opens none, or where that cannot be told: here-documents and comments take
   * quotes for nothing, and $'...' has escapes of its own.
   */
  readonly quoteAround: (at: number) => string | undefined;
  /** Where the outermost quotes that surely hold all from `from` to `to` begin. */
  readonly quotedFrom: (from: number, to: number) => number | undefined;
}

export function textFacts(text: string, isJudged: boolean): TextFacts {
  let names: ReadonlySet<string> | undefined;
  let openings: ReadonlyMap<number, Quoted> | undefined;
  let outermost: readonly (readonly [number, Quoted])[] | undefined;
  return {
    text,
    isJudged,
    expands(name) {
      names ??= new Set([...text.matchAll(/\$\{?(\w+)/g)].map((match) => match[1] as string));
      return names.has(name);
    },
    quoteAround(at) {
      // What is only read need not be a command at all, and has quotes as it likes.
      if (!isJudged) return "";
      openings ??= quoteOpenings(text);
      return openings.get(at)?.outer;
    },
    quotedFrom(from, to) {
      openings ??= quoteOpenings(text);
      outermost ??= [...openings].filter(([, { outer }]) => outer === "");
      const next = firstBehind(outermost, from);
      const [start, { end } = { end: 0 }] = outermost[next - 1] ?? [];
      return to <= end ? start : undefined;
    },
  };
}

function quoteOpenings(text: string): ReadonlyMap<number, Quoted> {
  const openings = new Map<number, Quoted>();
  const unclear = text.search(/<<|#|\$['"]/);
  addOpenings(openings, text, { from: 0, to: unclear === -1 ? text.length : unclear, outer: "" });
  return openings;
}

/** The index of the first that begins at `at` or later; they are in order. */
function firstBehind(quotes: readonly (readonly [number, Quoted])[], at: number): number {
  let low = 0;
  let high = quotes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((quotes[middle]?.[0] ?? at) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Quoted {
  /** The quote that it stands in; "": none. */
  readonly outer: string;
  readonly end: number;
}

interface Scope {
  readonly from: number;
  readonly to: number;
  /** The quote that it stands in; "": none. */
  readonly outer: string;
}

/** What is in quotes may be a command too (`sh -c '...'`), so quotes in it count where they open for such a shell. */
function addOpenings(openings: Map<number, Quoted>, text: string, { from, to, outer }: Scope): void {
  let open = "";
  let start = from;
  for (let at = from; at < to; at++) {
    const isEscape = text[at] === "\\" && open !== "'";
    if (isEscape) at += 1;
    const character = text[at] as string;
    if (isEscape && !(outer === '"' && character === '"')) continue;
    if (character === open) {
      openings.set(start, { outer, end: at });
      if (outer === "") addOpenings(openings, text, { from: start + 1, to: at, outer: open });
      open = "";
    } else if (open === "" && (character === '"' || character === "'")) {
      open = character;
      start = at;
    }
  }
}

/**
 * The secret that stands at `at`: a bare word of at least `minChars`, or what is in quotes there. Nothing that a shell
 * might run is ever taken for one, for what is hidden from whoever judges a command must not act; there, quotes
 * count only where they surely are quotes to the shell as well.
 */
export function valueAt(facts: TextFacts, at: number, minChars: number): readonly Span[] {
  const { text } = facts;
  const escaped = /^\\{0,3}/.exec(text.slice(at, at + 3))?.[0].length ?? 0;
  const quote = text[at + escaped];
  if (quote === '"' || quote === "'") return quoted(facts, at + escaped, quote);
  plain.lastIndex = at;
  const word = plain.exec(text)?.[0] ?? "";
  // A call, as in source code: password = ask().
  if (word.length < minChars || shown.test(word) || text[at + word.length] === "(") return [];
  return [[at, at + word.length]];
}

function quoted({ text, quoteAround }: TextFacts, at: number, quote: string): readonly Span[] {
  const inside = text.slice(at + 1, at + maxQuotedChars);
  const length = inside.indexOf(quote);
  if (length < 1) return [];
  const content = inside.slice(0, length).replace(/\\{1,3}$/, "");
  const around = quoteAround(at);
  if (around === undefined) return [];
  if (/^[^"'`$;|&<>()\\\n{}]*$/.test(content)) return words(content, at + 1);
  const isInert = quote === "'" ? !content.includes("\n") : !/[`$\\\n]/.test(content);
  return isInert && around === "" ? [[at + 1, at + 1 + content.length]] : [];
}

function words(content: string, at: number): readonly Span[] {
  const found = [...content.matchAll(/\S+/g)];
  if (found.length > maxWords || found.some(({ 0: word }) => shown.test(word))) return [];
  return found.map(({ index, 0: word }) => [at + index, at + index + word.length] as const);
}
