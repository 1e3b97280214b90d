/**
 * A small regular expression language that cannot hang: matched by following all ways at once, so the time is at
 * most (length of the text) x (size of the pattern), whatever either holds (RE2's subset without captures).
 *
 * Literals, `.`, `[a-z]`, `[^...]`, `\d \w \s \D \W \S \b \B`, `^`, `$`, groups, `|`, `* + ? {m} {m,} {m,n}`.
 * Back references and look-around are refused: no matcher of bounded time has them. Letters' case is not told apart.
 */
export interface Pattern {
  /** True when it is found anywhere in the text's first {@link maxPatternTextChars} characters. */
  found(text: string): boolean;
}

/** UTF-16 units; platforms' own limits are mostly below. */
export const maxPatternTextChars = 4096;
const maxStates = 500;
const maxRepeat = 100;

type Accepts = (character: string) => boolean;
type Assertion = "start" | "end" | "edge" | "inside";

type Node =
  | { readonly kind: "one"; readonly accepts: Accepts }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "chain" | "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly least: number; readonly most: number };

/** A state of the machine; `next` and `other` are numbers of states. */
type State =
  | { readonly kind: "one"; readonly accepts: Accepts; next: number }
  | { readonly kind: "assert"; readonly what: Assertion; next: number }
  | { readonly kind: "split"; next: number; other: number }
  | { readonly kind: "found" };

/** A sentence about what is wrong, after "the pattern": "has ...". */
class PatternFault extends Error {}

/** Compiles a pattern, or says why it is refused (a sentence after "must not": never throws). */
export function compilePattern(source: string): { readonly pattern: Pattern } | { readonly problem: string } {
  try {
    const node = new Parser(source.replace(/^\(\?i\)/, "")).parse();
    const machine = build(node);
    return { pattern: { found: (text) => run(machine, text) } };
  } catch (error) {
    // Whatever stopped it: a pattern that was not compiled is refused.
    return { problem: (error as Error).message };
  }
}

/** A pattern for a name as people write it in a chat: whole words, "@" before it or not. */
export function namePattern(name: string): Pattern {
  const parts = [...name.toLowerCase()].map(
    (letter): Node => ({ kind: "one", accepts: (c) => c === letter }),
  );
  const edge = (beside: string | undefined): Node[] =>
    beside !== undefined && isWord(beside) ? [{ kind: "assert", what: "edge" }] : [];
  const letters = [...name];
  const node: Node = { kind: "chain", parts: [...edge(letters[0]), ...parts, ...edge(letters.at(-1))] };
  const machine = build(node);
  return { found: (text) => run(machine, text) };
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

function isWord(character: string): boolean {
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

/** The states of a machine that is in `found` once the node was read; the last one is where it starts. */
function build(node: Node): readonly State[] {
  const states: State[] = [{ kind: "found" }];
  const add = (state: State): number => {
    if (states.length > maxStates) throw new PatternFault(`be so large (more than ${maxStates} steps)`);
    return states.push(state) - 1;
  };
  /** Gives the state that reads `part` and goes on to `next`. */
  const place = (part: Node, next: number): number => {
    switch (part.kind) {
      case "one":
      case "assert":
        return add({ ...part, next });
      case "chain":
        return part.parts.reduceRight((after, item) => place(item, after), next);
      case "choice":
        return part.parts
          .map((item) => place(item, next))
          .reduceRight((other, first) => add({ kind: "split", next: first, other }));
      case "repeat": {
        let after = next;
        if (part.most === Number.POSITIVE_INFINITY) {
          const again = { kind: "split" as const, next: 0, other: next };
          after = add(again);
          again.next = place(part.part, after);
        } else {
          for (let count = part.least; count < part.most; count++) {
            after = add({ kind: "split", next: place(part.part, after), other: next });
          }
        }
        for (let count = 0; count < part.least; count++) after = place(part.part, after);
        return after;
      }
    }
  };
  const start = place(node, 0);
  // The start is the last state, so that nobody has to carry its number.
  states.push({ kind: "split", next: start, other: start });
  return states;
}

function run(states: readonly State[], text: string): boolean {
  const characters = [...text.slice(0, maxPatternTextChars).toLowerCase()];
  const start = states.length - 1;
  let current = new Set<number>();
  for (const [at, character] of characters.entries()) {
    follow(states, start, current, at, characters);
    if (current.has(0)) return true;
    const next = new Set<number>();
    for (const number of current) {
      const state = states[number] as State;
      if (state.kind !== "one" || !state.accepts(character)) continue;
      follow(states, state.next, next, at + 1, characters);
    }
    current = next;
  }
  follow(states, start, current, characters.length, characters);
  return current.has(0);
}

/** Adds a state and all that it leads to without reading a character. */
function follow(
  states: readonly State[],
  first: number,
  into: Set<number>,
  at: number,
  characters: readonly string[],
): void {
  const waiting = [first];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (into.has(number)) continue;
    into.add(number);
    const state = states[number] as State;
    if (state.kind === "split") waiting.push(state.next, state.other);
    else if (state.kind === "assert" && holds(state.what, at, characters)) waiting.push(state.next);
  }
}

function holds(what: Assertion, at: number, characters: readonly string[]): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === characters.length;
  const before = characters[at - 1];
  const after = characters[at];
  const isEdge = (before !== undefined && isWord(before)) !== (after !== undefined && isWord(after));
  return isEdge === (what === "edge");
}
