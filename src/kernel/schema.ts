/**
 * JSON Schema, as much of it as we need: one description serves the config file, the wire protocol, and the
 * tools that are shown to a model. Builders give the static type, {@link check} gives the problems.
 * Our own because it stands in the start path: it loads in under a millisecond (docs/decisions/0003).
 */

declare const staticType: unique symbol;

/** A JSON Schema document (2020-12 subset) that describes values of type T. */
export interface Schema<T = unknown> {
  readonly [staticType]?: T;
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
  readonly description?: string;
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  /** With additionalProperties as a schema: what the keys must match. */
  readonly propertyNames?: Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly (string | number | boolean)[];
  readonly const?: string | number | boolean;
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

export type Static<S> = S extends Schema<infer T> ? T : never;

interface Note {
  readonly description?: string;
  readonly default?: unknown;
}

interface Optional<S extends Schema> {
  readonly optional: S;
}

type Members = { readonly [name: string]: Schema | Optional<Schema> };
type RequiredKeys<M extends Members> = { [K in keyof M]: M[K] extends Optional<Schema> ? never : K }[keyof M];
type OptionalKeys<M extends Members> = { [K in keyof M]: M[K] extends Optional<Schema> ? K : never }[keyof M];
type StaticMembers<M extends Members> = {
  readonly [K in RequiredKeys<M>]: Static<M[K]>;
} & {
  readonly [K in OptionalKeys<M>]?: M[K] extends Optional<infer S> ? Static<S> : never;
};
type Flat<T> = { [K in keyof T]: T[K] };

export function string(
  more: Note & { minLength?: number; maxLength?: number; pattern?: string } = {},
): Schema<string> {
  return { type: "string", ...more };
}

export function number(more: Note & { minimum?: number; maximum?: number } = {}): Schema<number> {
  return { type: "number", ...more };
}

export function integer(more: Note & { minimum?: number; maximum?: number } = {}): Schema<number> {
  return { type: "integer", ...more };
}

export function boolean(more: Note = {}): Schema<boolean> {
  return { type: "boolean", ...more };
}

export function oneOf<const V extends readonly (string | number | boolean)[]>(
  values: V,
  more: Note = {},
): Schema<V[number]> {
  return { enum: values, ...more };
}

export function array<S extends Schema>(
  items: S,
  more: Note & { minItems?: number; maxItems?: number } = {},
): Schema<readonly Static<S>[]> {
  return { type: "array", items, ...more };
}

/** A closed object: a key that is not named here is a problem. Wrap a member in {@link optional} to let it be absent. */
export function object<M extends Members>(members: M, more: Note = {}): Schema<Flat<StaticMembers<M>>> {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const [name, member] of Object.entries(members)) {
    if ("optional" in member) properties[name] = member.optional;
    else {
      properties[name] = member;
      required.push(name);
    }
  }
  return { type: "object", properties, required, additionalProperties: false, ...more };
}

/** The same object, but with keys it does not name let through unread. */
export function open<T>(schema: Schema<T>): Schema<T> {
  return { ...schema, additionalProperties: true };
}

export function optional<S extends Schema>(schema: S): Optional<S> {
  return { optional: schema };
}

/** An object used as a map; `keys` restricts the names. */
export function record<S extends Schema>(
  values: S,
  more: Note & { keys?: Schema<string> } = {},
): Schema<{ readonly [key: string]: Static<S> }> {
  const { keys, ...rest } = more;
  return { type: "object", additionalProperties: values, ...(keys ? { propertyNames: keys } : {}), ...rest };
}

export function union<const S extends readonly Schema[]>(
  schemas: S,
  more: Note = {},
): Schema<Static<S[number]>> {
  return { anyOf: schemas, ...more };
}

/** Any JSON value. */
export function any(more: Note = {}): Schema<unknown> {
  return { ...more };
}

/** One thing that is wrong with a value. */
export interface Problem {
  /** Keys and indexes from the root; empty means the root itself. */
  readonly path: readonly (string | number)[];
  readonly kind: "missing" | "unexpected" | "type" | "value";
  /** What was expected, as a phrase that follows "must": "be integer", "have required property 'x'". */
  readonly message: string;
  /** For `unexpected`: the keys that would have been valid there. */
  readonly valid?: readonly string[];
}

/** Everything wrong with `value`, in document order; empty means it conforms. Bounded at 20 problems. */
export function check(schema: Schema, value: unknown): Problem[] {
  const problems: Problem[] = [];
  visit(schema, value, [], problems);
  return problems;
}

const maxProblems = 20;

function visit(schema: Schema, value: unknown, path: readonly (string | number)[], out: Problem[]): void {
  if (out.length >= maxProblems) return;
  const bad = (message: string, kind: Problem["kind"] = "value"): void => {
    out.push({ path, kind, message });
  };
  if (schema.anyOf) visitAny(schema.anyOf, value, path, out);
  else if (schema.enum && !schema.enum.includes(value as string)) bad(`be ${describe(schema)}`);
  else if (schema.const !== undefined && value !== schema.const) bad(`be ${JSON.stringify(schema.const)}`);
  else if (schema.type && !hasType(schema.type, value)) bad(`be ${schema.type}`, "type");
  else if (typeof value === "string") visitString(schema, value, bad);
  else if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) bad(`be >= ${schema.minimum}`);
    if (schema.maximum !== undefined && value > schema.maximum) bad(`be <= ${schema.maximum}`);
  } else if (Array.isArray(value)) visitArray(schema, value, path, out);
  else if (schema.type === "object") visitObject(schema, value as Record<string, unknown>, path, out);
}

function visitString(schema: Schema, value: string, bad: (message: string) => void): void {
  if (schema.minLength !== undefined && value.length < schema.minLength) {
    bad(schema.minLength === 1 ? "not be empty" : `have at least ${schema.minLength} characters`);
  }
  if (schema.maxLength !== undefined && value.length > schema.maxLength) {
    bad(`have at most ${schema.maxLength} characters`);
  }
  if (schema.pattern !== undefined && !patternOf(schema.pattern).test(value)) bad(`match ${schema.pattern}`);
}

function visitArray(
  schema: Schema,
  value: readonly unknown[],
  path: readonly (string | number)[],
  out: Problem[],
): void {
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    out.push({ path, kind: "value", message: `have at least ${schema.minItems} items` });
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    out.push({ path, kind: "value", message: `have at most ${schema.maxItems} items` });
  }
  const items = schema.items;
  if (!items) return;
  for (const [index, item] of value.entries()) visit(items, item, [...path, index], out);
}

function visitObject(
  schema: Schema,
  value: Record<string, unknown>,
  path: readonly (string | number)[],
  out: Problem[],
): void {
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) {
      out.push({ path, kind: "missing", message: `have required property '${name}'` });
    }
  }
  const properties = schema.properties ?? {};
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (known) visit(known, member, [...path, name], out);
    else if (typeof schema.additionalProperties === "object") {
      if (schema.propertyNames && check(schema.propertyNames, name).length > 0) {
        out.push({
          path: [...path, name],
          kind: "value",
          message: `have a name that matches ${schema.propertyNames.pattern ?? "the allowed form"}`,
        });
      }
      visit(schema.additionalProperties, member, [...path, name], out);
    } else if (schema.additionalProperties === false) {
      out.push({
        path: [...path, name],
        kind: "unexpected",
        message: `not have unexpected property '${name}'`,
        valid: Object.keys(properties),
      });
    }
  }
}

/** The problems of the alternative that came closest: the one whose deepest problem lies deepest. */
function visitAny(
  schemas: readonly Schema[],
  value: unknown,
  path: readonly (string | number)[],
  out: Problem[],
): void {
  let closest: readonly Problem[] = [];
  let closestDepth = path.length;
  for (const schema of schemas) {
    const problems: Problem[] = [];
    visit(schema, value, path, problems);
    if (problems.length === 0) return;
    const depth = Math.max(...problems.map((problem) => problem.path.length));
    if (depth > closestDepth) {
      closest = problems;
      closestDepth = depth;
    }
  }
  if (closest.length > 0) out.push(...closest);
  else out.push({ path, kind: "type", message: `be ${schemas.map(describe).join(" or ")}` });
}

/** A short name for what a schema takes, for messages: "string", "one of \"a\", \"b\"", "object". */
export function describe(schema: Schema): string {
  if (schema.enum)
    return schema.enum.length === 1
      ? JSON.stringify(schema.enum[0])
      : `one of ${schema.enum.map((item) => JSON.stringify(item)).join(", ")}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(describe).join(" or ");
  return schema.type ?? "any value";
}

function hasType(type: NonNullable<Schema["type"]>, value: unknown): boolean {
  switch (type) {
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isSafeInteger(value);
    case "number":
      return typeof value === "number" && Number.isFinite(value);
    case "null":
      return value === null;
    default:
      return typeof value === type;
  }
}

// A pattern comes from our own schemas, never from input, so this cache is bounded by the source text.
const patterns = new Map<string, RegExp>();

function patternOf(source: string): RegExp {
  let pattern = patterns.get(source);
  if (!pattern) {
    pattern = new RegExp(source, "u");
    patterns.set(source, pattern);
  }
  return pattern;
}

/** The problem as one clause: `at /limit: must be integer`, `at root: unexpected property 'x'`. */
export function problemText(problem: Problem): string {
  const isKey = problem.kind === "unexpected";
  const path = isKey ? problem.path.slice(0, -1) : problem.path;
  const where = path.length === 0 ? "at root" : `at /${path.join("/")}`;
  return isKey
    ? `${where}: unexpected property '${problem.path.at(-1)}'`
    : `${where}: must ${problem.message}`;
}
