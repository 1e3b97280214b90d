import { rename } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { type Clock, InputError, type Random } from "../kernel/mod.ts";
import { writeAtomically } from "./atomic-file.ts";
import { type ConfigPath, formatPath, valueAt } from "./config-path.ts";
import { type ConfigProblem, configProblemText } from "./config-problem.ts";
import { changedPaths, diffEdits } from "./diff.ts";
import { type ConfigEdit, editConfig } from "./edit.ts";
import { ownerOf } from "./include.ts";
import { checkConfigText, type LoadDeps, type LoadedConfig, type LoadResult, loadConfig } from "./load.ts";
import { parseConfigText } from "./parse.ts";
import { readRegularFile } from "./read-file.ts";
import { holdsPlaceholder, restoreRedacted } from "./redact.ts";

import { lockForWrite } from "./write-lock.ts";

export interface WriteRequest extends LoadDeps {
  /** What to change; or `replacement`, the whole config as it should be (comments of what stays are kept). */
  readonly edits?: readonly ConfigEdit[];
  readonly replacement?: unknown;
  /** The hash that the writer read. A file that changed since is not overwritten. Undefined: whatever is there now. */
  readonly baseHash?: string;
  /** Write even if gateway.mode vanishes or the file shrinks to less than half. */
  readonly force?: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

export type WriteResult =
  | {
      readonly ok: true;
      readonly loaded: LoadedConfig;
      /** As formatPath writes them; empty when the file already said so and was left alone. */
      readonly changedPaths: readonly string[];
    }
  | {
      readonly ok: false;
      readonly reason: "stale" | "invalid" | "clobber" | "busy";
      /** What was wrong and what to do next, for a person. */
      readonly message: string;
      readonly problems: readonly ConfigProblem[];
    };

/**
 * Changes the file: under a lock, from what is there now, checked as a whole before anything is written, atomically,
 * readable by the owner only, with the last five versions kept as `.bak`, `.bak.1` ... `.bak.4`.
 * A value of `__OPENCLAW_REDACTED__` keeps what is stored. Throws only when the disk fails.
 */
export async function writeConfig(request: WriteRequest): Promise<WriteResult> {
  const file = resolve(request.file);
  const lock = await lockForWrite(file, request.clock, request.random);
  if (!lock) return refuse("busy", "another program is writing the config; try again in a moment");
  try {
    return await writeLocked({ ...request, file }, lock.held);
  } finally {
    await lock.release();
  }
}

async function writeLocked(request: WriteRequest, stillLocked: () => Promise<boolean>): Promise<WriteResult> {
  const { file } = request;
  // Only the gateway has all the variables; a file must not be unwritable because a shell lacks them.
  const deps: LoadDeps = { ...request, allowUnresolved: true };
  const current = await loadConfig(deps);
  if (current.raw === undefined) return invalid(current.ok ? [] : current.problems, file);
  const stale = "config changed since last load; re-run config.get and retry";
  if (request.baseHash !== undefined && request.baseHash !== current.hash) return refuse("stale", stale);

  const planned = await plan(request, current);
  if (!planned.ok) return refuse("invalid", planned.message);
  let text: string;
  try {
    text = await editConfig(current.raw, planned.edits);
  } catch (error) {
    if (error instanceof InputError) return refuse("invalid", error.message);
    throw error;
  }
  const next = await checkConfigText(deps, text);
  if (!next.ok) return invalid(next.problems, file);
  const exists = current.ok ? current.exists : true;
  if (exists && text === current.raw) return { ok: true, loaded: next, changedPaths: [] };

  const clobbered = request.force === true ? undefined : await clobber(current.raw, text, next, file);
  if (clobbered !== undefined) {
    const kept = `${file}.rejected.${request.clock.now()}`;
    await writeAtomically(kept, text, request.random);
    return refuse(
      "clobber",
      `${clobbered}; nothing was written, the text is in ${kept}. Use force if it is meant`,
    );
  }
  // An editor does not ask for the lock: look again right before the file is replaced.
  const now = await readRegularFile(file, Number.MAX_SAFE_INTEGER);
  if ((now.ok ? now.text : "") !== current.raw || !(await stillLocked())) return refuse("stale", stale);
  if (exists) await keepBackup(file, current.raw, request.random);
  await writeAtomically(file, text, request.random);
  const before = current.ok ? current.unsubstituted : await rawValue(current.raw, file);
  return { ok: true, loaded: next, changedPaths: changedPaths(before, next.unsubstituted).map(formatPath) };
}

type Plan =
  | { readonly ok: true; readonly edits: readonly ConfigEdit[] }
  | { readonly ok: false; readonly message: string };

/** The edits to make, with stored secrets put back for placeholders, and none that an included file owns. */
async function plan(request: WriteRequest, current: LoadResult): Promise<Plan> {
  const stored = current.ok ? current.unsubstituted : await rawValue(current.raw ?? "", request.file);
  const wanted = request.edits ?? [{ path: [], value: request.replacement ?? {} }];
  const edits: ConfigEdit[] = [];
  for (const edit of wanted) {
    const restored = restoreRedacted(edit.value, valueAt(stored, edit.path), edit.path);
    if (!restored.ok) {
      const where = formatPath(restored.path);
      return {
        ok: false,
        message: `${where} is a placeholder for a secret that is not stored; give the secret itself`,
      };
    }
    if (edit.path.length > 0) edits.push({ path: edit.path, value: restored.value });
    else if (isObject(restored.value)) edits.push(...diffEdits(stored, restored.value));
    else return { ok: false, message: "the config must be an object" };
  }
  if (!current.ok) return { ok: true, edits };
  for (const { path } of edits) {
    const foreign = foreignOwner(current, path, request.file);
    if (foreign !== undefined) {
      const name = relative(dirname(request.file), foreign);
      return {
        ok: false,
        message: `${formatPath(path)} is kept in the included file ${name}; change it there`,
      };
    }
  }
  return { ok: true, edits };
}

/** The included file that holds what an edit at `path` would touch. */
function foreignOwner(current: LoadedConfig, path: ConfigPath, file: string): string | undefined {
  for (let length = 1; length <= path.length; length++) {
    const part = path.slice(0, length);
    if (valueAt(current.unsubstituted, part) === undefined) return undefined;
    const owner = ownerOf(current.origin, part);
    if (owner.file !== file) return owner.file;
  }
  return undefined;
}

/** What would be lost by accident: the key without which no gateway starts, or most of the file. */
async function clobber(
  before: string,
  after: string,
  next: LoadedConfig,
  file: string,
): Promise<string | undefined> {
  const old = await rawValue(before, file);
  const hadMode = valueAt(old, ["gateway", "mode"]) !== undefined;
  if (hadMode && next.config.gateway?.mode === undefined) return "gateway.mode would vanish";
  const [oldBytes, newBytes] = [Buffer.byteLength(before), Buffer.byteLength(after)];
  return newBytes < oldBytes / 2 ? `the file would shrink from ${oldBytes} to ${newBytes} bytes` : undefined;
}

async function rawValue(text: string, file: string): Promise<unknown> {
  const parsed = await parseConfigText(text, file);
  return parsed.ok ? parsed.parsed.value : {};
}

const backups = 5;

async function keepBackup(file: string, text: string, random: Random): Promise<void> {
  const name = (index: number): string => (index === 0 ? `${file}.bak` : `${file}.bak.${index}`);
  for (let index = backups - 2; index >= 0; index--)
    await rename(name(index), name(index + 1)).catch(() => {});
  await writeAtomically(name(0), text, random);
}

/**
 * Keeps a config that a gateway started with as `<file>.last-good`, for a person to go back to. A text that holds
 * placeholders instead of secrets is no such copy and is not kept; the same text is not written again.
 */
export async function saveLastGood(file: string, loaded: LoadedConfig, random: Random): Promise<void> {
  if (!loaded.exists || holdsPlaceholder(loaded.raw)) return;
  const copy = `${resolve(file)}.last-good`;
  const stored = await readRegularFile(copy, Number.MAX_SAFE_INTEGER);
  if (!stored.ok || stored.text !== loaded.raw) await writeAtomically(copy, loaded.raw, random);
}

function refuse(reason: "stale" | "invalid" | "clobber" | "busy", message: string): WriteResult {
  return { ok: false, reason, message, problems: [] };
}

function invalid(problems: readonly ConfigProblem[], file: string): WriteResult {
  const lines = problems.map((problem) => configProblemText(problem, dirname(file)));
  return { ok: false, reason: "invalid", message: lines.join("\n"), problems };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
