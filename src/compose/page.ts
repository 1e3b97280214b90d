import { readFile, stat } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import type { AuthSettings, BrowserSessions, Lockout, ProxyCallers } from "../auth/mod.ts";
import { checkSecret } from "../auth/mod.ts";
import { sessionPath, signInPath, signOutPath } from "../control/mod.ts";
import { type Clock, type Log, reasonText, type Secret, sleep } from "../kernel/mod.ts";
import { type HttpAnswer, type HttpRequest, problem, type Route, sessionCookie } from "../network/mod.ts";

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};

/** Nothing from elsewhere, nothing inline, no frames: what a message could inject has nothing to run in. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** The web page's routes: its files, and signing in and out. */
export function pageRoutes(ports: {
  readonly folder: string;
  readonly sessions: BrowserSessions;
  readonly authSettings: () => AuthSettings;
  readonly callers: ProxyCallers;
  readonly lockout: Lockout;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the page's open sockets after a sign-out. */
  readonly signedOut: () => void;
}): Route[] {
  return [
    {
      method: "GET",
      path: "/",
      auth: "none",
      maxBodyBytes: 0,
      handle: () => file(ports.folder, "index.html"),
    },
    {
      method: "GET",
      path: "/assets/*",
      auth: "none",
      maxBodyBytes: 0,
      handle: (request) => file(ports.folder, request.path.slice(1)),
    },
    {
      method: "GET",
      path: sessionPath,
      auth: "browser-session",
      maxBodyBytes: 0,
      handle: async (request) =>
        (await isSignedIn(request, ports))
          ? { status: 200, headers: { "content-type": "application/json" }, body: '{"signedIn":true}' }
          : problem(401, "signed_out", "Not signed in."),
    },
    {
      method: "POST",
      path: signInPath,
      auth: "none",
      maxBodyBytes: 4096,
      handle: (request) => signIn(request, ports),
    },
    {
      method: "POST",
      path: signOutPath,
      auth: "browser-session",
      maxBodyBytes: 4096,
      async handle(request) {
        if (!sameSite(request)) return problem(403, "origin_refused", reasonText("network.origin_refused"));
        if (ports.sessions.check(request.cookie) !== undefined) {
          await ports.sessions.close(request.cookie);
          ports.signedOut();
        }
        return {
          status: 204,
          headers: { "set-cookie": cookieText(request, "", 0) },
        };
      },
    },
  ];
}

/** A ticket or the gateway's secret in, a session cookie out. Wrong ones count like wrong secrets anywhere. */
async function signIn(request: HttpRequest, ports: Parameters<typeof pageRoutes>[0]): Promise<HttpAnswer> {
  const { arrival } = request;
  if (!arrival || !sameSite(request))
    return problem(403, "origin_refused", reasonText("network.origin_refused"));
  if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
    return problem(415, "content_type", "Send application/json.");
  }
  // A page can be made to call us by any other page: its failures are counted even from loopback, on a key of
  // their own, so that they can never lock out the owner's command line.
  const address = `page:${arrival.limitKey}`;
  const lockedForMs = ports.lockout.lockedForMs(address, false);
  if (lockedForMs > 0) {
    return {
      ...problem(429, "rate_limited", reasonText("auth.rate_limited")),
      headers: { "content-type": "application/json", "retry-after": String(Math.ceil(lockedForMs / 1000)) },
    };
  }
  const given = parse(request.body);
  const viaTicket = typeof given.ticket === "string" && ports.sessions.redeem(given.ticket);
  const secret =
    typeof given.token === "string"
      ? checkSecret({ token: given.token, isLocal: arrival.isLocal }, ports.authSettings())
      : undefined;
  if (!viaTicket && secret?.ok !== true) {
    const reason =
      typeof given.ticket === "string"
        ? "auth.ticket_invalid"
        : given.token
          ? "auth.secret_mismatch"
          : "auth.secret_missing";
    if (reason === "auth.secret_mismatch") await sleep(ports.clock, ports.lockout.fail(address, false));
    ports.log("warn", "a sign-in was refused", { reason, address: arrival.address });
    return problem(401, reason, reasonText(reason));
  }
  ports.lockout.succeed(address);
  const cookie: Secret = await ports.sessions.open();
  return {
    status: 204,
    headers: { "set-cookie": cookieText(request, cookie.reveal(), 2_592_000) },
  };
}

/** By its cookie, or by the proxy in front. */
async function isSignedIn(
  request: HttpRequest,
  ports: { readonly sessions: BrowserSessions; readonly callers: ProxyCallers },
): Promise<boolean> {
  const asked = request.arrival && ports.callers.identify(request.arrival);
  const identity = asked && (await asked);
  if (identity?.ok) return identity.value.method === "trusted-proxy";
  return ports.sessions.check(request.cookie) !== undefined;
}

/** A cookie that was set over https never goes out over http, where others could read it. */
function cookieText(request: HttpRequest, value: string, maxAgeSeconds: number): string {
  const secure = request.arrival?.scheme === "https" ? "; Secure" : "";
  return `${sessionCookie}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${secure}`;
}

function parse(body: Buffer): { readonly ticket?: unknown; readonly token?: unknown } {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Browsers say where a request comes from; a form on another site cannot leave that out. */
function sameSite(request: HttpRequest): boolean {
  const site = request.headers["sec-fetch-site"];
  return site === undefined || site === "same-origin" || site === "none";
}

async function file(folder: string, name: string): Promise<HttpAnswer> {
  const path = normalize(join(folder, name));
  const type = contentTypes[extname(path)];
  if (!path.startsWith(folder) || type === undefined || /%|\\|\0/.test(name))
    return problem(404, "not_found", "There is nothing at this path.");
  try {
    if (!(await stat(path)).isFile()) return problem(404, "not_found", "There is nothing at this path.");
    const immutable = name.startsWith("assets/");
    return {
      status: 200,
      headers: {
        "content-type": type,
        "content-security-policy": contentSecurityPolicy,
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
        ...(immutable ? { "cache-control": "public, max-age=31536000, immutable" } : {}),
      },
      body: await readFile(path),
    };
  } catch {
    return name === "index.html"
      ? {
          status: 503,
          headers: { "content-type": "text/plain; charset=utf-8" },
          body: "The page is not built yet. Run: npm run build\n",
        }
      : problem(404, "not_found", "There is nothing at this path.");
  }
}
