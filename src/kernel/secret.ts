import { hash, timingSafeEqual } from "node:crypto";

const inspectSymbol = Symbol.for("nodejs.util.inspect.custom");

/** A string that no log, error, JSON or template can print by accident. */
export class Secret {
  readonly #value: string;
  #digest: Buffer | undefined;

  constructor(value: string) {
    this.#value = value;
  }

  /** The plain value. Call it only where the value leaves for the place it was made for. */
  reveal(): string {
    return this.#value;
  }

  /** Compares in constant time, whatever the lengths. An empty secret equals nothing, not even "". */
  equals(candidate: string): boolean {
    this.#digest ??= hash("sha256", this.#value, "buffer");
    return timingSafeEqual(this.#digest, hash("sha256", candidate, "buffer")) && this.#value.length > 0;
  }

  get length(): number {
    return this.#value.length;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspectSymbol](): string {
    return "[secret]";
  }
}
