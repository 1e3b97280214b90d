import type { DocumentNode, MemberNode, ObjectNode, ValueNode } from "@humanwhocodes/momoa";
import { type ConfigPath, formatPath } from "./config-path.ts";

/** A text fault in a document; offsets count UTF-16 units from 0. */
export interface TextFault {
  readonly offset: number;
  readonly path: ConfigPath;
  readonly message: string;
}

/** A parsed text that knows where each value stands in it. */
export interface TextDocument {
  readonly text: string;
  readonly root: ValueNode;
}

export type Opened =
  | { readonly ok: true; readonly document: TextDocument; readonly value: unknown }
  | { readonly ok: false; readonly faults: readonly TextFault[] };

/** Nesting deeper than this is refused: a deep file would overflow the stack of whatever walks it. */
export const maxDepth = 100;

/** Keys through which an assignment in careless code would reach Object.prototype. */
const poisonKeys: readonly string[] = ["__proto__", "constructor", "prototype"];

/** Parses JSON5 with positions. The parser is loaded here and nowhere else: a start with plain JSON never needs it. */
export async function openDocument(text: string): Promise<Opened> {
  const { parse } = await import("@humanwhocodes/momoa");
  let tree: DocumentNode;
  try {
    tree = parse(text, { mode: "json5", ranges: true });
  } catch (error) {
    return { ok: false, faults: [syntaxFault(text, error)] };
  }
  const faults: TextFault[] = [];
  const value = evaluate(tree.body, [], faults);
  return faults.length > 0 ? { ok: false, faults } : { ok: true, document: { text, root: tree.body }, value };
}

function syntaxFault(text: string, error: unknown): TextFault {
  if (error instanceof RangeError) return { offset: 0, path: [], message: "nested too deeply" };
  const { offset, message } = error as { offset?: number; message: string };
  const at = Math.min(offset ?? 0, text.length);
  const what = message.replace(/ \(\d+:\d+\)$/, "").replace(/ found\.$/, "");
  return {
    offset: at,
    path: [],
    message: `${what.charAt(0).toLowerCase()}${what.slice(1)}\n${caret(text, at)}`,
  };
}

/** The line around `offset` with a caret under it; long lines are cut around the place. */
function caret(text: string, offset: number): string {
  const { line, column } = positionOf(text, offset);
  const whole = (text.split(/\r\n|\r|\n/)[line - 1] ?? "").replaceAll("\t", " ");
  const start = Math.max(0, column - 1 - 60);
  return `  ${whole.slice(start, start + 120)}\n  ${" ".repeat(column - 1 - start)}^`;
}

/** Line and column, from 1; the column counts UTF-16 units. */
export function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset);
  const breaks = [...before.matchAll(/\r\n|\r|\n/g)];
  const last = breaks.at(-1);
  const lineStart = last ? last.index + last[0].length : 0;
  return { line: breaks.length + 1, column: offset - lineStart + 1 };
}

function evaluate(node: ValueNode, path: ConfigPath, faults: TextFault[]): unknown {
  const fault = (offset: number, at: ConfigPath, message: string): undefined => {
    if (faults.length < 20) faults.push({ offset, path: at, message });
    return undefined;
  };
  if (path.length > maxDepth) return fault(startOf(node), path, `nested more than ${maxDepth} levels deep`);
  switch (node.type) {
    case "Object": {
      const object: Record<string, unknown> = {};
      for (const member of node.members) {
        const key = keyOf(member);
        const at = [...path, key];
        if (poisonKeys.includes(key)) fault(startOf(member.name), at, `the key "${key}" is not allowed`);
        else if (Object.hasOwn(object, key))
          fault(startOf(member.name), at, duplicateText(node, key, member));
        else object[key] = evaluate(member.value, at, faults);
      }
      return object;
    }
    case "Array":
      return node.elements.map((element, index) => evaluate(element.value, [...path, index], faults));
    case "Number":
      return Number.isFinite(node.value) ? node.value : fault(startOf(node), path, "the number is too large");
    case "Infinity":
    case "NaN":
      return fault(startOf(node), path, `${node.type} is not a number that a setting can have`);
    case "Null":
      return null;
    default:
      return node.value;
  }
}

function duplicateText(node: ObjectNode, key: string, again: MemberNode): string {
  const first = node.members.find((member) => keyOf(member) === key && member !== again);
  const where = first ? ` (first on line ${first.loc.start.line})` : "";
  return `the key "${key}" appears twice${where}; remove one`;
}

export function keyOf(member: MemberNode): string {
  return member.name.type === "String" ? member.name.value : member.name.name;
}

export function startOf(node: { readonly loc: { readonly start: { readonly offset: number } } }): number {
  return node.loc.start.offset;
}

export function endOf(node: { readonly loc: { readonly end: { readonly offset: number } } }): number {
  return node.loc.end.offset;
}

/** The member that holds the last key of `path`, where that is an object's key. */
export function memberAt(document: TextDocument, path: ConfigPath): MemberNode | undefined {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = path.at(-1);
  if (parent?.type !== "Object" || key === undefined) return undefined;
  return parent.members.find((member) => keyOf(member) === String(key));
}

export function nodeAt(document: TextDocument, path: ConfigPath): ValueNode | undefined {
  let node: ValueNode | undefined = document.root;
  for (const key of path) {
    if (node?.type === "Object") {
      node = node.members.find((member) => keyOf(member) === String(key))?.value;
    } else if (node?.type === "Array") node = node.elements[Number(key)]?.value;
    else return undefined;
  }
  return node;
}

/** Where `path` stands; where it does not stand in the text, its nearest ancestor. */
export function locate(
  document: TextDocument,
  path: ConfigPath,
  atKey = false,
): { readonly line: number; readonly column: number } {
  for (let length = path.length; length >= 0; length--) {
    const part = path.slice(0, length);
    const member = atKey && length > 0 ? memberAt(document, part) : undefined;
    const node = member?.name ?? nodeAt(document, part);
    if (node) return positionOf(document.text, startOf(node));
  }
  return { line: 1, column: 1 };
}

/** The fault's path for its reader: `gateway.port`. */
export function faultPath(fault: TextFault): string {
  return formatPath(fault.path);
}
