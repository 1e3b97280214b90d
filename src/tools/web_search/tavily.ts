import { member, resultsFrom, type SearchAccess, type SearchProvider } from "./provider.ts";

const endpoint = "https://api.tavily.com/search";
const maxCount = 20;

/** https://docs.tavily.com/api-reference/endpoint/search */
export function tavily({ apiKey, baseUrl }: SearchAccess): SearchProvider | undefined {
  if (apiKey === undefined) return undefined;
  return {
    name: "tavily",
    request: (query, count) => ({
      url: baseUrl ?? endpoint,
      headers: { accept: "application/json", authorization: `Bearer ${apiKey.reveal()}` },
      json: { query, max_results: Math.min(count, maxCount) },
    }),
    results: (body) =>
      resultsFrom(member(body, "results"), { title: "title", url: "url", snippet: "content" }),
  };
}
