import {
  type Accepts,
  type Assertion,
  isWord,
  maxStates,
  type Node,
  PatternFault,
  parsePattern,
} from "./pattern-syntax.ts";

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

/** A state of the machine; `next` and `other` are numbers of states. */
type State =
  | { readonly kind: "one"; readonly accepts: Accepts; next: number }
  | { readonly kind: "assert"; readonly what: Assertion; next: number }
  | { readonly kind: "split"; next: number; other: number }
  | { readonly kind: "found" };

/** Compiles a pattern, or says why it is refused (a sentence after "must not": never throws). */
export function compilePattern(source: string): { readonly pattern: Pattern } | { readonly problem: string } {
  try {
    const node = parsePattern(source);
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
  // Where each state was reached last: what has been reached at a place is not followed there again.
  const reachedAt = new Int32Array(states.length).fill(-1);
  let current: Reading[] = [];
  for (const [at, character] of characters.entries()) {
    follow(states, start, current, reachedAt, at, characters);
    if (reachedAt[0] === at) return true;
    const next: Reading[] = [];
    for (const state of current) {
      if (state.accepts(character)) follow(states, state.next, next, reachedAt, at + 1, characters);
    }
    current = next;
  }
  follow(states, start, current, reachedAt, characters.length, characters);
  return reachedAt[0] === characters.length;
}

type Reading = Extract<State, { kind: "one" }>;

/** Reaches a state and all that it leads to without reading a character; adds those that read one. */
function follow(
  states: readonly State[],
  first: number,
  into: Reading[],
  reachedAt: Int32Array,
  at: number,
  characters: readonly string[],
): void {
  const waiting = [first];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (reachedAt[number] === at) continue;
    reachedAt[number] = at;
    const state = states[number] as State;
    if (state.kind === "one") into.push(state);
    else if (state.kind === "split") waiting.push(state.next, state.other);
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
