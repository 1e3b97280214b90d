import { InputError } from "../kernel/mod.ts";

/**
 * Where a redirect leads, as a URL that is still to be judged. Throws an InputError when it leads from https to http
 * (whoever sits on the way could answer from then on) or nowhere.
 */
export function nextUrl(from: URL, location: string): string {
  const next = URL.parse(location, from.href);
  if (!next) throw new InputError(`${shown(from.href)} redirects to something that is not a URL.`);
  if (from.protocol === "https:" && next.protocol === "http:")
    throw refused(next.href, `${from.host} redirects from https to http`);
  // What the server wrote is judged, not what a parser made of it: an absolute target keeps its odd spelling.
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(location) ? location : next.href;
}

export function refused(url: string, detail: string): InputError {
  return new InputError(
    `${shown(url)} may not be fetched: ${detail}. Use a public http or https address, or ask the operator to list the host in tools.web.fetch.ssrfPolicy.`,
  );
}

/** Without query and user information, which may hold a secret. */
export function shown(url: string): string {
  const parsed = URL.parse(url);
  return JSON.stringify(
    parsed ? `${parsed.protocol}//${parsed.host}${parsed.pathname}`.slice(0, 300) : url.slice(0, 100),
  );
}
