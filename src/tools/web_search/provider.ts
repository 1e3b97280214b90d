import { InputError, type Json, type Secret } from "../../kernel/mod.ts";
import type { WebResponse } from "../../sandbox/tool.ts";

/** One place that can be searched: what to ask it, and how to read its answer. */
export interface SearchProvider {
  readonly name: string;
  /** Pure: the same query always asks the same. */
  request(query: string, count: number): SearchRequest;
  /** The results of an answer with status 200. Throws an InputError when it is none. */
  results(body: unknown): readonly SearchResult[];
}

export interface SearchRequest {
  readonly url: string;
  /** With the key, where there is one. They go to the origin of `url` and nowhere else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: Json;
}

/** Nothing in it is to be believed: titles and snippets are written by whoever wants to be found. */
export interface SearchResult {
  readonly title: string;
  readonly url: string;
  readonly snippet: string;
}

/** What an operator has to say for a provider to be used. */
export interface SearchAccess {
  readonly apiKey?: Secret;
  /** Origin, and maybe a path, without a trailing slash. */
  readonly baseUrl?: string;
}

/** A list of things with the named text fields; what lacks a web address is left out. */
export function resultsFrom(
  list: unknown,
  names: { readonly title: string; readonly url: string; readonly snippet: string },
): readonly SearchResult[] {
  if (!Array.isArray(list)) throw new InputError("The search service answered without a list of results.");
  return list.flatMap((item: unknown) => {
    const field = (name: string) => {
      const value = (item as Record<string, unknown> | null)?.[name];
      return typeof value === "string" ? value : "";
    };
    const url = URL.parse(field(names.url));
    if (!url || !/^https?:$/.test(url.protocol)) return [];
    return [{ title: field(names.title), url: url.href, snippet: field(names.snippet) }];
  });
}

/** The member `name` of something that may be anything. */
export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** What went wrong, in words that say what to do; the service's own words are not repeated. */
export function requireSuccess(name: string, { status }: WebResponse): void {
  if (status === 200) return;
  const hint =
    status === 401 || status === 403
      ? name === "searxng"
        ? "its operator has to allow the format json (search.formats in its settings.yml)"
        : "its key is not accepted (tools.web.search.apiKey)"
      : status === 429
        ? "its quota is used up; wait, or ask less often"
        : "try again later";
  throw new InputError(`The search service ${name} answered with status ${status}: ${hint}.`);
}
