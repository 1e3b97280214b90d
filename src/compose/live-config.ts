import { dirname } from "node:path";
import {
  type ConfigChange,
  configProblemText,
  configSchema,
  type FollowReference,
  type LoadedConfig,
  mergePatch,
  parseJson5,
  redactConfig,
  reloadKind,
  saveLastGood,
  watchConfig,
  writeConfig,
} from "../config/mod.ts";
import { type ControlParts, invalid, MethodError } from "../control/mod.ts";
import type { Clock, Log, Random } from "../kernel/mod.ts";
import { type RunOverrides, withOverrides } from "./run-overrides.ts";

/** The configuration that is in force: read by everything, written by operators, followed on disk. */
export interface LiveConfig {
  /** Substituted and checked; replaced as a whole by each reload. */
  config(): LoadedConfig["config"];
  loaded(): LoadedConfig;
  /** What the config methods may do. */
  readonly control: ControlParts["config"];
  /** Calls `apply` after each valid change, one at a time, with the new config already in force. */
  follow(apply: (change: ConfigChange) => Promise<void>): void;
  /** The first person who is approved becomes the owner; one who is there already stays. */
  adoptOwner(who: string): Promise<void>;
  saveLastGood(): Promise<void>;
  close(): void;
}

export function createLiveConfig(deps: {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly followReference: FollowReference;
  readonly initial: LoadedConfig;
  readonly overrides: RunOverrides;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: () => Log;
}): LiveConfig {
  const { file, env, clock, random } = deps;
  let current = deps.initial;
  let inForce = withOverrides(current.config, deps.overrides);
  let watcher: ReturnType<typeof watchConfig> | undefined;
  const reload = async () => {
    const problems = (await watcher?.reload()) ?? [];
    return problems.map((item) => configProblemText(item, dirname(file)));
  };

  function snapshot() {
    const shown = redactConfig(current.unsubstituted, current.fromEnvironment);
    return {
      path: file,
      exists: current.exists,
      raw: JSON.stringify(shown, null, 2),
      parsed: shown,
      config: redactConfig(current.config, current.fromEnvironment),
      valid: true,
      hash: current.hash,
      issues: [],
      warnings: current.warnings,
      legacyIssues: [],
    };
  }

  /** Nobody writes over what he has not read. */
  function needBase(baseHash: string | undefined, demand: string): void {
    if (!current.exists || baseHash !== undefined) return;
    throw new MethodError(invalid(demand));
  }

  async function patch(raw: string, baseHash: string | undefined, replacePaths: readonly string[]) {
    needBase(baseHash, `config base hash required for ${file}; re-run config.get and retry with baseHash`);
    const wanted = await parseJson5(raw);
    if (wanted === undefined) throw new MethodError(invalid("the patch is not JSON5"));
    const merged = mergePatch(current.unsubstituted, wanted.value, replacePaths);
    if (!merged.ok) throw new MethodError(invalid(merged.message));
    return writeWhole(merged.value, baseHash);
  }

  async function replace(raw: string, baseHash: string | undefined) {
    needBase(baseHash, "config base hash required; re-run config.get and retry");
    const wanted = await parseJson5(raw);
    if (wanted === undefined) throw new MethodError(invalid("the config is not JSON5"));
    return writeWhole(wanted.value, baseHash);
  }

  async function writeWhole(replacement: unknown, baseHash: string | undefined) {
    const base = baseHash === undefined ? {} : { baseHash };
    const written = await writeConfig({ file, env, replacement, ...base, clock, random });
    if (!written.ok) throw new MethodError(invalid(written.message));
    await reload();
    return {
      ok: true,
      path: file,
      hash: written.loaded.hash,
      config: redactConfig(written.loaded.config, written.loaded.fromEnvironment),
      changedPaths: written.changedPaths,
    };
  }

  return {
    config: () => inForce,
    loaded: () => current,
    control: {
      get: async () => snapshot(),
      patch,
      replace,
      reload,
      reloadKind,
      schema: () => configSchema,
    },
    follow(apply) {
      watcher = watchConfig({
        load: { file, env, followReference: deps.followReference },
        current,
        clock,
        async onChange(change) {
          current = change.after;
          inForce = withOverrides(current.config, deps.overrides);
          await apply(change);
        },
        onInvalid: (problems) =>
          deps.log()("error", "config reload skipped (invalid config); the running configuration stays", {
            problems: problems.map((item) => configProblemText(item, dirname(file))),
          }),
      });
    },
    async adoptOwner(who) {
      if ((current.config.commands?.ownerAllowFrom ?? []).length > 0) return;
      const edits = [{ path: ["commands", "ownerAllowFrom"], value: [who] }];
      const written = await writeConfig({ file, env, edits, clock, random });
      if (written.ok) await reload();
      else deps.log()("warn", "the owner could not be written to the config", { message: written.message });
    },
    saveLastGood: () => saveLastGood(file, current, random),
    close: () => watcher?.close(),
  };
}
