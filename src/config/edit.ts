import { isDeepStrictEqual } from "node:util";
import type { ArrayNode, ObjectNode, ValueNode } from "@humanwhocodes/momoa";
import { InputError } from "../kernel/mod.ts";
import { type ConfigPath, formatPath } from "./config-path.ts";
import { endOf, keyOf, maxDepth, openDocument, positionOf, startOf, type TextDocument } from "./document.ts";
import {
  afterLineComments,
  indentAt,
  isMultiline,
  keyStyle,
  printInline,
  printKey,
  printValue,
  skipTrivia,
  startsLine,
  styleOf,
  type TextStyle,
} from "./text-style.ts";

/** Sets the value at a path (its parents are made where they are missing), or, without a value, removes it. */
export interface ConfigEdit {
  readonly path: ConfigPath;
  /** Any JSON value; undefined removes. Removing an array's entry moves the later ones up. */
  readonly value: unknown;
}

/**
 * The text with the edits made one after another, each seeing the ones before. Only the values named change:
 * comments, order, quotes and indentation of everything else stay, also inside an object that is set to a new value.
 * An empty text counts as `{}`. Throws an InputError when the text does not parse or a path leads through a value
 * that holds nothing. Removing what is not there changes nothing.
 */
export async function editConfig(text: string, edits: readonly ConfigEdit[]): Promise<string> {
  let now = text.trim() === "" ? "{}\n" : text;
  for (const edit of edits) {
    if (edit.path.length > maxDepth) throw new InputError("the config path is too long");
    if (edit.path.some((key) => ["__proto__", "constructor", "prototype"].includes(String(key)))) {
      throw new InputError(`${formatPath(edit.path)} holds a key that is not allowed`);
    }
    now = edit.value === undefined ? await removeAt(now, edit.path) : await setAt(now, edit.path, edit.value);
  }
  return now;
}

async function documentOf(text: string): Promise<TextDocument> {
  const opened = await openDocument(text);
  if (opened.ok) return opened.document;
  const fault = opened.faults[0];
  const { line, column } = positionOf(text, fault?.offset ?? 0);
  throw new InputError(
    `the config cannot be edited until line ${line}, column ${column} is repaired: ${fault?.message}`,
  );
}

async function setAt(text: string, path: ConfigPath, value: unknown): Promise<string> {
  const document = await documentOf(text);
  const { node, depth } = deepest(document, path);
  if (depth < path.length) return insertAt(document, node, path, depth, value);
  const smaller = smallerEdits(node, path, value);
  if (smaller === undefined) return replaceNode(document, node, value);
  let now = text;
  for (const edit of smaller) {
    now = edit.value === undefined ? await removeAt(now, edit.path) : await setAt(now, edit.path, edit.value);
  }
  return now;
}

/** The node that the longest existing part of the path leads to. */
function deepest(
  document: TextDocument,
  path: ConfigPath,
): { readonly node: ValueNode; readonly depth: number } {
  let node = document.root;
  for (const [depth, key] of path.entries()) {
    const next = childOf(node, key);
    if (!next) return { node, depth };
    node = next;
  }
  return { node, depth: path.length };
}

function childOf(node: ValueNode, key: string | number): ValueNode | undefined {
  if (node.type === "Object") return node.members.find((member) => keyOf(member) === String(key))?.value;
  return node.type === "Array" ? node.elements[Number(key)]?.value : undefined;
}

/**
 * Edits of the parts of an object or array that add up to setting the whole, so that the comments in it survive.
 * Undefined when there is nothing in common to keep.
 */
function smallerEdits(node: ValueNode, path: ConfigPath, value: unknown): ConfigEdit[] | undefined {
  if (node.type === "Object" && isPlainObject(value)) {
    const gone = node.members.map(keyOf).filter((key) => value[key] === undefined);
    // Before the additions, so that an object is never empty in between when it need not be.
    const kept = Object.entries(value).filter(([, member]) => member !== undefined);
    return [
      ...kept.map(([key, member]) => ({ path: [...path, key], value: member })),
      ...gone.map((key) => ({ path: [...path, key], value: undefined })),
    ].filter((edit) => !isDeepStrictEqual(plain(childOf(node, edit.path.at(-1) ?? "")), edit.value));
  }
  if (node.type === "Array" && Array.isArray(value)) {
    const old = node.elements.map((element) => plain(element.value));
    const removed = removedIndexes(old, value);
    if (removed) return removed.reverse().map((index) => ({ path: [...path, index], value: undefined }));
    if (old.length > 0 && old.every((item, index) => isDeepStrictEqual(item, value[index]))) {
      return value
        .slice(old.length)
        .map((item, index) => ({ path: [...path, old.length + index], value: item }));
    }
  }
  return undefined;
}

/** Which of the old items are missing in the new ones, when nothing else differs. */
function removedIndexes(old: readonly unknown[], now: readonly unknown[]): number[] | undefined {
  const removed: number[] = [];
  let at = 0;
  for (const [index, item] of old.entries()) {
    if (at < now.length && isDeepStrictEqual(item, now[at])) at += 1;
    else removed.push(index);
  }
  return at === now.length ? removed : undefined;
}

function plain(node: ValueNode | undefined): unknown {
  switch (node?.type) {
    case "Object":
      return Object.fromEntries(node.members.map((member) => [keyOf(member), plain(member.value)]));
    case "Array":
      return node.elements.map((element) => plain(element.value));
    case "Null":
      return null;
    case "String":
    case "Number":
    case "Boolean":
      return node.value;
    default:
      return undefined;
  }
}

function replaceNode(document: TextDocument, node: ValueNode, value: unknown): string {
  const { text } = document;
  const printed = printValue(value, indentAt(text, startOf(node)), styleOf(document));
  return text.slice(0, startOf(node)) + printed + text.slice(endOf(node));
}

function insertAt(
  document: TextDocument,
  node: ValueNode,
  path: ConfigPath,
  depth: number,
  value: unknown,
): string {
  const key = path[depth] ?? "";
  if (node.type === "Object") return insertInto(document, node, nest(path, depth + 1, value), String(key));
  const place = depth === 0 ? "the config" : formatPath(path.slice(0, depth));
  if (node.type !== "Array") {
    throw new InputError(`${place} is not an object, so ${formatPath(path)} cannot be set; unset it first`);
  }
  if (Number(key) !== node.elements.length || String(key) === "") {
    throw new InputError(
      `${place} has ${node.elements.length} entries: the next one is ${place}[${node.elements.length}]`,
    );
  }
  return insertInto(document, node, nest(path, depth + 1, value));
}

/** The value with the objects and arrays around it that the rest of the path asks for. */
function nest(path: ConfigPath, from: number, value: unknown): unknown {
  let whole = value;
  for (let at = path.length - 1; at >= from; at--) {
    const key = path[at] ?? "";
    if (typeof key === "number" && key !== 0) {
      throw new InputError(`${formatPath(path.slice(0, at))} has 0 entries: the first one is [0]`);
    }
    whole = typeof key === "number" ? [whole] : { [key]: whole };
  }
  return whole;
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function splice(text: string, splices: readonly Splice[]): string {
  let out = text;
  for (const one of [...splices].sort((a, b) => b.start - a.start)) {
    out = out.slice(0, one.start) + one.text + out.slice(one.end);
  }
  return out;
}

function insertInto(
  document: TextDocument,
  node: ObjectNode | ArrayNode,
  value: unknown,
  key?: string,
): string {
  const { text } = document;
  const base = styleOf(document);
  const style = node.type === "Object" ? keyStyle(document, node, base) : base;
  const prefix = key === undefined ? "" : `${printKey(key, style)}: `;
  const items = partsOf(node);
  const last = items.at(-1);
  if (!last) return insertFirst(document, node, prefix, value, style);
  const comma = skipTrivia(text, last.end);
  const hasComma = text[comma] === ",";
  const after = hasComma ? comma + 1 : last.end;
  if (!isMultiline(text, node)) {
    return splice(text, [insertion(after, `${hasComma ? "" : ","} ${prefix}${printInline(value, style)}`)]);
  }
  const leader = items.find((item) => startsLine(text, item.start));
  const indent = leader ? indentAt(text, leader.start) : indentAt(text, startOf(node)) + style.unit;
  const place = afterLineComments(text, after);
  const added = `${style.newline}${indent}${prefix}${printValue(value, indent, style)}${hasComma ? "," : ""}`;
  if (hasComma) return splice(text, [insertion(place, added)]);
  // The comma belongs right after the last member, the new line after that member's comment.
  return place === last.end
    ? splice(text, [insertion(place, `,${added}`)])
    : splice(text, [insertion(last.end, ","), insertion(place, added)]);
}

function insertFirst(
  document: TextDocument,
  node: ObjectNode | ArrayNode,
  prefix: string,
  value: unknown,
  style: TextStyle,
): string {
  const { text } = document;
  const close = endOf(node) - 1;
  const outer = indentAt(text, startOf(node));
  const indent = outer + style.unit;
  // After whatever comments stand in the empty container; the new line also ends a line comment.
  const place = startOf(node) + text.slice(startOf(node), close).trimEnd().length;
  const closing = text.slice(place, close).includes("\n") ? "" : style.newline + outer;
  const end = closing === "" ? place : close;
  const added = `${style.newline}${indent}${prefix}${printValue(value, indent, style)}${closing}`;
  return splice(text, [{ start: place, end, text: added }]);
}

function insertion(at: number, text: string): Splice {
  return { start: at, end: at, text };
}

function partsOf(node: ObjectNode | ArrayNode): { readonly start: number; readonly end: number }[] {
  const parts = node.type === "Object" ? node.members : node.elements.map((element) => element.value);
  return parts.map((part) => ({ start: startOf(part), end: endOf(part) }));
}

async function removeAt(text: string, path: ConfigPath): Promise<string> {
  const document = await documentOf(text);
  const { node, depth } = deepest(document, path);
  const key = path.at(-1);
  if (depth < path.length || key === undefined)
    return key === undefined ? replaceNode(document, node, {}) : text;
  const parent = deepest(document, path.slice(0, -1)).node;
  if (parent.type !== "Object" && parent.type !== "Array") return text;
  const parts = partsOf(parent);
  const index =
    parent.type === "Object"
      ? parent.members.findIndex((member) => keyOf(member) === String(key))
      : Number(key);
  const part = parts[index];
  if (!part) return text;
  const next = skipTrivia(text, part.end);
  if (text[next] === ",") {
    // The comma may stand behind a comment, which stays.
    const own = cleanLine(text, part.start, next === part.end ? next + 1 : part.end);
    return splice(text, next === part.end ? [own] : [own, { start: next, end: next + 1, text: "" }]);
  }
  const own = cleanLine(text, part.start, part.end);
  const before = parts[index - 1];
  if (!before) return splice(text, [own]);
  const comma = skipTrivia(text, before.end);
  if (comma + 1 > own.start) return splice(text, [{ start: comma, end: own.end, text: "" }]);
  return splice(text, [{ start: comma, end: comma + 1, text: "" }, own]);
}

/** A removal that takes the whole line with it when nothing else stands there. */
function cleanLine(text: string, start: number, end: number): Splice {
  const lineStart = start - indentAt(text, start).length;
  const rest = /^[ \t]*(\r?\n)?/.exec(text.slice(end))?.[0] ?? "";
  if (startsLine(text, start) && rest.includes("\n"))
    return { start: lineStart, end: end + rest.length, text: "" };
  // On a shared line, the space before the next part goes too.
  const space = startsLine(text, start) ? 0 : (/^[ \t]+(?=[^\s/])/.exec(text.slice(end))?.[0].length ?? 0);
  return { start, end: end + (text[end - 1] === "," ? space : 0), text: "" };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
