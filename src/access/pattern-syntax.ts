/** What a pattern says, read into a tree; pattern.ts makes it run. */

/** Longest pattern, and the most steps that one may be made of. */
export const maxStates = 500;
const maxRepeat = 100;

export type Accepts = (character: string) => boolean;
export type Assertion = "start" | "end" | "edge" | "inside";

export type Node =
  | { readonly kind: "one"; readonly accepts: Accepts }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "chain" | "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly least: number; readonly most: number };

/** What a pattern must not do: a phrase that follows "must not". */
export class PatternFault extends Error {}

/** Throws a {@link PatternFault} for what is not understood. */
export function parsePattern(source: string): Node {
  return new Parser(source.replace(/^\(\?i\)/, "")).parse();
}

class Parser {
  readonly #source: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = [...source];
  }

  parse(): Node {
    if (this.#source.length > maxStates) throw new PatternFault(`be longer than ${maxStates} characters`);
    const node = this.#choice();
    if (this.#peek() !== undefined) throw new PatternFault('have a ")" that closes nothing');
    return node;
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #take(expected: string): boolean {
    if (this.#peek() !== expected) return false;
    this.#at += 1;
    return true;
  }

  #choice(): Node {
    const parts = [this.#chain()];
    while (this.#take("|")) parts.push(this.#chain());
    return { kind: "choice", parts };
  }

  #chain(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      parts.push(this.#repeated(this.#atom(next)));
    }
    return { kind: "chain", parts };
  }

  #repeated(part: Node): Node {
    const counts = this.#counts();
    if (!counts) return part;
    this.#take("?");
    if (this.#counts()) throw new PatternFault("have two repetitions in a row");
    const [least, most] = counts;
    return { kind: "repeat", part, least, most };
  }

  #counts(): readonly [number, number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    if (this.#peek() !== "{") return undefined;
    const found = /^\{(\d{1,3})(,(\d{0,3}))?\}/.exec(this.#source.slice(this.#at, this.#at + 10).join(""));
    if (!found) throw new PatternFault('have a "{" that counts nothing; write "\\{" for the character');
    this.#at += found[0].length;
    const least = Number(found[1]);
    const most =
      found[2] === undefined ? least : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (most < least || Math.max(least, Number.isFinite(most) ? most : 0) > maxRepeat) {
      throw new PatternFault(`repeat more than ${maxRepeat} times, or fewer times than it begins with`);
    }
    return [least, most];
  }

  #atom(next: string): Node {
    this.#at += 1;
    switch (next) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "one", accepts: this.#set() };
      case ".":
        return { kind: "one", accepts: (character) => character !== "\n" };
      case "^":
        return { kind: "assert", what: "start" };
      case "$":
        return { kind: "assert", what: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternFault(`begin with "${next}", which repeats what stands before it`);
      default:
        return literal(next);
    }
  }

  #group(): Node {
    if (this.#take("?") && !this.#take(":")) {
      throw new PatternFault("look around or name groups: only ( ) and (?: ) are understood");
    }
    this.#depth += 1;
    if (this.#depth > 20) throw new PatternFault("nest groups more than 20 deep");
    const inner = this.#choice();
    if (!this.#take(")")) throw new PatternFault('have a "(" that is never closed');
    this.#depth -= 1;
    return inner;
  }

  #escape(): Node {
    const letter = this.#peek();
    if (letter === "b" || letter === "B") {
      this.#at += 1;
      return { kind: "assert", what: letter === "b" ? "edge" : "inside" };
    }
    return { kind: "one", accepts: this.#escaped() };
  }

  /** What stands behind a backslash: a class, or a character as it is. */
  #escaped(): Accepts {
    const letter = this.#peek();
    if (letter === undefined) throw new PatternFault('end with "\\"');
    this.#at += 1;
    const known = classes.get(letter);
    if (known) return known;
    if (/[A-Za-z0-9]/.test(letter)) throw new PatternFault(`have "\\${letter}", which is not understood`);
    return literal(letter).accepts;
  }

  #set(): Accepts {
    const isNegated = this.#take("^");
    const parts: Accepts[] = [];
    for (let next = this.#peek(); !(next === "]" && parts.length > 0); next = this.#peek()) {
      if (next === undefined) throw new PatternFault('have a "[" that is never closed');
      this.#at += 1;
      if (next === "\\") {
        parts.push(this.#escaped());
        continue;
      }
      const last = this.#source[this.#at + 1];
      if (this.#peek() === "-" && last !== undefined && last !== "]") {
        this.#at += 2;
        if (last === "\\" || last < next) throw new PatternFault(`have the range "${next}-${last}"`);
        parts.push(between(next, last));
      } else parts.push(literal(next).accepts);
    }
    this.#at += 1;
    return (character) => parts.some((accepts) => accepts(character)) !== isNegated;
  }
}

function literal(character: string): { readonly kind: "one"; readonly accepts: Accepts } {
  const folded = character.toLowerCase();
  return { kind: "one", accepts: (other) => other === folded };
}

/** Texts are folded to lower case before they are looked at. */
function between(first: string, last: string): Accepts {
  return (character) =>
    (first <= character && character <= last) ||
    (first <= character.toUpperCase() && character.toUpperCase() <= last);
}

export function isWord(character: string): boolean {
  return /[\p{L}\p{N}_]/u.test(character);
}

const isDigit: Accepts = (character) => character >= "0" && character <= "9";
const isSpace: Accepts = (character) => /\s/.test(character);
const not =
  (accepts: Accepts): Accepts =>
  (character) =>
    !accepts(character);

const classes: ReadonlyMap<string, Accepts> = new Map([
  ["d", isDigit],
  ["D", not(isDigit)],
  ["w", isWord],
  ["W", not(isWord)],
  ["s", isSpace],
  ["S", not(isSpace)],
  ["n", (character: string) => character === "\n"],
  ["t", (character: string) => character === "\t"],
]);
