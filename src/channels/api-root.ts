import { isNearby } from "./nearby.ts";
import type { SettingsReader } from "./settings-reader.ts";

/**
 * Where a platform's API is asked (`apiRoot`), without a slash at its end. Every request to it holds a token, so that
 * clear text is for this machine and private networks only. What is no such address is a problem, and the default.
 */
export function apiRootOf(place: SettingsReader, defaultApiRoot: string): string {
  const text = place.string("apiRoot");
  if (text === undefined) return defaultApiRoot;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    place.problem("apiRoot", "be an https URL without user, query or fragment");
    return defaultApiRoot;
  }
  if (url.protocol === "http:" && !isNearby(url.hostname)) {
    place.problem("apiRoot", "use https (http only for this machine or a private network)");
    return defaultApiRoot;
  }
  return text.replace(/\/+$/, "");
}
