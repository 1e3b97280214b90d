/**
 * Reads text the way Telegram's HTML parse mode does: known tags, properly nested, entities resolved.
 * Returns the visible text, or undefined for what Telegram answers with "can't parse entities".
 */
export function readHtml(
  html: string,
): { readonly text: string; readonly links: readonly string[] } | undefined {
  const open: string[] = [];
  const links: string[] = [];
  let text = "";
  for (const part of html.split(/(<[^>]*>)/)) {
    if (!part.startsWith("<")) {
      if (part.includes("<") || part.includes(">")) return undefined;
      text += part.replace(/&(lt|gt|amp|quot);/g, (_, name: string) => entities[name] ?? "");
      continue;
    }
    const close = /^<\/([a-z-]+)>$/.exec(part)?.[1];
    if (close) {
      if (open.pop() !== close) return undefined;
      continue;
    }
    const tag = /^<([a-z-]+)((?: [a-z]+="[^"<>]*")*)>$/.exec(part);
    if (!tag?.[1] || !known.has(tag[1])) return undefined;
    open.push(tag[1]);
    const href = /href="([^"]*)"/.exec(tag[2] ?? "")?.[1];
    if (href) links.push(href.replaceAll("&amp;", "&"));
  }
  return open.length === 0 ? { text, links } : undefined;
}

const known: ReadonlySet<string> = new Set([
  "b",
  "strong",
  "i",
  "em",
  "u",
  "s",
  "code",
  "pre",
  "a",
  "blockquote",
]);
const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"' };
