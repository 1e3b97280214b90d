/** Readers for JSON that somebody else wrote: whatever the shape is, they answer and never throw. */

export type Fields = { readonly [name: string]: unknown };

const nothing: Fields = Object.freeze({});

/** The value as an object; an empty one when it is anything else. */
export function fields(value: unknown): Fields {
  return isObject(value) ? value : nothing;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as a list; an empty one when it is anything else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as text; "" when it is anything else. */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The value as a count: a whole number of zero or more; 0 when it is anything else. */
export function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}
