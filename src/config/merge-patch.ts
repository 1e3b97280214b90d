import { isDeepStrictEqual } from "node:util";
import { type ConfigPath, formatPath, parsePath } from "./config-path.ts";

export type Merged =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };

/**
 * JSON merge patch (RFC 7396: null removes, objects merge, everything else replaces) with two differences. Lists
 * whose entries all have an `id` merge by it, so that one entry can be changed alone. And a patch that would drop
 * entries of a list is refused unless the list's exact path is in `replacePaths`: a client that sent a shortened list
 * by mistake would otherwise quietly close an allowlist or open a denylist.
 */
export function mergePatch(current: unknown, patch: unknown, replacePaths: readonly string[] = []): Merged {
  const replaced = new Set(replacePaths.map((path) => formatPath(parsePath(path))));
  const dropped: string[] = [];

  const merge = (old: unknown, next: unknown, path: ConfigPath): unknown => {
    if (Array.isArray(next)) return Array.isArray(old) ? mergeList(old, next, path) : next.map(withoutNulls);
    if (!isObject(next)) return next;
    const base = isObject(old) ? old : {};
    const result: Record<string, unknown> = { ...base };
    for (const [key, value] of Object.entries(next)) {
      if (value === null) {
        if (Array.isArray(own(base, key)) && (own(base, key) as unknown[]).length > 0)
          noteDrop([...path, key]);
        delete result[key];
      } else result[key] = merge(own(base, key), value, [...path, key]);
    }
    return result;
  };

  const mergeList = (old: readonly unknown[], next: readonly unknown[], path: ConfigPath): unknown[] => {
    if (replaced.has(formatPath(path))) return next.map(withoutNulls);
    if (next.length > 0 && [...old, ...next].every((item) => idOf(item) !== undefined)) {
      const kept = old.map((item) => {
        const change = next.find((one) => idOf(one) === idOf(item));
        return change === undefined ? item : merge(item, change, [...path, old.indexOf(item)]);
      });
      const added = next.filter((item) => !old.some((one) => idOf(one) === idOf(item)));
      return [...kept, ...added.map(withoutNulls)];
    }
    if (old.some((item) => !next.some((one) => isDeepStrictEqual(one, item)))) noteDrop(path);
    return next.map(withoutNulls);
  };

  const noteDrop = (path: ConfigPath): void => {
    const name = formatPath(path);
    if (!replaced.has(name)) dropped.push(name);
  };

  const value = merge(current, patch, []);
  if (dropped.length === 0) return { ok: true, value };
  return {
    ok: false,
    message: `the patch removes entries of ${dropped.join(", ")}; name ${dropped.length === 1 ? "it" : "them"} in replacePaths if that is meant`,
  };
}

/** A patch value that replaces nothing: its nulls mean "absent" and leave nothing behind. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutNulls(member)]));
}

function idOf(value: unknown): string | undefined {
  const id = isObject(value) ? value.id : undefined;
  return typeof id === "string" ? id : undefined;
}

function own(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
