import type { OpenClawConfig } from "../config/mod.ts";

/** What an operator can set about the tools (`tools.exec`, `tools.web.fetch`). */
export interface ToolSettings {
  readonly exec: {
    /** How long a command may run when the call does not say; 0: without end. */
    readonly timeoutSeconds: number;
    /** How long a call waits before the command goes on in the background. */
    readonly yieldMs: number;
  };
  readonly webFetch: {
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
}

export const defaultToolSettings: ToolSettings = Object.freeze({
  exec: Object.freeze({ timeoutSeconds: 1800, yieldMs: 10_000 }),
  webFetch: Object.freeze({
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
      maxChars: fetch?.maxChars ?? webFetch.maxChars,
      maxCharsCap: fetch?.maxCharsCap ?? webFetch.maxCharsCap,
      maxResponseBytes: fetch?.maxResponseBytes ?? webFetch.maxResponseBytes,
      timeoutSeconds: fetch?.timeoutSeconds ?? webFetch.timeoutSeconds,
      maxRedirects: fetch?.maxRedirects ?? webFetch.maxRedirects,
      userAgent: fetch?.userAgent ?? webFetch.userAgent,
      headers: Object.fromEntries(headers),
    },
  });
}
