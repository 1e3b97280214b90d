import { lexer, type Token, type Tokens } from "marked";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { safeLink } from "../safe-link.ts";
import { CodeBlock } from "./code-block.tsx";

/** Beyond these the text is shown as it is: deep nesting and huge inputs are how a renderer is made to hang. */
const maxCharacters = 60_000;
const maxDepth = 24;

class TooDeep extends Error {}

/**
 * A model's reply. The parser's tokens become elements one kind at a time; no HTML is ever built or parsed, so
 * there is nothing to sanitise: raw HTML in the reply is shown as the text that it is. Links go only to http,
 * https and mailto, and pictures become links, so that nothing is fetched because a reply was shown.
 */
export function Markdown({ source }: { readonly source: string }) {
  const content = useMemo(() => rendered(source), [source]);
  return content === undefined ? <div class="plain">{source}</div> : <div class="prose">{content}</div>;
}

function rendered(source: string): ComponentChildren | undefined {
  if (source.length > maxCharacters) return undefined;
  try {
    return blocks(lexer(source, { gfm: true, breaks: true }), 0);
  } catch {
    return undefined;
  }
}

function blocks(tokens: readonly Token[] | undefined, depth: number): ComponentChildren[] {
  if (depth > maxDepth) throw new TooDeep();
  return (tokens ?? []).map((token) => block(token, depth));
}

function block(token: Token, depth: number): ComponentChildren {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return heading(token as Tokens.Heading, depth);
    case "paragraph":
      return <p>{inline(token.tokens, depth)}</p>;
    case "code":
      return <CodeBlock source={(token as Tokens.Code).text} language={(token as Tokens.Code).lang ?? ""} />;
    case "blockquote":
      return <blockquote>{blocks(token.tokens, depth + 1)}</blockquote>;
    case "list":
      return list(token as Tokens.List, depth);
    case "table":
      return table(token as Tokens.Table, depth);
    case "hr":
      return <hr />;
    case "html":
      return <p>{token.raw}</p>;
    default:
      return inlineOne(token, depth);
  }
}

/** Two levels down: the page has an h1 and an h2 of its own. */
function heading(token: Tokens.Heading, depth: number): ComponentChildren {
  const content = inline(token.tokens, depth);
  if (token.depth === 1) return <h3>{content}</h3>;
  return token.depth === 2 ? <h4>{content}</h4> : <h5>{content}</h5>;
}

function list(token: Tokens.List, depth: number): ComponentChildren {
  const rows = token.items.map((item) => <li>{blocks(item.tokens, depth + 1)}</li>);
  if (!token.ordered) return <ul>{rows}</ul>;
  return <ol start={Number(token.start) || 1}>{rows}</ol>;
}

function table(token: Tokens.Table, depth: number): ComponentChildren {
  return (
    <div class="table-frame">
      <table>
        <thead>
          <tr>
            {token.header.map((cell) => (
              <th class={alignClass(cell.align)}>{inline(cell.tokens, depth + 1)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row) => (
            <tr>
              {row.map((cell) => (
                <td class={alignClass(cell.align)}>{inline(cell.tokens, depth + 1)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function alignClass(align: Tokens.TableCell["align"]): string {
  return align === "center" || align === "right" ? `align-${align}` : "";
}

function inline(tokens: readonly Token[] | undefined, depth: number): ComponentChildren[] {
  if (depth > maxDepth) throw new TooDeep();
  return (tokens ?? []).map((token) => inlineOne(token, depth + 1));
}

function inlineOne(token: Token, depth: number): ComponentChildren {
  switch (token.type) {
    case "strong":
      return <strong>{inline(token.tokens, depth)}</strong>;
    case "em":
      return <em>{inline(token.tokens, depth)}</em>;
    case "del":
      return <s>{inline(token.tokens, depth)}</s>;
    case "br":
      return <br />;
    case "codespan":
      return <code>{(token as Tokens.Codespan).text}</code>;
    case "checkbox":
      return <input type="checkbox" disabled checked={token.checked === true} aria-label="Task" />;
    case "link":
      return link((token as Tokens.Link).href, inline(token.tokens, depth));
    case "image":
      return link((token as Tokens.Image).href, [
        `Picture: ${(token as Tokens.Image).text || "no description"}`,
      ]);
    case "text":
      return token.tokens ? inline(token.tokens, depth) : withoutEntities((token as Tokens.Text).text);
    case "escape":
      return (token as Tokens.Escape).text;
    default:
      return token.raw;
  }
}

function link(href: string, content: ComponentChildren): ComponentChildren {
  const target = safeLink(withoutEntities(href));
  if (target === undefined) return <span>{content}</span>;
  return (
    <a href={target} target="_blank" rel="noopener noreferrer" title={target}>
      {content}
    </a>
  );
}

const named: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
};

/** The text becomes a text node, so decoding cannot make markup of it. */
function withoutEntities(source: string): string {
  return source.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi,
    (whole, decimal, hex, name) => {
      if (name !== undefined) return Object.hasOwn(named, name) ? (named[name] ?? whole) : whole;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
