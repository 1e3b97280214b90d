import { type ConfigPath, formatPath } from "./config-path.ts";
import { isSecretPath } from "./secret-paths.ts";

/** Stands in for a secret wherever a config is shown. Written back, it means "keep what is stored". */
export const redacted = "__OPENCLAW_REDACTED__";

/**
 * A copy with every secret replaced by {@link redacted}: what stands at a secret path, what came from the
 * environment (`fromEnvironment`, see LoadedConfig), addresses with user info, and texts that look like a key.
 * References (`${NAME}`, SecretRef objects) stay: they say where a secret is, not what it is.
 * `at` is where in the config the value stands; a leaf is judged by it too.
 */
export function redactConfig(
  value: unknown,
  fromEnvironment: readonly ConfigPath[] = [],
  at: ConfigPath = [],
): unknown {
  const hidden = new Set(fromEnvironment.map(formatPath));
  const visit = (node: unknown, path: ConfigPath): unknown => {
    if (Array.isArray(node)) {
      return node.map((item, index) =>
        followsSecretFlag(node[index - 1]) && typeof item === "string"
          ? redacted
          : visit(item, [...path, index]),
      );
    }
    if (typeof node === "object" && node !== null) {
      return Object.fromEntries(
        Object.entries(node).map(([key, member]) => [key, visit(member, [...path, key])]),
      );
    }
    if (typeof node === "number") return isSecretPath(path) ? redacted : node;
    if (typeof node !== "string" || node === "") return node;
    if (hidden.has(formatPath(path))) return redacted;
    if (isReference(node)) return node;
    return isSecretPath(path) || looksSecret(node) ? redacted : node;
  };
  return visit(value, at);
}

function isReference(text: string): boolean {
  return /^\$(\{[A-Z_][A-Z0-9_]*\}|[A-Z_][A-Z0-9_]*)$/.test(text);
}

/** Shapes of keys that providers issue, and places in a URL or argument where secrets travel. */
const secretShapes: readonly RegExp[] = [
  /:\/\/[^/\s?#@]+@/,
  /[?&#;](access_token|api_?key|auth|key|password|secret|sig|signature|token)=[^&\s]/i,
  /^-{1,2}[\w-]*(token|password|secret|api-?key)=./i,
  /^(bearer|basic)\s+\S/i,
  /-----BEGIN [A-Z ]*PRIVATE KEY/,
  /^(sk|pk|rk)[-_][A-Za-z0-9_-]{12,}/,
  /^(xox[abeoprs]-|xapp-|gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]{8,}\.)/,
  /^\d{6,12}:[A-Za-z0-9_-]{30,}$/,
];

function looksSecret(text: string): boolean {
  return secretShapes.some((shape) => shape.test(text));
}

/** In a list of arguments, the value after `--token`. */
function followsSecretFlag(before: unknown): boolean {
  return typeof before === "string" && /^-{1,2}[\w-]*(token|password|passwd|secret|api-?key)$/i.test(before);
}

/** Thrown away parts would be secrets lost for good, so a placeholder without a stored value is an error. */
export type Restored =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly path: ConfigPath };

/**
 * `value` with each {@link redacted} replaced by what `stored` holds at the same path (in lists of objects with an
 * `id`, at the same id). Fails with the first path where nothing is stored.
 */
export function restoreRedacted(value: unknown, stored: unknown, at: ConfigPath = []): Restored {
  if (value === redacted) {
    const usable = typeof stored === "string" ? stored !== redacted : typeof stored === "number";
    return usable || isRef(stored) ? { ok: true, value: stored } : { ok: false, path: at };
  }
  if (typeof value !== "object" || value === null) return { ok: true, value };
  const isList = Array.isArray(value);
  const whole: [string, unknown][] = [];
  for (const [key, member] of Object.entries(value)) {
    const restored = restoreRedacted(member, counterpart(stored, key, member), [
      ...at,
      isList ? Number(key) : key,
    ]);
    if (!restored.ok) return restored;
    whole.push([key, restored.value]);
  }
  return { ok: true, value: isList ? whole.map(([, member]) => member) : Object.fromEntries(whole) };
}

function counterpart(stored: unknown, key: string, member: unknown): unknown {
  if (typeof stored !== "object" || stored === null) return undefined;
  if (!Array.isArray(stored))
    return Object.hasOwn(stored, key) ? (stored as Record<string, unknown>)[key] : undefined;
  const id = idOf(member);
  return id === undefined ? stored[Number(key)] : stored.find((item) => idOf(item) === id);
}

function idOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (value as { id?: unknown }).id : undefined;
}

function isRef(value: unknown): boolean {
  return typeof value === "object" && value !== null && "source" in value && "id" in value;
}

/** True when a placeholder of ours or of a log stands anywhere in the text: such a text is no backup of a config. */
export function holdsPlaceholder(text: string): boolean {
  return text.includes(redacted) || /["'](\*{3,}|\[redacted\])["']/i.test(text);
}
