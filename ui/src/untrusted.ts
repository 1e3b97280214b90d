/**
 * Readers for JSON from outside. A field of the wrong kind reads as absent, so a gateway, model or chat
 * platform that sends something odd costs one field and never the page.
 */
export type Fields = Readonly<Record<string, unknown>>;

const none: Fields = Object.freeze(Object.create(null));

/** The object, or one without fields. */
export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : none;
}

/** The array, or an empty one. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The string, or "". */
export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The first value that is a string with something in it, or "". */
export function firstText(...values: readonly unknown[]): string {
  for (const value of values) if (typeof value === "string" && value.trim() !== "") return value;
  return "";
}

/** The finite number, or undefined. */
export function amount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
