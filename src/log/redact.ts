import { namesSecret, secretSpans } from "./secret-shapes.ts";

/**
 * Takes secrets out of text that people read: a log, an error, a client, a chat, a copy for people. Best effort on
 * shapes, exact on the values that were registered: the latter are the ones that this gateway holds.
 */
export type Redactor = (text: string) => string;

/** The same for all texts of a value, and for what stands under a name that says that it is secret. */
export type ValueRedactor = (value: unknown) => unknown;

const mask = "[redacted]";
/** Of a shorter one nothing is shown: its ends would be most of it. */
const minCharsWithEnds = 16;
const maxDepth = 100;

/**
 * `values` are asked for on each call, so a rotated secret is covered at once. Patterns come from the config. For a judge,
 * somebody who allows a command by what he sees of it, nothing that acts is hidden, however much it looks like a secret.
 */
export function createRedactor(
  values: () => readonly string[],
  patterns: readonly string[],
  reader: { readonly isJudge: boolean } = { isJudge: false },
): Redactor {
  const own: RegExp[] = [];
  for (const pattern of patterns) {
    try {
      own.push(new RegExp(pattern, "gi"));
    } catch {
      // A pattern that is no regular expression is taken as the text itself: it must not redact nothing.
      own.push(new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi"));
    }
  }
  return (text) => {
    let out = text;
    for (const value of values()) if (value.length >= 6) out = out.replaceAll(value, mask);
    out = withoutSpans(out, reader.isJudge);
    for (const pattern of own) out = out.replace(pattern, mask);
    return out;
  };
}

export function valueRedactor(redact: Redactor): ValueRedactor {
  const clean = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return redact(value);
    if (typeof value !== "object" || value === null) return value;
    if (depth > maxDepth) return mask;
    if (Array.isArray(value))
      return value.map((item, index) =>
        typeof item === "string" && isSecretFlag(value[index - 1])
          ? hidden(redact(item))
          : clean(item, depth + 1),
      );
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        typeof item === "string" && namesSecret(name) ? hidden(redact(item)) : clean(item, depth + 1),
      ]),
    );
  };
  return (value) => clean(value, 0);
}

/** Of a command's words, each of which is a text of its own. */
function isSecretFlag(word: unknown): boolean {
  return typeof word === "string" && /^--?[a-z]/.test(word) && !word.includes("=") && namesSecret(word);
}

/** Enough of its ends to tell one from another, and too little to use it. */
function hidden(secret: string): string {
  if (secret === "" || secret.includes(mask)) return secret;
  return secret.length < minCharsWithEnds ? mask : `${secret.slice(0, 4)}${mask}${secret.slice(-2)}`;
}

function withoutSpans(text: string, isJudged: boolean): string {
  const spans = secretSpans(text, isJudged).toSorted((a, b) => a[0] - b[0] || b[1] - a[1]);
  let out = "";
  let at = 0;
  for (const [start, end] of spans) {
    if (end <= at) continue;
    const from = Math.max(start, at);
    out += text.slice(at, from) + (from === start ? hidden(text.slice(start, end)) : mask);
    at = end;
  }
  return out + text.slice(at);
}
