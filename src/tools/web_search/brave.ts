import { member, resultsFrom, type SearchAccess, type SearchProvider } from "./provider.ts";

const endpoint = "https://api.search.brave.com/res/v1/web/search";
const maxQueryChars = 400;
const maxCount = 20;

/** Brave Search's web search. https://api-dashboard.search.brave.com/api-reference/web/search/get */
export function brave({ apiKey, baseUrl }: SearchAccess): SearchProvider | undefined {
  if (apiKey === undefined) return undefined;
  return {
    name: "brave",
    request(query, count) {
      const url = new URL(baseUrl ?? endpoint);
      url.searchParams.set("q", query.slice(0, maxQueryChars));
      url.searchParams.set("count", String(Math.min(count, maxCount)));
      // Without it words in titles and descriptions come wrapped in HTML.
      url.searchParams.set("text_decorations", "false");
      return {
        url: url.href,
        headers: { accept: "application/json", "x-subscription-token": apiKey.reveal() },
      };
    },
    results: (body) =>
      // Nothing found: there is no "web" at all.
      resultsFrom(member(member(body, "web") ?? { results: [] }, "results"), {
        title: "title",
        url: "url",
        snippet: "description",
      }),
  };
}
