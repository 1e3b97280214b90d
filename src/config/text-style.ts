import type { ObjectNode, ValueNode } from "@humanwhocodes/momoa";
import { endOf, startOf, type TextDocument } from "./document.ts";

/** How a text is written, so that what is added looks like what is there. */
export interface TextStyle {
  readonly newline: string;
  /** One step of indentation. */
  readonly unit: string;
  readonly quote: "double" | "single" | "none";
}

export function styleOf(document: TextDocument): TextStyle {
  const { text, root } = document;
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const first = root.type === "Object" ? root.members[0] : undefined;
  const unit = first && startsLine(text, startOf(first)) ? indentAt(text, startOf(first)) : "";
  const outer = indentAt(text, startOf(root));
  return {
    newline,
    unit: unit.length > outer.length ? unit.slice(outer.length) : "  ",
    quote: quoteOf(first?.name, text) ?? "double",
  };
}

/** The style of an object's own keys, where it has any. */
export function keyStyle(document: TextDocument, object: ObjectNode, style: TextStyle): TextStyle {
  return { ...style, quote: quoteOf(object.members[0]?.name, document.text) ?? style.quote };
}

function quoteOf(
  name: ObjectNode["members"][number]["name"] | undefined,
  text: string,
): TextStyle["quote"] | undefined {
  if (!name) return undefined;
  if (name.type === "Identifier") return "none";
  return text[startOf(name)] === "'" ? "single" : "double";
}

const reserved: readonly string[] = ["null", "true", "false", "Infinity", "NaN"];

export function printKey(key: string, style: TextStyle): string {
  if (style.quote === "none" && /^[A-Za-z_$][\w$]*$/.test(key) && !reserved.includes(key)) return key;
  const quoted = JSON.stringify(key);
  return style.quote === "single" && !/['"\\]/.test(key) ? `'${quoted.slice(1, -1)}'` : quoted;
}

/** A value over several lines, its first line continuing the one that it stands on; `indent` is that line's. */
export function printValue(value: unknown, indent: string, style: TextStyle): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = indent + style.unit;
  const { newline } = style;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    const short = value.every((item) => typeof item !== "object" || item === null)
      ? printInline(value, style)
      : "";
    if (short !== "" && short.length <= 80) return short;
    const items = value.map((item) => inner + printValue(item, inner, style));
    return `[${newline}${items.join(`,${newline}`)}${newline}${indent}]`;
  }
  const members = definedEntries(value);
  if (members.length === 0) return "{}";
  const lines = members.map(
    ([key, member]) => `${inner}${printKey(key, style)}: ${printValue(member, inner, style)}`,
  );
  return `{${newline}${lines.join(`,${newline}`)}${newline}${indent}}`;
}

/** A value on one line. */
export function printInline(value: unknown, style: TextStyle): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => printInline(item, style)).join(", ")}]`;
  const members = definedEntries(value).map(
    ([key, member]) => `${printKey(key, style)}: ${printInline(member, style)}`,
  );
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

function definedEntries(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, member]) => member !== undefined);
}

/** The first place at or after `from` that is neither white space nor comment. */
export function skipTrivia(text: string, from: number): number {
  let at = from;
  for (;;) {
    const rest = /[^\s\ufeff]/g;
    rest.lastIndex = at;
    const next = rest.exec(text);
    if (!next) return text.length;
    at = next.index;
    if (text.startsWith("//", at)) at = lineEnd(text, at);
    else if (text.startsWith("/*", at)) at = text.indexOf("*/", at + 2) + 2;
    else return at;
  }
}

/** The end of the comments that stand on the same line after `from`, or `from` when something else follows there. */
export function afterLineComments(text: string, from: number): number {
  let at = from;
  let end = from;
  for (;;) {
    while (text[at] === " " || text[at] === "\t") at += 1;
    if (text.startsWith("//", at)) return lineEnd(text, at);
    if (!text.startsWith("/*", at)) return end;
    const close = text.indexOf("*/", at + 2) + 2;
    if (text.slice(at, close).includes("\n")) return end;
    at = close;
    end = close;
  }
}

function lineEnd(text: string, from: number): number {
  // JSON5 ends a line comment at these too; a text is cut where the parser cuts it.
  const found = text.slice(from).search(/[\n\r\u2028\u2029]/);
  return found === -1 ? text.length : from + found;
}

export function indentAt(text: string, offset: number): string {
  const line = text.lastIndexOf("\n", offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(line, offset))?.[0] ?? "";
}

export function startsLine(text: string, offset: number): boolean {
  const line = text.lastIndexOf("\n", offset - 1) + 1;
  return /^[ \t]*$/.test(text.slice(line, offset));
}

export function isMultiline(text: string, node: ValueNode): boolean {
  return text.slice(startOf(node), endOf(node)).includes("\n");
}
