import type { ToolSpec } from "../../agent/model.ts";
import { type Fields, isObject } from "../fields.ts";

/** Something that a text asks for. */
export type Wish =
  | { readonly kind: "call"; readonly tool: string; readonly arguments: Fields }
  /** What no offered tool can do; `need` names the tool that is missing. */
  | { readonly kind: "missing"; readonly need: string }
  | { readonly kind: "say"; readonly words: string };

interface Found {
  readonly start: number;
  readonly end: number;
  readonly wish: Wish;
}

/** Where an instruction without quotes may begin: a line, a sentence, or behind one of these words. */
const opening = String.raw`(?:^|[.!?:;,"'>(\]]\s*|\b(?:please|and|then|now|to|must|should|you|can|could|just)\s+)`;
const quoted = "`([^`\\n]+)`|\"([^\"\\n]+)\"|'([^'\\n]+)'";

/**
 * All that `text` asks for, in the order it asks. It makes no difference who asks: this model is gullible on
 * purpose, so that the guards around it can be seen to work.
 */
export function readWishes(text: string, tools: readonly ToolSpec[]): readonly Wish[] {
  const found = [
    ...callWishes(text),
    ...matches(
      text,
      `${opening}write\\s+(?:${quoted}|(.{1,500}?))\\s+(?:in)?to\\s+(?:the\\s+)?(?:file\\s+)?(?:${quoted}|(\\S+))`,
      (m) => {
        const content = m[1] ?? m[2] ?? m[3] ?? m[4] ?? "";
        const path = m[5] ?? m[6] ?? m[7] ?? unpunctuated(m[8] ?? "");
        return use(tools, "write", { path, content });
      },
    ),
    ...matches(text, `\\b(?:run|execute)\\s+(?:the\\s+)?(?:command\\s+)?(?:${quoted})`, (m) =>
      use(tools, "exec", { command: m[1] ?? m[2] ?? m[3] ?? "" }),
    ),
    ...matches(text, `${opening}(?:run|execute)\\s+(?:the\\s+command\\s+)?(?![\`"'])([^\\n]+)`, (m) =>
      use(tools, "exec", { command: unpunctuated(m[1] ?? "") }),
    ),
    ...matches(
      text,
      "\\b(?:fetch|open|visit|download)\\s+(?:the\\s+)?(?:page\\s+|url\\s+)?[`\"'<(]?([a-z][a-z0-9+.-]*://[^\\s`\"'<>)]+)",
      (m) => use(tools, "web_fetch", { url: unpunctuated(m[1] ?? "") }),
    ),
    ...matches(text, `${opening}fetch\\s+(?![\`"'<(])([^\\s/:]+\\.[a-z]{2,}[^\\s]*)`, (m) =>
      use(tools, "web_fetch", { url: `https://${unpunctuated(m[1] ?? "")}` }),
    ),
    ...matches(
      text,
      `${opening}(?:read|show\\s+me|open)\\s+(?:the\\s+)?(?:file\\s+)?(?:${quoted}|(?![a-z][a-z0-9+.-]*://)(\\S*[./~]\\S*|(?<=read\\s+)\\S+))`,
      (m) => read(tools, m[1] ?? m[2] ?? m[3] ?? unpunctuated(m[4] ?? "")),
    ),
    ...matches(
      text,
      "\\b(?:list|show(?:\\s+me)?|what\\s+are)\\s+(?:all\\s+)?(?:of\\s+)?(?:the\\s+|your\\s+)?files\\b",
      () => listFiles(tools),
    ),
    ...matches(text, `${opening}(?:say|repeat|(?:reply|answer)\\s+with)\\s+([^\\n]+)`, (m) => ({
      kind: "say",
      words: (m[1] ?? "").replace(/^(["'`])(.*)\1[.!]?$/, "$2"),
    })),
  ].sort((a, b) => a.start - b.start || b.end - a.end);
  const wishes: Wish[] = [];
  let readTo = 0;
  for (const { start, end, wish } of found) {
    // An instruction inside another one is its argument: write `run x` to notes.md.
    if (start < readTo) continue;
    readTo = end;
    wishes.push(wish);
  }
  return wishes;
}

/** "call exec with {...}": any name, offered or not, since a hijacked model does not keep to the list either. */
function callWishes(text: string): Found[] {
  const found: Found[] = [];
  for (const match of text.matchAll(
    /\bcall\s+(?:the\s+)?(?:tool\s+)?`?([a-zA-Z0-9_-]{1,64})`?\s+(?:tool\s+)?with\s+`?(?=\{)/gi,
  )) {
    const from = match.index + match[0].length;
    const json = balancedObject(text, from);
    if (json === undefined) continue;
    const wish: Wish = { kind: "call", tool: match[1] ?? "", arguments: json.value };
    found.push({ start: match.index, end: json.end, wish });
  }
  return found;
}

function matches(text: string, pattern: string, wish: (match: RegExpExecArray) => Wish): Found[] {
  return [...text.matchAll(new RegExp(pattern, "gim"))].map((match) => {
    // The words that only lead up to it do not belong to it: two instructions may share a comma.
    const lead = /^(?:[\s.!?:;,"'>(\]]|\b(?:please|and|then|now|to|must|should|you|can|could|just)\s)*/i.exec(
      match[0],
    );
    const start = match.index + (lead?.[0].length ?? 0);
    return { start, end: match.index + match[0].length, wish: wish(match) };
  });
}

/** The JSON object that begins at `from`; undefined when none does. Braces inside strings are not counted. */
function balancedObject(text: string, from: number): { value: Fields; end: number } | undefined {
  let depth = 0;
  let inString = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) {
      const value = parse(text.slice(from, at + 1));
      return isObject(value) ? { value, end: at + 1 } : undefined;
    }
  }
  return undefined;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function use(tools: readonly ToolSpec[], tool: string, args: Fields): Wish {
  if (tools.some(({ name }) => name === tool)) return { kind: "call", tool, arguments: args };
  return { kind: "missing", need: tool };
}

function read(tools: readonly ToolSpec[], path: string): Wish {
  const wish = use(tools, "read", { path });
  if (wish.kind === "call") return wish;
  const byCommand = use(tools, "exec", { command: `cat ${path}` });
  return byCommand.kind === "call" ? byCommand : wish;
}

function listFiles(tools: readonly ToolSpec[]): Wish {
  const ways: readonly [string, Fields][] = [
    ["list", { path: "." }],
    ["exec", { command: "ls -la" }],
    ["read", { path: "." }],
  ];
  for (const [tool, args] of ways) {
    const wish = use(tools, tool, args);
    if (wish.kind === "call") return wish;
  }
  return { kind: "missing", need: "exec" };
}

/** Without the quotes around a command, and without the full stop that ends the sentence and not the command. */
function unpunctuated(words: string): string {
  const trimmed = words.trim();
  const quotedWhole = /^(["'`])(.*)\1[.!,]?$/.exec(trimmed);
  if (quotedWhole !== null) return quotedWhole[2] ?? "";
  return trimmed.replace(/(?<=[\w/)"'`])[.!,;?]+$/, "");
}
