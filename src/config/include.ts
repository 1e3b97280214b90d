import { realpath } from "node:fs/promises";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import type { ConfigPath } from "./config-path.ts";
import { type ConfigProblem, locateFinding } from "./config-problem.ts";
import { type ParsedText, parseConfigText } from "./parse.ts";
import { readRegularFile } from "./read-file.ts";

export const maxIncludeDepth = 10;
export const maxIncludeBytes = 2 * 1024 * 1024;
const maxIncludePathChars = 4096;
const maxIncludedFiles = 256;

/** Where a value of the composed config was written: a place in a file, unless a part of it came from elsewhere. */
export interface Origin {
  readonly parsed: ParsedText;
  readonly path: ConfigPath;
  readonly children?: ReadonlyMap<string, Origin>;
}

export interface IncludedFile {
  readonly file: string;
  readonly bytes: Buffer;
}

export interface Composed {
  readonly value: unknown;
  readonly origin: Origin;
  readonly included: readonly IncludedFile[];
  readonly problems: readonly ConfigProblem[];
}

interface Node {
  readonly value: unknown;
  readonly origin: Origin;
}

/**
 * Replaces each `$include` by what the file holds (a list of files: merged in order, later wins; keys beside the
 * `$include` win over both; objects merge, everything else replaces). A file may be named only if it really lies,
 * links resolved, in the config's own folder or in one of `roots`: a shared or written-by-an-agent config must not
 * become a way to read other files.
 */
export async function composeIncludes(main: ParsedText, roots: readonly string[]): Promise<Composed> {
  const included: IncludedFile[] = [];
  const problems: ConfigProblem[] = [];
  const allowed = await realRoots([dirname(main.file), ...roots]);
  const self = await realpath(main.file).catch(() => main.file);

  const complain = async (origin: Origin, message: string): Promise<undefined> => {
    const place = await origin.parsed.place(origin.path);
    problems.push(locateFinding({ path: origin.path, message }, { file: origin.parsed.file, ...place }));
    return undefined;
  };

  const visit = async (node: Node, stack: readonly string[]): Promise<Node | undefined> => {
    const { value, origin } = node;
    if (typeof value !== "object" || value === null) return node;
    if (Array.isArray(value)) return visitMembers(node, value.entries(), [], stack);
    const { $include: named, ...siblings } = value as Record<string, unknown>;
    if (named === undefined) return visitMembers(node, Object.entries(value), {}, stack);
    const at = child(origin, "$include");
    const names = typeof named === "string" ? [named] : named;
    if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== "string")) {
      return complain(at, "must be a file name or a list of file names");
    }
    let whole: Node | undefined;
    for (const name of names as string[]) {
      const part = await include(name, at, stack);
      if (!part) return undefined;
      whole = whole ? merge(whole, part) : part;
    }
    if (Object.keys(siblings).length === 0 || !whole) return whole;
    if (!isObject(whole.value)) return complain(at, "keys beside $include need the file to hold an object");
    const own = await visitMembers({ value: siblings, origin }, Object.entries(siblings), {}, stack);
    return own && merge(whole, own);
  };

  const visitMembers = async <K extends string | number>(
    node: Node,
    members: Iterable<readonly [K, unknown]>,
    empty: unknown[] | Record<string, unknown>,
    stack: readonly string[],
  ): Promise<Node> => {
    const children = new Map<string, Origin>();
    for (const [key, member] of members) {
      const done = await visit({ value: member, origin: child(node.origin, key) }, stack);
      if (!done) continue;
      (empty as Record<string | number, unknown>)[key] = done.value;
      children.set(String(key), done.origin);
    }
    return { value: empty, origin: { ...node.origin, children } };
  };

  const include = async (name: string, at: Origin, stack: readonly string[]): Promise<Node | undefined> => {
    const quoted = JSON.stringify(name.slice(0, 200));
    if (stack.length > maxIncludeDepth)
      return complain(at, `includes nest more than ${maxIncludeDepth} deep`);
    if (included.length >= maxIncludedFiles)
      return complain(at, `more than ${maxIncludedFiles} included files`);
    if (name.length >= maxIncludePathChars) {
      return complain(at, `the file name is longer than ${maxIncludePathChars} characters`);
    }
    if (name.trim() === "" || name.includes("\0"))
      return complain(at, "the file name is empty or holds a NUL");
    const wanted = resolve(dirname(at.parsed.file), name);
    const real = await realpath(wanted).catch(() => undefined);
    // Both are compared, so that a missing file outside is not told apart from an existing one.
    if (!inside(real ?? wanted, allowed)) {
      return complain(
        at,
        `${quoted} leads outside the config folder; move the file there, or add its folder to OPENCLAW_INCLUDE_ROOTS`,
      );
    }
    if (real === undefined) return complain(at, `${quoted} does not exist`);
    if (stack.includes(real))
      return complain(at, `${quoted} includes itself, through ${stack.length} file(s)`);
    const read = await readRegularFile(real, maxIncludeBytes);
    if (!read.ok) return complain(at, `${quoted} ${read.message}`);
    if (!included.some((other) => other.file === real)) included.push({ file: real, bytes: read.bytes });
    const parsed = await parseConfigText(read.text, real);
    if (!parsed.ok) {
      problems.push(...parsed.problems);
      return undefined;
    }
    const root = { value: parsed.parsed.value, origin: { parsed: parsed.parsed, path: [] } };
    return visit(root, [...stack, real]);
  };

  const whole = await visit({ value: main.value, origin: { parsed: main, path: [] } }, [self]);
  return {
    value: whole?.value,
    origin: whole?.origin ?? { parsed: main, path: [] },
    included,
    problems,
  };
}

function child(origin: Origin, key: string | number): Origin {
  return origin.children?.get(String(key)) ?? { parsed: origin.parsed, path: [...origin.path, key] };
}

function merge(below: Node, above: Node): Node {
  if (!isObject(below.value) || !isObject(above.value)) return above;
  const value: Record<string, unknown> = {};
  const children = new Map<string, Origin>();
  for (const key of new Set([...Object.keys(below.value), ...Object.keys(above.value)])) {
    const low = below.value[key];
    const high = above.value[key];
    const lowNode = { value: low, origin: child(below.origin, key) };
    const highNode = { value: high, origin: child(above.origin, key) };
    const done = high === undefined ? lowNode : low === undefined ? highNode : merge(lowNode, highNode);
    value[key] = done.value;
    children.set(key, done.origin);
  }
  return { value, origin: { ...above.origin, children } };
}

/** The place in the file where the value at `path` of the composed config was written. */
export async function placeOf(
  origin: Origin,
  path: ConfigPath,
  atKey = false,
): Promise<{ readonly file: string; readonly line: number; readonly column: number }> {
  let at = origin;
  for (const key of path) at = child(at, key);
  return { file: at.parsed.file, ...(await at.parsed.place(at.path, atKey)) };
}

/** The file that alone wrote the object at `path`. */
export function ownerOf(
  origin: Origin,
  path: ConfigPath,
): { readonly file: string; readonly path: ConfigPath } {
  let at = origin;
  for (const key of path) at = child(at, key);
  return { file: at.parsed.file, path: at.path };
}

async function realRoots(roots: readonly string[]): Promise<readonly string[]> {
  return Promise.all(roots.filter(isAbsolute).map((root) => realpath(root).catch(() => root)));
}

function inside(file: string, roots: readonly string[]): boolean {
  return roots.some((root) => {
    const way = relative(root, file);
    return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
