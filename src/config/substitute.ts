import type { ConfigPath } from "./config-path.ts";

export interface Substituted {
  readonly value: unknown;
  /** Values that now hold something from the environment. They may be secrets, whatever their key is called. */
  readonly fromEnvironment: readonly ConfigPath[];
  /** Variables that are not set; their `${NAME}` stays in the value as it is. */
  readonly missing: readonly { readonly path: ConfigPath; readonly name: string }[];
}

const reference = /\$?\$\{([A-Z_][A-Z0-9_]*)\}/g;

/**
 * Replaces `${NAME}` in every string by the variable's value; `$${NAME}` stands for the text `${NAME}`. The value
 * is taken as it is: what it holds is never substituted again. A new tree; the given one is left alone.
 */
export function substitute(
  value: unknown,
  env: { readonly [name: string]: string | undefined },
): Substituted {
  const fromEnvironment: ConfigPath[] = [];
  const missing: { path: ConfigPath; name: string }[] = [];

  const inText = (text: string, path: ConfigPath): string => {
    let used = false;
    const result = text.replace(reference, (whole, name: string) => {
      if (whole.startsWith("$$")) return whole.slice(1);
      const found = Object.hasOwn(env, name) ? env[name] : undefined;
      if (found === undefined) {
        missing.push({ path, name });
        return whole;
      }
      used = true;
      return found;
    });
    if (used) fromEnvironment.push(path);
    return result;
  };

  const visit = (node: unknown, path: ConfigPath): unknown => {
    if (typeof node === "string") return node.includes("${") ? inText(node, path) : node;
    if (typeof node !== "object" || node === null) return node;
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]));
    return Object.fromEntries(
      Object.entries(node).map(([key, member]) => [key, visit(member, [...path, key])]),
    );
  };

  return { value: visit(value, []), fromEnvironment, missing };
}

/** True for a text that is, or still holds, an unreplaced `${NAME}`. */
export function holdsReference(text: string): boolean {
  return /\$\{[A-Z_][A-Z0-9_]*\}/.test(text);
}
