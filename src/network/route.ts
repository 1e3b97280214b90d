import type { HttpAnswer } from "./answer.ts";
import type { Arrival } from "./arrival.ts";

/** One HTTP route: everything that may be reached without a WebSocket has a row. */
export interface Route {
  readonly method: "GET" | "POST";
  /** An exact path, or a prefix that ends in "/*". */
  readonly path: string;
  /** For a prefix: which paths under it exist right now. Absent: all. */
  readonly has?: (path: string) => boolean;
  /**
   * How the caller is proved before the handler runs; "none" only for what is public by design. A webhook proves each
   * request by itself: it is answered through a proxy that is not trusted and under any host name, without an arrival.
   */
  readonly auth: "none" | "browser-session" | "operator" | "webhook";
  readonly maxBodyBytes: number;
  /** Runs before the body is read; what it answers ends the request there. */
  readonly before?: (head: HttpHead) => Promise<HttpAnswer | undefined> | HttpAnswer | undefined;
  /** True: answered even when Host or proxy headers look wrong (liveness probes). Such a handler reveals nothing. */
  readonly anyHost?: boolean;
  handle(request: HttpRequest): Promise<HttpAnswer> | HttpAnswer;
}

/** What is known of a request before its body. */
export interface HttpHead {
  readonly path: string;
  /** What stands behind the "?", undecoded; "" when there is none. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly arrival: Arrival | undefined;
  /** Value of the session cookie, "" when there is none. */
  readonly cookie: string;
}

export interface HttpRequest extends HttpHead {
  readonly body: Buffer;
  /** Aborts when the caller goes away before the answer is whole. */
  readonly closed: AbortSignal;
}

export const sessionCookie = "openclaw_session";

/** The rows for a path, and the one among them for the method. HEAD is answered as GET; override headers are not read. */
export function routesFor(
  routes: readonly Route[],
  method: string | undefined,
  path: string,
): { readonly route: Route | undefined; readonly allowed: readonly string[] } {
  const rows = routes.filter((row) => matches(row.path, path) && row.has?.(path) !== false);
  const wanted = method === "HEAD" ? "GET" : method;
  return { route: rows.find((row) => row.method === wanted), allowed: rows.map((row) => row.method) };
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith("/*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** The session cookie's value; the first where a name comes twice, as browsers send the more specific one first. */
export function cookieOf(header: string | undefined): string {
  for (const part of (header ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === sessionCookie) return value ?? "";
  }
  return "";
}
