/**
 * The address when it is one that a link in a reply may have: http, https or mailto, and absolute. Decided on
 * what the browser's own parser makes of it, so that `JaVa\tScript:` and its kin do not pass.
 */
export function safeLink(href: string): string | undefined {
  const url = URL.parse(href.trim());
  if (url === null) return undefined;
  // A name before the host ("bank.example@other.example") is there to deceive.
  if (url.username !== "" || url.password !== "") return undefined;
  return /^(https?|mailto):$/.test(url.protocol) ? url.href : undefined;
}
