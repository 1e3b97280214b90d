import { member, resultsFrom, type SearchAccess, type SearchProvider } from "./provider.ts";

/** A SearXNG of the operator's own. https://docs.searxng.org/dev/search_api */
export function searxng({ baseUrl }: SearchAccess): SearchProvider | undefined {
  if (baseUrl === undefined) return undefined;
  return {
    name: "searxng",
    request(query) {
      const url = new URL(`${baseUrl}/search`);
      url.searchParams.set("q", query);
      url.searchParams.set("format", "json");
      return { url: url.href, headers: { accept: "application/json" } };
    },
    results: (body) =>
      resultsFrom(member(body, "results"), { title: "title", url: "url", snippet: "content" }),
  };
}
