/**
 * Takes secrets out of text that goes to a log, an error or a client. Best effort on shapes, exact on the values
 * that were registered: the latter are the ones that this gateway holds.
 */
export type Redactor = (text: string) => string;

const mask = "[redacted]";

const shapes: readonly (readonly [RegExp, string])[] = [
  [/\b(authorization\s*[:=]\s*(?:bearer|basic)\s+)[^\s"',;]+/gi, `$1${mask}`],
  [/\b(bearer\s+)[A-Za-z0-9._~+/-]{12,}=*/gi, `$1${mask}`],
  [
    /\b((?:api[_-]?key|access[_-]?token|refresh[_-]?token|client[_-]?secret|password|passwd|secret|token)["']?\s*[:=]\s*["']?)[^\s"'&,;}{]{4,}/gi,
    `$1${mask}`,
  ],
  [/\bsk-[A-Za-z0-9_-]{16,}/g, mask],
  [/\b(?:ghp|gho|ghs|ghr|github_pat)_[A-Za-z0-9_]{20,}/g, mask],
  [/\bxox[abpr]-[A-Za-z0-9-]{10,}/g, mask],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, mask],
  [/\bAIza[A-Za-z0-9_-]{30,}/g, mask],
  [/\b\d{6,12}:[A-Za-z0-9_-]{30,}/g, mask],
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}/g, mask],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, mask],
  [/(\w+:\/\/[^\s/:@]*:)[^\s/@]+@/g, `$1${mask}@`],
];

/** `values` are asked for on each call, so a rotated secret is covered at once. Patterns come from the config. */
export function createRedactor(values: () => readonly string[], patterns: readonly string[]): Redactor {
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
    for (const [shape, replacement] of shapes) out = out.replace(shape, replacement);
    for (const pattern of own) out = out.replace(pattern, mask);
    return out;
  };
}
