import { InputError } from "../kernel/mod.ts";

/** Keys and indexes from the root of the config; empty means the whole of it. */
export type ConfigPath = readonly (string | number)[];

const plainKey = /^[\p{ID_Start}$_*][\p{ID_Continue}$*-]*$/u;

/** `agents.list[0].name`; keys that are not plain words are quoted: `agents.entries["my.agent"]`. */
export function formatPath(path: ConfigPath): string {
  let out = "";
  for (const key of path) {
    if (typeof key === "number") out += `[${key}]`;
    else if (plainKey.test(key)) out += out === "" ? key : `.${key}`;
    else out += `[${JSON.stringify(key)}]`;
  }
  return out;
}

/**
 * Reads what {@link formatPath} writes, and also `a.0.b` (a number between dots is a key; whether it indexes an
 * array is known only when it meets one) and single quotes. Throws an InputError that names the bad character.
 */
export function parsePath(text: string): ConfigPath {
  const path: (string | number)[] = [];
  let at = 0;
  const fail = (what: string): never => {
    throw new InputError(
      `"${text}" is not a config path: ${what} at character ${at + 1}. Write it like gateway.auth.token, agents.list[0].name or agents.entries["my.agent"].`,
    );
  };
  while (at < text.length) {
    if (text[at] === "[") {
      const bracket = /^\[\s*(?:(\d{1,9})|("(?:[^"\\]|\\.)*")|'((?:[^'\\]|\\.)*)')\s*\]/.exec(text.slice(at));
      if (!bracket) return fail('expected [number] or ["key"]');
      if (bracket[1] !== undefined) path.push(Number(bracket[1]));
      else if (bracket[2] !== undefined) path.push(unquote(bracket[2], fail));
      else path.push((bracket[3] ?? "").replace(/\\(.)/g, "$1"));
      at += bracket[0].length;
    } else {
      const word = /^[^.[\]"'\s]+/.exec(text.slice(at));
      if (!word) return fail("expected a key");
      path.push(word[0]);
      at += word[0].length;
    }
    if (at === text.length) break;
    if (text[at] === ".") {
      at += 1;
      if (at === text.length) fail("expected a key after the dot");
    } else if (text[at] !== "[") fail("expected a dot");
  }
  return path;
}

function unquote(quoted: string, fail: (what: string) => never): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return fail("a bad escape in the quoted key");
  }
}

/** What stands at `path`, or undefined. Looks at own members only. */
export function valueAt(value: unknown, path: ConfigPath): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at)) {
      const index = Number(key);
      if (!Number.isInteger(index) || index < 0) return undefined;
      at = at[index];
    } else if (Object.hasOwn(at, key)) at = (at as Record<string, unknown>)[key];
    else return undefined;
  }
  return at;
}
