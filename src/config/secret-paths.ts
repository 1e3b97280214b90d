import type { ConfigPath } from "./config-path.ts";

/**
 * Where the format keeps secrets. `*` stands for one key, `**` for any number of them.
 * A value at such a path is never shown, whatever it is.
 */
export const secretPaths: readonly string[] = [
  "env.*",
  "env.vars.*",
  "gateway.auth.token",
  "gateway.auth.password",
  "gateway.remote.token",
  "gateway.remote.password",
  "hooks.token",
  "hooks.gmail.pushToken",
  "cron.webhookToken",
  "models.providers.*.apiKey",
  "models.providers.*.headers.*",
  "models.providers.*.models.*.headers.*",
  "skills.entries.*.apiKey",
  "skills.entries.*.env.*",
  "plugins.entries.*.apiKey",
  "plugins.entries.*.env.*",
  "mcp.servers.*.headers.*",
  "mcp.servers.*.env.*",
  "mcp.servers.*.oauth.clientSecret",
  "hooks.internal.entries.*.env.*",
  "tools.web.search.apiKey",
  "tools.web.fetch.headers.*",
  "diagnostics.otel.headers.*",
  "agents.defaults.sandbox.docker.env.*",
  "agents.list.*.sandbox.docker.env.*",
  "agents.entries.*.sandbox.docker.env.*",
  "agents.**.identityData",
  "agents.**.egress.*.inject.value",
];

const patterns: readonly (readonly string[])[] = secretPaths.map((path) => path.split("."));

/**
 * Names that make a value a secret wherever it stands: botToken, appPassword, api_key, signingSecret, OPENAI_API_KEY.
 * Counts of tokens and names of variables or files are not secrets.
 */
const secretName =
  /(token|password|passwd|passphrase|secret|api[-_]?key|private[-_]?key|access[-_]?key|credentials?|authorization|cookie|bearer|webhookurl)$/i;
const notSecret =
  /^(maxtokens|contexttokens|reservetokens|keeprecenttokens|tokenfile|allowrequestsessionkey)$/i;

/** True when the value at `path` is one that must not be shown. */
export function isSecretPath(path: ConfigPath): boolean {
  const keys = path.map(String);
  if (patterns.some((pattern) => matches(pattern, keys))) return true;
  const name = lastName(path);
  return name !== undefined && secretName.test(name) && !notSecret.test(name);
}

/** The last key that is a name: indexes say nothing. */
function lastName(path: ConfigPath): string | undefined {
  for (let at = path.length - 1; at >= 0; at--) {
    const key = path[at];
    if (typeof key === "string" && !/^\d+$/.test(key)) return key;
  }
  return undefined;
}

function matches(pattern: readonly string[], keys: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return keys.length === 0;
  if (head === "**") {
    for (let skip = 0; skip <= keys.length; skip++) if (matches(rest, keys.slice(skip))) return true;
    return false;
  }
  const [key, ...others] = keys;
  return key !== undefined && (head === "*" || head === key) && matches(rest, others);
}
