/**
 * File and environment in, one frozen config out; edits that keep what people wrote.
 *
 * 1. A config is taken whole or not at all: an unknown key, a wrong type, a duplicate key or values that contradict
 *    each other are errors with file, line, column, path, what was expected and the nearest valid key.
 * 2. Reading reaches only regular files in the config's folder and the include roots, links resolved.
 * 3. A placeholder, a blank, an unset variable or a reference that cannot be followed is never accepted as the
 *    gateway's secret.
 * 4. A secret is never printed: not by an error, not by `config get`, not for a single leaf.
 * 5. An edit changes what it names and nothing else: comments, order and formatting stay.
 * 6. A write is checked before, is atomic, and is refused when the file changed since it was read.
 * 7. An invalid edit of the file never disturbs the running config.
 */
export { type ConfigPath, formatPath, parsePath, valueAt } from "./config-path.ts";
export { type ConfigProblem, configProblemText } from "./config-problem.ts";
export { crossCheck } from "./cross-check.ts";
export { changedPaths } from "./diff.ts";
export { type ConfigEdit, editConfig } from "./edit.ts";
export { placeOf } from "./include.ts";
export {
  checkConfigText,
  type LoadDeps,
  type LoadedConfig,
  type LoadResult,
  loadConfig,
  type UnloadableConfig,
} from "./load.ts";
export { type Merged, mergePatch } from "./merge-patch.ts";
export { notYetEffective } from "./not-yet-effective.ts";
export { parseJson5 } from "./parse.ts";
export { redactConfig, redacted, restoreRedacted } from "./redact.ts";
export { type ReloadKind, reloadKind } from "./reload-kinds.ts";
export { configSchema, type OpenClawConfig } from "./schema/mod.ts";
export { isSecretPath, secretPaths } from "./secret-paths.ts";
export type { FollowReference, SecretProvider, SecretReference } from "./secret-reference.ts";
export {
  type ConfigChange,
  type ConfigWatch,
  describeChange,
  type WatchOptions,
  watchConfig,
} from "./watch.ts";
export { saveLastGood, type WriteRequest, type WriteResult, writeConfig } from "./write.ts";
export { lockForWrite } from "./write-lock.ts";
