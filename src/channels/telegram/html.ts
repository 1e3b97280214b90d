/** Longer texts are sent as they are: Telegram takes 4096 characters, and the work below stays bounded. */
const maxFormattedChars = 16_384;

/**
 * The Markdown that models write, as the HTML that Telegram takes: bold, italic, struck, code, fenced code,
 * headings (as bold) and links. All text is escaped before any tag is made, so nothing in it can open a tag; only
 * http and https become links, so `[click](tg://user?id=1)` stays text (attack A-214).
 * Returns undefined when there is nothing to format: the text may then go out plain.
 */
export function telegramHtml(markdown: string): string | undefined {
  if (markdown.length > maxFormattedChars) return undefined;
  const out: string[] = [];
  let fence: { mark: string; open: string; lines: string[] } | undefined;
  for (const line of markdown.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence) {
      const closes = mark?.startsWith(fence.mark) && line.trim() === mark;
      if (!closes) fence.lines.push(escapeHtml(line));
      else {
        out.push(`${fence.open}${fence.lines.join("\n")}</code></pre>`);
        fence = undefined;
      }
    } else if (mark) {
      const language = /^[`~]+\s*([A-Za-z0-9+#-]{1,30})\s*$/.exec(line.trim())?.[1];
      const open = language ? `<pre><code class="language-${language}">` : "<pre><code>";
      fence = { mark, open, lines: [] };
    } else {
      const heading = /^#{1,6} +(.+)$/.exec(line)?.[1];
      out.push(heading === undefined ? inline(line) : `<b>${escapeHtml(heading.replaceAll("**", ""))}</b>`);
    }
  }
  if (fence) out.push(`${fence.open}${fence.lines.join("\n")}</code></pre>`);
  const html = out.join("\n");
  return html === markdown ? undefined : html;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

const tags: Readonly<Record<string, string>> = { "**": "b", __: "b", "*": "i", _: "i", "~~": "s" };

/** One line. Emphasis is matched with a stack, so tags are always nested and always closed. */
function inline(line: string): string {
  const parts: string[] = [];
  const open: { marker: string; at: number }[] = [];
  let index = 0;
  while (index < line.length) {
    const char = line.charAt(index);
    if (char === "\\" && /[\\`*_~[\]()#]/.test(line.charAt(index + 1))) {
      parts.push(escapeHtml(line.charAt(index + 1)));
      index += 2;
      continue;
    }
    const whole =
      char === "`" ? codeAt(line, index) : char === "[" || char === "!" ? linkAt(line, index) : undefined;
    if (whole) {
      parts.push(whole.html);
      index = whole.end;
      continue;
    }
    const marker = markerAt(line, index);
    if (marker === undefined) {
      parts.push(escapeHtml(char));
      index += 1;
      continue;
    }
    const before = line.charAt(index - 1);
    const after = line.charAt(index + marker.length);
    const from = open.findLastIndex((entry) => entry.marker === marker);
    if (from >= 0 && canClose(marker, before, after)) {
      const start = open[from];
      if (start) parts[start.at] = `<${tags[marker]}>`;
      parts.push(`</${tags[marker]}>`);
      open.length = from;
    } else {
      if (canOpen(marker, before, after)) open.push({ marker, at: parts.length });
      parts.push(marker);
    }
    index += marker.length;
  }
  return parts.join("");
}

function markerAt(line: string, index: number): string | undefined {
  const two = line.slice(index, index + 2);
  if (two === "**" || two === "__" || two === "~~") return two;
  const one = line.charAt(index);
  return one === "*" || one === "_" ? one : undefined;
}

function canOpen(marker: string, before: string, after: string): boolean {
  return /\S/.test(after) && !(marker.startsWith("_") && /[\p{L}\p{N}]/u.test(before));
}

function canClose(marker: string, before: string, after: string): boolean {
  return /\S/.test(before) && !(marker.startsWith("_") && /[\p{L}\p{N}]/u.test(after));
}

interface Piece {
  readonly html: string;
  readonly end: number;
}

function codeAt(line: string, index: number): Piece | undefined {
  let width = 1;
  while (line.charAt(index + width) === "`") width += 1;
  const close = line.indexOf("`".repeat(width), index + width);
  if (close < 0) return { html: "`".repeat(width), end: index + width };
  const code = line.slice(index + width, close);
  return code === "" ? undefined : { html: `<code>${escapeHtml(code)}</code>`, end: close + width };
}

/** `[label](https://...)`; an image becomes a link to it. */
function linkAt(line: string, index: number): Piece | undefined {
  const start = line.charAt(index) === "!" ? index + 1 : index;
  if (line.charAt(start) !== "[") return undefined;
  const middle = line.indexOf("](", start);
  if (middle < 0) return undefined;
  const label = line.slice(start + 1, middle);
  let depth = 1;
  let end = middle + 2;
  for (; end < line.length; end += 1) {
    const char = line.charAt(end);
    if (char === "(") depth += 1;
    else if (char === ")" && --depth === 0) break;
    else if (char === " ") return undefined;
  }
  if (depth > 0 || label.trim() === "" || label.includes("[")) return undefined;
  const url = line.slice(middle + 2, end);
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  return { html: `<a href="${escapeHtml(url)}">${escapeHtml(label)}</a>`, end: end + 1 };
}
