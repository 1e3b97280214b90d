import type { OpenClawConfig } from "../config/mod.ts";
import { Secret } from "../kernel/mod.ts";

/** What an operator can set about the tools (`tools.exec`, `tools.web`). */
export interface ToolSettings {
  readonly exec: {
    /** How long a command may run when the call does not say; 0: without end. */
    readonly timeoutSeconds: number;
    /** How long a call waits before the command goes on in the background. */
    readonly yieldMs: number;
  };
  readonly webFetch: {
    readonly enabled: boolean;
    readonly maxChars: number;
    /** No call gets more, whatever it asks for. */
    readonly maxCharsCap: number;
    readonly maxResponseBytes: number;
    readonly timeoutSeconds: number;
    readonly maxRedirects: number;
    readonly userAgent: string;
    /** Sent to the origin of the URL only, not to where it redirects. */
    readonly headers: Readonly<Record<string, string>>;
  };
  /** Absent: no search service is set up. */
  readonly webSearch?: {
    readonly provider: SearchProviderName;
    readonly apiKey?: Secret;
    /** Where the provider is, when that is not where it usually is; without a slash at its end. */
    readonly baseUrl?: string;
    readonly maxResults: number;
    readonly timeoutSeconds: number;
  };
}

const searchProviders = ["brave", "searxng", "tavily"] as const;
type SearchProviderName = (typeof searchProviders)[number];

export const defaultToolSettings: ToolSettings = Object.freeze({
  exec: Object.freeze({ timeoutSeconds: 1800, yieldMs: 10_000 }),
  webFetch: Object.freeze({
    enabled: true,
    maxChars: 20_000,
    maxCharsCap: 20_000,
    maxResponseBytes: 750_000,
    timeoutSeconds: 30,
    maxRedirects: 3,
    userAgent: "Mozilla/5.0 (compatible; openclaw)",
    headers: Object.freeze({}),
  }),
});

/** What the config says; where it is silent, the defaults. */
export function toolSettings(config: OpenClawConfig): ToolSettings {
  const { exec, webFetch } = defaultToolSettings;
  const fetch = config.tools?.web?.fetch;
  const headers = Object.entries(fetch?.headers ?? {}).filter(
    (pair): pair is [string, string] => typeof pair[1] === "string",
  );
  return Object.freeze({
    exec: { ...exec, timeoutSeconds: config.tools?.exec?.timeoutSeconds ?? exec.timeoutSeconds },
    webFetch: {
      enabled: fetch?.enabled ?? webFetch.enabled,
      maxChars: fetch?.maxChars ?? webFetch.maxChars,
      maxCharsCap: fetch?.maxCharsCap ?? webFetch.maxCharsCap,
      maxResponseBytes: fetch?.maxResponseBytes ?? webFetch.maxResponseBytes,
      timeoutSeconds: fetch?.timeoutSeconds ?? webFetch.timeoutSeconds,
      maxRedirects: fetch?.maxRedirects ?? webFetch.maxRedirects,
      userAgent: fetch?.userAgent ?? webFetch.userAgent,
      headers: Object.fromEntries(headers),
    },
    ...webSearchSettings(config),
  });
}

/** A provider that is not known, or lacks what it needs, is none; {@link searchProblem} says so. */
function webSearchSettings(config: OpenClawConfig): Pick<ToolSettings, "webSearch"> {
  const search = config.tools?.web?.search;
  const provider = searchProviderOf(search);
  if (!search || !provider || searchProblem(config) !== undefined) return {};
  const { apiKey, baseUrl } = search;
  return {
    webSearch: {
      provider,
      ...(typeof apiKey === "string" ? { apiKey: new Secret(apiKey) } : {}),
      ...(baseUrl === undefined ? {} : { baseUrl: baseUrl.replace(/\/+$/, "") }),
      maxResults: Math.min(search.maxResults ?? 5, 20),
      timeoutSeconds: search.timeoutSeconds ?? 30,
    },
  };
}

type SearchConfig = NonNullable<NonNullable<NonNullable<OpenClawConfig["tools"]>["web"]>["search"]>;

function searchProviderOf(search: SearchConfig | undefined): SearchProviderName | undefined {
  const usual =
    search?.apiKey === undefined ? (search?.baseUrl === undefined ? undefined : "searxng") : "brave";
  const name = search?.provider ?? usual;
  return search?.enabled === false ? undefined : searchProviders.find((known) => known === name);
}

/** Why `tools.web.search`, which was set, gives no tool; undefined when it does, or was not set. */
export function searchProblem(config: OpenClawConfig): string | undefined {
  const search = config.tools?.web?.search;
  if (!search || search.enabled === false) return undefined;
  const provider = searchProviderOf(search);
  if (provider === undefined)
    return `tools.web.search: there is no provider ${JSON.stringify(search.provider ?? "")}; these are: ${searchProviders.join(", ")}`;
  if (provider === "searxng") {
    const url = URL.parse(search.baseUrl ?? "");
    if (url?.username === "" && url.password === "" && url.search === "" && url.hash === "") return undefined;
    return "tools.web.search: searxng needs baseUrl, as in http://127.0.0.1:8080, without a name, password or query";
  }
  return typeof search.apiKey === "string" && search.apiKey !== ""
    ? undefined
    : `tools.web.search: ${provider} needs apiKey`;
}
