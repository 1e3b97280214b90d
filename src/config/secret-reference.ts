import { type ConfigPath, valueAt } from "./config-path.ts";
import type { OpenClawConfig } from "./schema/mod.ts";

/** Where a secret is kept instead of in the file. */
export interface SecretReference {
  readonly source: "env" | "file" | "exec" | "store";
  /** Under `secrets.providers`; absent: the source's default. */
  readonly provider?: string;
  /** A variable, a JSON pointer into a file (or "value"), or the provider program's own name for it. */
  readonly id: string;
}

export type Secrets = NonNullable<OpenClawConfig["secrets"]>;
export type SecretProvider = NonNullable<Secrets["providers"]>[string];

/** Gets what a reference stands for, or says why not: one sentence that names no value. */
export type FollowReference = (
  reference: SecretReference,
  provider: SecretProvider,
) => Promise<{ readonly ok: true; readonly value: string } | { readonly ok: false; readonly why: string }>;

/** The settings whose references are followed; anywhere else a reference is not. `*` stands for one key or index. */
const followed: readonly ConfigPath[] = [
  ["gateway", "auth", "token"],
  ["gateway", "auth", "password"],
  ["hooks", "token"],
  ["tools", "web", "search", "apiKey"],
  ...[["defaults"], ["list", "*"], ["entries", "*"]].map((at) => [
    ...["agents", ...at, "sandbox", "egress", "*", "inject", "value"],
  ]),
];

const ids: Readonly<Record<SecretReference["source"], RegExp>> = {
  env: /^[A-Z][A-Z0-9_]{0,127}$/,
  store: /^[A-Z][A-Z0-9_]{0,127}$/,
  // RFC 6901: "~" stands only in "~0" and "~1".
  file: /^(?:value|(?:\/(?:[^~/\p{C}]|~[01])*)+)$/u,
  exec: /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}$/,
};

/** The references of a config, each with its place. `$NAME` as a whole value is one too. */
export function referencesIn(
  config: OpenClawConfig,
): readonly { readonly path: ConfigPath; readonly reference: SecretReference }[] {
  return followed
    .flatMap((pattern) => placesOf(config, pattern))
    .flatMap((path) => {
      const reference = referenceOf(valueAt(config, path));
      return reference ? [{ path, reference }] : [];
    });
}

function placesOf(node: unknown, [key, ...rest]: ConfigPath): ConfigPath[] {
  if (key === undefined) return [[]];
  const isMap = typeof node === "object" && node !== null;
  const names = Array.isArray(node) ? [...node.keys()] : Object.keys(isMap ? node : {});
  return (key === "*" ? names : [key]).flatMap((name) =>
    placesOf(valueAt(node, [name]), rest).map((more) => [name, ...more]),
  );
}

function referenceOf(value: unknown): SecretReference | undefined {
  // The schema has checked what an object at these places looks like.
  if (typeof value === "object" && value !== null) return value as SecretReference;
  const name = typeof value === "string" ? /^\$([A-Z][A-Z0-9_]*)$/.exec(value)?.[1] : undefined;
  return name === undefined ? undefined : { source: "env", id: name };
}

/** The provider that a reference means, or what is wrong with the reference. Nothing is read and nothing runs. */
export function providerOf(
  { source, provider, id }: SecretReference,
  secrets: Secrets = {},
): { readonly provider: SecretProvider } | { readonly why: string } {
  if (!ids[source].test(id))
    return { why: `${JSON.stringify(id.slice(0, 80))} is no id of the source "${source}"` };
  if (source === "store") return { why: 'the source "store" is not available yet; use env, file or exec' };
  const alias = provider ?? secrets.defaults?.[source] ?? "default";
  const providers = secrets.providers ?? {};
  const found = Object.hasOwn(providers, alias) ? providers[alias] : undefined;
  // The environment needs no configuration.
  if (!found && source === "env" && alias === "default") return { provider: { source: "env" } };
  if (!found) return { why: `there is no secrets.providers.${alias}` };
  if (found.source !== source)
    return { why: `secrets.providers.${alias} is of the source "${found.source}"` };
  return { provider: found };
}
