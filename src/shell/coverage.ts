import { forEachChild, type ParsedScript, type SyntaxNode } from "unbash";
import { NotUnderstood } from "./word.ts";

const leaves: ReadonlySet<string> = new Set(["Word", "Assignment", "Redirect", "HereString", "HereDoc"]);

interface Span {
  readonly pos: number;
  readonly end: number;
}

/**
 * Throws NotUnderstood when a part of the text is in no word and no redirection and is no plain operator: the parser
 * recovers from some mistakes by leaving text out (it reads `x (` as `x`), and what a person reads must be what runs.
 */
export function refuseLostText(text: string, script: ParsedScript): void {
  const spans: Span[] = [];
  collect(script, spans);
  spans.sort((a, b) => a.pos - b.pos);
  let at = 0;
  for (const { pos, end } of spans)
    if (/^\d+$/.test(text.slice(pos, end)) && /[<>]/.test(text.charAt(end)))
      throw new NotUnderstood("a number that may be a word or a descriptor");
  for (const { pos, end } of [...spans, { pos: text.length, end: text.length }]) {
    const between = text.slice(Math.min(at, pos), pos);
    if (!/^(?:[ \t\n|&;!]|#[^\n]*(?:\n|$))*$/.test(between))
      throw new NotUnderstood(
        `a part that belongs to no command (${JSON.stringify(between.trim().slice(0, 40))})`,
      );
    at = Math.max(at, end);
  }
}

function collect(node: ParsedScript | SyntaxNode, spans: Span[]): void {
  if (leaves.has(node.type)) {
    spans.push(node);
    if ("target" in node && node.target) spans.push(node.target);
    if (node.type === "HereDoc") spans.push(node.body, ...(node.closing ? [node.closing] : []));
    return;
  }
  forEachChild(node, (child) => {
    collect(child, spans);
  });
}
