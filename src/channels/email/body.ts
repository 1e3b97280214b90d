import { Parser } from "htmlparser2";

/** A message's own words, and those of others that it repeats. */
export interface Body {
  readonly own: string;
  /** Undefined when nothing is quoted. */
  readonly quoted: string | undefined;
  /** Somebody else's message was passed on. */
  readonly isForward: boolean;
}

/** Where the words of others begin, to the end of the message. */
const begins: readonly { readonly pattern: RegExp; readonly isForward: boolean }[] = [
  {
    pattern: /^-{2,}\s*(?:Forwarded message|Weitergeleitete Nachricht|Message transféré)\s*-{2,}\s*$/i,
    isForward: true,
  },
  { pattern: /^Begin forwarded message:\s*$/i, isForward: true },
  {
    pattern: /^-{2,}\s*(?:Original Message|Ursprüngliche Nachricht|Message d'origine)\s*-{2,}\s*$/i,
    isForward: false,
  },
  { pattern: /^_{20,}\s*$/, isForward: false },
];

/** "On Monday, Ada <ada@example.org> wrote:", on one line or two. */
const attribution =
  /^(?:On|Am|Le|El|Op|Il) .{3,300}(?:wrote|schrieb.{0,80}|a écrit|escribió|schreef|ha scritto)\s?:\s*$/;

/** Parts a plain text into what its sender wrote and what they repeat. */
export function partsOf(text: string): Body {
  const own: string[] = [];
  const quoted: string[] = [];
  let isForward = false;
  const lines = text.split(/\r\n|\r|\n/);
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    const begin = begins.find(({ pattern }) => pattern.test(line.trim()));
    if (begin) {
      isForward = begin.isForward;
      quoted.push(...lines.slice(index + 1));
      break;
    }
    const two = `${line.trim()} ${(lines[index + 1] ?? "").trim()}`;
    if (/^\s*>/.test(line)) quoted.push(line.replace(/^\s*>\s?/, ""));
    else if (attribution.test(line.trim())) continue;
    else if (attribution.test(two) && /^\s*>|^\s*$/.test(lines[index + 2] ?? "")) index += 1;
    else own.push(line);
  }
  const rest = quoted.join("\n").trim();
  return { own: withoutSignature(own).join("\n").trim(), quoted: rest === "" ? undefined : rest, isForward };
}

function withoutSignature(lines: readonly string[]): readonly string[] {
  const at = lines.lastIndexOf("-- ");
  return at < 0 ? lines : lines.slice(0, at);
}

const blocks =
  /^(?:address|article|br|dd|div|dl|dt|footer|h[1-6]|header|hr|li|ol|p|pre|section|table|td|tr|ul)$/;
const unseen = /^(?:head|script|style|template|title|noscript|svg|math|object|iframe|textarea|select)$/;
const hiding =
  /display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])|mso-hide\s*:\s*all/i;
const empty = /^(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/;

/** Deeper than any letter; the library takes longer for each level. */
const maxDepth = 400;
const maxQuoteDepth = 5;

/**
 * A web page's words as plain text, quotations with ">" in front. What people do not see (scripts, hidden elements) is
 * left out: a model would read it. Nothing is fetched.
 */
export function textOfHtml(html: string): string {
  const lines: string[] = [];
  let line = "";
  let hidden = 0;
  let quote = 0;
  /** For each open element, whether it hides what is in it. */
  const open: boolean[] = [];
  const endLine = (always: boolean) => {
    if (always || line !== "") lines.push(line.trimEnd());
    line = "";
  };
  const tooDeep = new Error("nested too deep");
  const parser = new Parser({
    onopentag(name, attributes) {
      const hides = unseen.test(name) || "hidden" in attributes || hiding.test(attributes.style ?? "");
      if (!empty.test(name)) {
        if (open.length >= maxDepth) throw tooDeep;
        open.push(hides);
        if (hides) hidden += 1;
      }
      if (name === "br") endLine(true);
      else if (blocks.test(name)) endLine(false);
      if (name === "blockquote") quote += 1;
    },
    ontext(text) {
      if (hidden > 0) return;
      const words = text.replace(/\s+/g, " ");
      if (line !== "") line += words;
      else if (words.trim() !== "") line = "> ".repeat(Math.min(quote, maxQuoteDepth)) + words.trimStart();
    },
    onclosetag(name) {
      if (blocks.test(name)) endLine(false);
      if (!empty.test(name) && open.pop()) hidden -= 1;
      if (name === "blockquote") quote -= 1;
    },
  });
  try {
    parser.write(html);
    parser.end();
  } catch (error) {
    if (error !== tooDeep) throw error;
  }
  endLine(false);
  return lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
