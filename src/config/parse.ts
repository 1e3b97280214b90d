import type { ConfigPath } from "./config-path.ts";
import type { ConfigProblem } from "./config-problem.ts";
import { faultPath, locate, openDocument, positionOf, type TextDocument } from "./document.ts";

/** One file's text, read: its value, and where in the text each part of it stands. */
export interface ParsedText {
  readonly file: string;
  readonly text: string;
  readonly value: unknown;
  /** Line and column (from 1) of a value, or of its key. Parses the text again, so call it for errors only. */
  place(path: ConfigPath, atKey?: boolean): Promise<{ readonly line: number; readonly column: number }>;
}

export type Parsed =
  | { readonly ok: true; readonly parsed: ParsedText }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/**
 * Reads JSON5 (comments, trailing commas, unquoted keys, single quotes). Plain JSON takes a fast way that loads no
 * parser. Refuses, with line and column: bad syntax, a key that appears twice, keys that reach a prototype, numbers
 * that are not finite, nesting deeper than 100.
 */
export async function parseConfigText(text: string, file: string): Promise<Parsed> {
  const value = plainJson(text);
  if (value !== undefined) return { ok: true, parsed: parsedText(file, text, value, undefined) };
  const opened = await openDocument(text);
  if (opened.ok) return { ok: true, parsed: parsedText(file, text, opened.value, opened.document) };
  const problems = opened.faults.map((fault) => ({
    file,
    ...positionOf(text, fault.offset),
    path: faultPath(fault),
    message: fault.message,
  }));
  return { ok: false, problems };
}

/** A value that a person typed, by the same rules as the file; undefined when it is not JSON5. */
export async function parseJson5(text: string): Promise<{ readonly value: unknown } | undefined> {
  const parsed = await parseConfigText(text, "");
  return parsed.ok ? { value: parsed.parsed.value } : undefined;
}

function parsedText(file: string, text: string, value: unknown, known: TextDocument | undefined): ParsedText {
  return {
    file,
    text,
    value,
    async place(path, atKey = false) {
      if (known) return locate(known, path, atKey);
      const opened = await openDocument(text);
      return opened.ok ? locate(opened.document, path, atKey) : { line: 1, column: 1 };
    },
  };
}

// What JSON.parse would let through silently and the careful way must look at: prototype keys, also when spelled
// with escapes, and numbers that overflow to Infinity.
const needsCare = /__proto__|constructor|prototype|\\u|[eE]\+?\d{3}|\d{300}/;

/** The value of plain JSON without surprises; undefined sends the text the careful way. */
function plainJson(text: string): unknown {
  if (needsCare.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const found = countKeys(value, 0);
  return found === undefined || found !== countWrittenKeys(text) ? undefined : value;
}

/** In valid JSON exactly the keys are strings followed by a colon; fewer keys in the value means one was repeated. */
function countWrittenKeys(text: string): number {
  let count = 0;
  for (const match of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"\s*(:?)/g)) if (match[1] === ":") count += 1;
  return count;
}

function countKeys(value: unknown, depth: number): number | undefined {
  if (typeof value !== "object" || value === null) return 0;
  if (depth > 90) return undefined;
  const members = Object.values(value);
  let count = Array.isArray(value) ? 0 : members.length;
  for (const member of members) {
    const below = countKeys(member, depth + 1);
    if (below === undefined) return undefined;
    count += below;
  }
  return count;
}
