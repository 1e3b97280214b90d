import type { IncomingHttpHeaders } from "node:http";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";

/** Headers that decide something here. Twice in one request, two readers may each believe a different one. */
const once: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "referer",
  "authorization",
  "content-type",
  "sec-fetch-site",
  "sec-websocket-key",
  "x-real-ip",
]);

/**
 * What the parser lets through and is refused all the same, because a proxy in front may have read it differently
 * (request smuggling). The parser itself refuses bare LF, folded headers, spaces before a colon, control characters,
 * Content-Length beside Transfer-Encoding, and two Content-Length. `identityHeaders` are held to being there once too:
 * a proxy that appends its own behind the client's would leave two names to choose from.
 */
export function judgeFraming(
  request: {
    readonly method: string;
    readonly httpVersion: string;
    readonly rawHeaders: readonly string[];
    readonly headers: IncomingHttpHeaders;
    readonly isUpgrade: boolean;
  },
  identityHeaders: readonly string[],
): Verdict<undefined> {
  const { headers, rawHeaders } = request;
  if (request.httpVersion !== "1.1" && request.httpVersion !== "1.0")
    return refuse("network.request_malformed", `HTTP version ${request.httpVersion}`);
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    if (!once.has(name) && !identityHeaders.includes(name)) continue;
    if (seen.has(name)) return refuse("network.request_malformed", `the header ${name} is there twice`);
    seen.add(name);
  }
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && coding.trim().toLowerCase() !== "chunked")
    return refuse("network.request_malformed", "a Transfer-Encoding other than chunked");
  const hasBody = coding !== undefined || (headers["content-length"] ?? "0") !== "0";
  // Nothing here reads such a body, so its bytes could be taken for the next request, or for frames.
  if (hasBody && (request.isUpgrade || request.method === "GET" || request.method === "HEAD"))
    return refuse("network.request_malformed", "a body where none belongs");
  return admit(undefined);
}

/**
 * The path that routes are matched against, without the query. It must be spelled in the one way: a path that can be
 * written in two ways is checked in one and served in the other. So no escapes of what needs none, no `//`,
 * no dot segments, no `;parameters`, no backslash, and no absolute form (`GET http://elsewhere/`).
 */
export function judgeTarget(target: string | undefined): Verdict<string> {
  const path = (target ?? "").split("?", 1)[0] as string;
  return isCanonicalPath(path) ? admit(path) : refuse("network.request_malformed", path.slice(0, 100));
}

function isCanonicalPath(path: string): boolean {
  if (!path.startsWith("/") || !/^[A-Za-z0-9\-._~!$&'()*+,=:@/%]+$/.test(path)) return false;
  if (/\/\/|\/\.{1,2}(?:\/|$)/.test(path)) return false;
  if (!path.includes("%")) return true;
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return false;
  }
  // Escapes are for what cannot stand plainly: text beyond ASCII, spaces, quotes. Never for what has a meaning in a
  // path, and never for another escape.
  const escaped = path.match(/%[0-9A-Fa-f]{2}/g) as string[];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are looked for
  return !/[%\\;\u0000-\u001f\u007f]/.test(decoded) && !escaped.some((item) => isPlain(item));
}

function isPlain(escaped: string): boolean {
  return /[A-Za-z0-9\-._~/?#]/.test(String.fromCharCode(Number.parseInt(escaped.slice(1), 16)));
}
