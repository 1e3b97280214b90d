import { createHash } from "node:crypto";
import { delimiter, dirname, resolve } from "node:path";
import { type ConfigPath, formatPath, valueAt } from "./config-path.ts";
import { type ConfigProblem, type Finding, locateFinding } from "./config-problem.ts";
import { crossCheck } from "./cross-check.ts";
import { composeIncludes, type IncludedFile, type Origin, placeOf } from "./include.ts";
import { ineffectivePaths } from "./not-yet-effective.ts";
import { type ParsedText, parseConfigText } from "./parse.ts";
import { readRegularFile } from "./read-file.ts";
import type { OpenClawConfig } from "./schema/mod.ts";
import { type FollowReference, providerOf, referencesIn } from "./secret-reference.ts";
import { substitute } from "./substitute.ts";
import { schemaFindings } from "./validate.ts";

export const maxConfigBytes = 5 * 1024 * 1024;

export interface LoadDeps {
  /** Absolute path of openclaw.json. */
  readonly file: string;
  /** For `${NAME}`, OPENCLAW_INCLUDE_ROOTS and the gateway's own secrets. */
  readonly env: { readonly [name: string]: string | undefined };
  /** Absolute folders that `$include` may reach besides the config's own. OPENCLAW_INCLUDE_ROOTS adds to them. */
  readonly includeRoots?: readonly string[];
  /** For tools beside the gateway, whose environment lacks the service's variables: `${NAME}` passes as a secret. */
  readonly allowUnresolved?: boolean;
  /** Gets the secrets that the config refers to. Without it references stay, and whoever needs one does without. */
  readonly followReference?: FollowReference;
}

export interface LoadedConfig {
  readonly ok: true;
  /** Deeply frozen. Empty when the file does not exist: every default is the safe one. */
  readonly config: OpenClawConfig;
  /** False when there is no file. */
  readonly exists: boolean;
  /** The main file's text; empty when there is none. */
  readonly raw: string;
  /** Includes resolved, `${NAME}` as written. Deeply frozen. */
  readonly unsubstituted: unknown;
  /** Values that came from the environment, to be hidden as secrets. */
  readonly fromEnvironment: readonly ConfigPath[];
  /** `sha256:` and 64 hex digits; see {@link configHash}. */
  readonly hash: string;
  /** Absolute paths: the main file, then the included ones. */
  readonly files: readonly string[];
  /** Sentences about settings that load but do not do what they say. */
  readonly warnings: readonly string[];
  /** Which file wrote which part. */
  readonly origin: Origin;
}

export interface UnloadableConfig {
  readonly ok: false;
  readonly problems: readonly ConfigProblem[];
  /** Absolute paths read so far, so that a repair of any of them can be noticed. */
  readonly files: readonly string[];
  /** As in {@link LoadedConfig}, over the files read so far; undefined when the main file could not be read. */
  readonly hash: string | undefined;
  /** The main file's text, where it could be read. */
  readonly raw: string | undefined;
}

export type LoadResult = LoadedConfig | UnloadableConfig;

/** Reads, composes, substitutes and checks the config. Never throws for what is in the files; never returns half. */
export async function loadConfig(deps: LoadDeps): Promise<LoadResult> {
  const file = resolve(deps.file);
  const read = await readRegularFile(file, maxConfigBytes);
  if (!read.ok && !read.missing) {
    const problem = { file, line: 0, column: 0, path: "", message: read.message };
    return { ok: false, problems: [problem], files: [file], hash: undefined, raw: undefined };
  }
  const text = read.ok ? read.text : "";
  const main = read.ok ? { file, bytes: read.bytes } : undefined;
  return composeConfig(deps, file, text, main);
}

/** The same for a text that is not on disk yet: what {@link loadConfig} would say if `file` held it. */
export function checkConfigText(deps: LoadDeps, text: string): Promise<LoadResult> {
  const file = resolve(deps.file);
  return composeConfig(deps, file, text, { file, bytes: Buffer.from(text) });
}

async function composeConfig(
  deps: LoadDeps,
  file: string,
  text: string,
  main: IncludedFile | undefined,
): Promise<LoadResult> {
  const parsed = main ? await parseConfigText(text, file) : { ok: true as const, parsed: emptyText(file) };
  if (!parsed.ok) {
    return { ok: false, problems: parsed.problems, files: [file], hash: configHash(main, []), raw: text };
  }
  const composed = await composeIncludes(parsed.parsed, includeRoots(deps));
  const files = [file, ...composed.included.map((one) => one.file)];
  const hash = configHash(main, composed.included);
  const failed = (problems: readonly ConfigProblem[]): UnloadableConfig => ({
    ok: false,
    problems,
    files,
    hash,
    raw: text,
  });
  if (composed.problems.length > 0) return failed(composed.problems);

  const variables = { ...variablesOf(composed.value), ...definedOnly(deps.env) };
  const { value, fromEnvironment, missing } = substitute(composed.value, variables);
  const wrongShape = schemaFindings(value);
  if (wrongShape.length > 0) return failed(await locateAll(wrongShape, composed.origin));
  // The schema check above is what makes this type true.
  const referring = value as OpenClawConfig;
  const { config, problems } = await followReferences(referring, deps);
  if (problems.length > 0) return failed(await locateAll(problems, composed.origin));
  const wrong = crossCheck(config, { env: deps.env, allowUnresolved: deps.allowUnresolved ?? false });
  if (wrong.length > 0) return failed(await locateAll(wrong, composed.origin));

  const warnings = [
    ...missing.map(
      ({ path, name }) => `${formatPath(path)}: the variable ${name} is not set; \${${name}} stays as text`,
    ),
    ...ineffectivePaths(config).map((path) => `${path}: accepted, but it has no effect yet`),
  ];
  return {
    ok: true,
    config: deepFreeze(config),
    exists: main !== undefined,
    raw: text,
    unsubstituted: deepFreeze(composed.value),
    fromEnvironment,
    hash,
    files,
    warnings,
    origin: composed.origin,
  };
}

/** The config with what its references stand for: all of them at paths that are never shown. */
async function followReferences(
  config: OpenClawConfig,
  { followReference, allowUnresolved }: LoadDeps,
): Promise<{ config: OpenClawConfig; problems: Finding[] }> {
  const problems: Finding[] = [];
  let whole: unknown = config;
  for (const { path, reference } of referencesIn(config)) {
    const meant = providerOf(reference, config.secrets);
    const report = (why: string) =>
      problems.push({ path, message: `this secret reference cannot be followed: ${why}` });
    if ("why" in meant) report(meant.why);
    else if (followReference) {
      const answer = await followReference(reference, meant.provider);
      if (answer.ok) whole = withValue(whole, path, answer.value);
      else if (!allowUnresolved) report(answer.why);
    }
  }
  return { config: whole as OpenClawConfig, problems };
}

/** A copy in which only `path` is another. */
function withValue(node: unknown, [key, ...rest]: ConfigPath, value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(node))
    return node.map((item, index) => (index === Number(key) ? withValue(item, rest, value) : item));
  return { ...(node as object), [key]: withValue(valueAt(node, [key]), rest, value) };
}

/**
 * `sha256:` over the main file's bytes, so that it can be checked with sha256sum; each included file adds a NUL, its
 * absolute path, a NUL and its bytes. No file at all hashes as an empty one.
 */
export function configHash(main: IncludedFile | undefined, included: readonly IncludedFile[]): string {
  const hash = createHash("sha256");
  if (main) hash.update(main.bytes);
  for (const one of included) hash.update(`\0${one.file}\0`).update(one.bytes);
  return `sha256:${hash.digest("hex")}`;
}

function includeRoots(deps: LoadDeps): readonly string[] {
  const fromEnv = deps.env.OPENCLAW_INCLUDE_ROOTS ?? "";
  const named = fromEnv.split(delimiter).filter((root) => root.trim() !== "");
  return [...(deps.includeRoots ?? []), ...named].map((root) => resolve(dirname(deps.file), root));
}

function emptyText(file: string): ParsedText {
  return { file, text: "", value: {}, place: async () => ({ line: 1, column: 1 }) };
}

/** Variables that the file itself sets; the process' own win over them. */
function variablesOf(value: unknown): { readonly [name: string]: string } {
  const env = (value as { env?: unknown } | null)?.env;
  if (typeof env !== "object" || env === null) return {};
  const { vars, ...direct } = env as Record<string, unknown>;
  const all = { ...direct, ...(typeof vars === "object" && vars !== null ? vars : {}) };
  return Object.fromEntries(
    Object.entries(all).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function definedOnly(env: LoadDeps["env"]): { readonly [name: string]: string } {
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}

async function locateAll(findings: readonly Finding[], origin: Origin): Promise<ConfigProblem[]> {
  const located: ConfigProblem[] = [];
  for (const finding of findings) {
    located.push(locateFinding(finding, await placeOf(origin, finding.path, finding.atKey)));
  }
  return located;
}

/** Freezes a JSON tree all the way down; shared parts are visited once. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
