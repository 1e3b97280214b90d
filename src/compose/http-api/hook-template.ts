/** What a template may name. */
export interface HookContext {
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: string;
  /** Behind the hooks' own path: "github". */
  readonly path: string;
  readonly now: string;
}

const placeholder = /\{\{\s*([^{}]{1,200}?)\s*\}\}/g;
/** They prove the caller, or somebody else's caller: no agent has to read them. */
const hiddenHeaders = ["authorization", "proxy-authorization", "cookie", "x-openclaw-token"];
const maxValueChars = 200_000;

/** The names in a template, each once, in order. */
export function templateNames(template: string): readonly string[] {
  return [...new Set([...template.matchAll(placeholder)].map((match) => match[1] as string))];
}

export function renderTemplate(template: string, context: HookContext): string {
  return template.replace(placeholder, (_whole, name: string) => templateValue(name, context));
}

/**
 * `payload.x.y`, `messages[0].from` (within the payload), `headers.h`, `query.q`, `path`, `now`; "" for what is not
 * there. Only own members are looked up and nothing is called, so that a name in a payload cannot reach the language
 * behind it (attack A-228).
 */
export function templateValue(name: string, context: HookContext): string {
  const words = wordsOf(name);
  const [root, ...rest] = words;
  if (root === undefined) return "";
  switch (root) {
    case "now":
      return context.now;
    case "path":
      return context.path;
    case "headers": {
      const header = rest.join(".").toLowerCase();
      return hiddenHeaders.includes(header) ? "" : textOf(memberOf(context.headers, header));
    }
    case "query":
      return new URLSearchParams(context.query).get(rest.join(".")) ?? "";
    case "payload":
      return textOf(rest.reduce(memberOf, context.payload));
    default:
      return textOf(words.reduce(memberOf, context.payload));
  }
}

/** `a.b[0]` as its words; nothing for a name that cannot be one. */
export function wordsOf(name: string): readonly string[] {
  if (!/^[\w$-]+(?:\.[\w$-]+|\[\d{1,6}\])*$/.test(name)) return [];
  return name.split(/[.[\]]+/).filter((word) => word !== "");
}

export function memberOf(value: unknown, word: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  if (word === "__proto__" || word === "constructor" || word === "prototype") return undefined;
  return Object.hasOwn(value, word) ? (value as Readonly<Record<string, unknown>>)[word] : undefined;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value.slice(0, maxValueChars);
  return (JSON.stringify(value) ?? "").slice(0, maxValueChars);
}
