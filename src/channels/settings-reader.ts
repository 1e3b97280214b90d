import type { Problem } from "../kernel/mod.ts";

/** Reads the keys of one object of the config, and notes what does not fit instead of throwing. */
export class SettingsReader {
  readonly value: Readonly<Record<string, unknown>>;
  readonly path: readonly (string | number)[];
  readonly problems: Problem[];

  constructor(value: unknown, path: readonly (string | number)[], problems: Problem[]) {
    this.path = path;
    this.problems = problems;
    this.value = isObject(value) ? value : {};
    if (!isObject(value)) problems.push({ path, kind: "type", message: "be object" });
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.value, key) ? this.value[key] : undefined;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  /** `message` follows "must". */
  problem(key: string, message: string): void {
    this.problems.push({ path: [...this.path, key], kind: "value", message });
  }

  string(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === "string" && value.trim() !== "") return value;
    this.problem(key, "be a string that is not blank");
    return undefined;
  }

  boolean(key: string, otherwise: boolean): boolean {
    const value = this.raw(key);
    if (typeof value === "boolean") return value;
    if (value !== undefined) this.problem(key, "be true or false");
    return otherwise;
  }

  integer(key: string, least: number, most: number): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
      return value as number;
    }
    this.problem(key, `be an integer from ${least} to ${most}`);
    return undefined;
  }

  oneOf<const V extends string>(key: string, values: readonly V[]): V | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (values.includes(value as V)) return value as V;
    this.problem(key, `be one of ${values.join(", ")}`);
    return undefined;
  }

  /** An absent key reads as an empty object. */
  object(key: string): Readonly<Record<string, unknown>> {
    const value = this.raw(key);
    if (value === undefined) return {};
    if (isObject(value)) return value;
    this.problem(key, "be object");
    return {};
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
