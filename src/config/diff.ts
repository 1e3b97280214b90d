import { isDeepStrictEqual } from "node:util";
import type { ConfigPath } from "./config-path.ts";
import type { ConfigEdit } from "./edit.ts";

/**
 * The smallest paths at which two values differ: objects are looked into (also one that came or went), arrays differ
 * as a whole. In key order.
 */
export function changedPaths(before: unknown, after: unknown, path: ConfigPath = []): ConfigPath[] {
  if (isDeepStrictEqual(before, after)) return [];
  const [left, right] = [before ?? {}, after ?? {}];
  if (!isObject(left) || !isObject(right)) return [path];
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  const inner = keys.flatMap((key) => changedPaths(own(left, key), own(right, key), [...path, key]));
  return inner.length > 0 ? inner : [path];
}

/** Edits that turn `before` into `after`. */
export function diffEdits(before: unknown, after: unknown, path: ConfigPath = []): ConfigEdit[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isObject(before) || !isObject(after)) return [{ path, value: after }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => diffEdits(own(before, key), own(after, key), [...path, key]));
}

function own(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
