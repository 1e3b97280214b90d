import { isNearby } from "../nearby.ts";
import { type Rest, RestFault } from "./rest.ts";
import { defaultApiRoot } from "./settings.ts";

/** How many sessions may be begun today, as Discord's answer says. */
interface SessionLimit {
  readonly remaining?: unknown;
  readonly reset_after?: unknown;
}

/**
 * Where to connect to: the address that a session is resumed at, else the one that Discord names. The token is sent
 * there, so it must be one of Discord's own (where the API's root is elsewhere: that host, or one nearby). Rejects with
 * a RestFault when Discord cannot be asked, names another place, or gives no more sessions today.
 */
export async function gatewayUrl(
  resumeUrl: string | undefined,
  ports: { readonly rest: Rest; readonly apiRoot: string; readonly signal: AbortSignal },
): Promise<string> {
  const known = resumeUrl === undefined ? undefined : ownUrl(resumeUrl, ports.apiRoot);
  if (known !== undefined) return known;
  const answer = await ports.rest.call({ method: "GET", path: "/gateway/bot", signal: ports.signal });
  const { url, session_start_limit: limit } = (answer ?? {}) as {
    readonly url?: unknown;
    readonly session_start_limit?: SessionLimit;
  };
  if (limit?.remaining === 0 && typeof limit.reset_after === "number") {
    const text = "no more sessions may be begun today";
    throw new RestFault("GET /gateway/bot", { kind: "limited", retryAfterMs: limit.reset_after, text });
  }
  const named = typeof url === "string" ? ownUrl(url, ports.apiRoot) : undefined;
  if (named === undefined) {
    const text = "Discord names a gateway that is not its own";
    throw new RestFault("GET /gateway/bot", { kind: "answer", status: 200, code: 0, text });
  }
  return named;
}

function ownUrl(text: string, apiRoot: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.username !== "" || url.password !== "") return undefined;
  const isDiscords = url.protocol === "wss:" && url.port === "" && /\.discord\.gg$/.test(url.hostname);
  const isOurs =
    apiRoot !== defaultApiRoot &&
    ((url.protocol === "wss:" && url.hostname === new URL(apiRoot).hostname) ||
      (url.protocol === "ws:" && isNearby(url.hostname)));
  return isDiscords || isOurs ? `${url.origin}${url.pathname}` : undefined;
}
