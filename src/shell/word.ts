import type { Word } from "../policy/command-tree.ts";

/** Why a word, or a line, is not understood. */
export class NotUnderstood extends Error {}

/** After a `$`, each of these makes an expansion; before anything else it is a plain dollar sign. */
const expands = /[A-Za-z0-9_{(['"@*#?$!-]/;
const expandsInQuotes = /[A-Za-z0-9_{([@*#?$!-]/;

interface Reading {
  text: string;
  pattern: string;
  isPattern: boolean;
  /** For each character of `text`: true when it was quoted. */
  quoted: boolean[];
}

/**
 * Reads one word as it stands in the source, its quotes included. Throws NotUnderstood for all that a shell would
 * expand, except file patterns.
 */
export function readWord(source: string): Word {
  const word: Reading = { text: "", pattern: "", isPattern: false, quoted: [] };
  for (let at = 0; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === "'") {
      const end = source.indexOf("'", at + 1);
      if (end < 0) throw new NotUnderstood("a single quote that is not closed");
      for (const unit of source.slice(at + 1, end).split("")) add(word, unit, true);
      at = end;
    } else if (char === '"') at = readDoubleQuoted(source, at + 1, word);
    else if (char === "\\") {
      at += 1;
      if (at >= source.length) throw new NotUnderstood("a backslash at the end");
      if (source.charAt(at) === "\n") throw new NotUnderstood("a line that is continued with a backslash");
      add(word, source.charAt(at), true);
    } else if (char === "`") throw new NotUnderstood("a command substitution (`...`)");
    else if (char === "$" && expands.test(source.charAt(at + 1)))
      throw new NotUnderstood(expansionName(source.charAt(at + 1)));
    else if (/^[<>]\(/.test(source.slice(at, at + 2)))
      throw new NotUnderstood(`a process substitution (${char}(...))`);
    else if (/[\s;&|<>()]/.test(char))
      throw new NotUnderstood(`an unquoted ${JSON.stringify(char)} in a word`);
    else if (char === "~" && (at === 0 || /[=:]/.test(source.charAt(at - 1))))
      throw new NotUnderstood("a home folder (~)");
    else add(word, char, false);
  }
  refuseBraces(word);
  word.isPattern = hasPattern(word);
  return word.isPattern ? { text: word.text, pattern: word.pattern } : { text: word.text };
}

/** Our reading, when the parser's says the same. No text is known for which it does not. */
export function agreed(ours: Word, theirs: string): Word {
  if (ours.text !== theirs) throw new NotUnderstood("a word that can be read in two ways");
  return ours;
}

/** Gives where the closing quote stands. The shell keeps a backslash here unless it stands before $ ` " \. */
function readDoubleQuoted(source: string, start: number, word: Reading): number {
  for (let at = start; at < source.length; at += 1) {
    const char = source.charAt(at);
    const next = source.charAt(at + 1);
    if (char === '"') return at;
    if (char === "`") throw new NotUnderstood("a command substitution (`...`)");
    if (char === "$" && expandsInQuotes.test(next)) throw new NotUnderstood(expansionName(next));
    if (char === "\\" && next === "\n") throw new NotUnderstood("a line that is continued with a backslash");
    if (char === "\\" && next !== "" && '$`"\\'.includes(next)) {
      add(word, next, true);
      at += 1;
    } else add(word, char, true);
  }
  throw new NotUnderstood("a double quote that is not closed");
}

function add(word: Reading, unit: string, quoted: boolean): void {
  word.text += unit;
  word.pattern += quoted && /[*?[\]\\!^-]/.test(unit) ? `\\${unit}` : unit;
  word.quoted.push(quoted);
}

function expansionName(next: string): string {
  if (next === "(") return "a command substitution ($(...))";
  if (next === "'" || next === '"') return `an escape string ($${next})`;
  return "a variable ($)";
}

/** `{a,b}` and `{1..3}` make several words of one; other braces are plain. */
function refuseBraces(word: Reading): void {
  const first = unquotedAt(word, "{");
  const last = word.text.lastIndexOf("}");
  if (first < 0 || last < first) return;
  if (/,|\.\./.test(word.text.slice(first, last))) throw new NotUnderstood("a brace expansion ({a,b})");
}

function hasPattern(word: Reading): boolean {
  if (unquotedAt(word, "*") >= 0 || unquotedAt(word, "?") >= 0) return true;
  const open = unquotedAt(word, "[");
  return open >= 0 && word.text.indexOf("]", open) > 0;
}

function unquotedAt(word: Reading, char: string): number {
  for (let at = word.text.indexOf(char); at >= 0; at = word.text.indexOf(char, at + 1))
    if (word.quoted[at] === false) return at;
  return -1;
}
