import { type Problem, schema as s } from "../kernel/mod.ts";
import { type ConfigPath, valueAt } from "./config-path.ts";
import type { Finding } from "./config-problem.ts";
import { configSchema } from "./schema/mod.ts";
import { isSecretPath } from "./secret-paths.ts";
import { byNearness } from "./suggest.ts";

/** Everything in `value` that the format does not allow, as sentences. Quotes no secret. */
export function schemaFindings(value: unknown): Finding[] {
  return s.check(configSchema, value).map((problem) => finding(problem, value));
}

function finding(problem: Problem, root: unknown): Finding {
  if (problem.kind === "unexpected") return unexpected(problem);
  if (problem.kind === "missing") {
    const name = /'(.*)'/.exec(problem.message)?.[1] ?? "";
    return { path: problem.path, message: `"${name}" is missing` };
  }
  const found = valueAt(root, problem.path);
  return {
    path: problem.path,
    message: `must ${problem.message}${foundText(found, problem.path)}${slip(found, problem)}`,
  };
}

const shownKeys = 12;

function unexpected(problem: Problem): Finding {
  const key = String(problem.path.at(-1));
  const { nearest, ordered } = byNearness(key, problem.valid ?? []);
  const shown = ordered.slice(0, shownKeys).map((name) => `"${name}"`);
  const more = ordered.length > shownKeys ? ` and ${ordered.length - shownKeys} more` : "";
  const guess = nearest === undefined ? "" : `; did you mean "${nearest}"?`;
  const expected =
    shown.length === 0 ? "no keys are allowed here" : `expected one of ${shown.join(", ")}${more}`;
  return { path: problem.path, message: `unexpected key${guess} (${expected})`, atKey: true };
}

/** What stands there instead: its kind, and its value where that is short and cannot be a secret. */
function foundText(found: unknown, path: ConfigPath): string {
  if (found === undefined) return "";
  if (found === null) return ", found null";
  if (typeof found === "object") return `, found ${Array.isArray(found) ? "a list" : "an object"}`;
  if (isSecretPath(path)) return `, found a ${typeof found}`;
  const shown = JSON.stringify(found);
  return shown.length <= 40 ? `, found ${shown}` : `, found a ${typeof found} of ${shown.length} characters`;
}

/** For a word that is one slip away from an allowed one. */
function slip(found: unknown, problem: Problem): string {
  if (typeof found !== "string" || isSecretPath(problem.path)) return "";
  const allowed = [...problem.message.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? "");
  const { nearest } = byNearness(found, allowed);
  return nearest === undefined || nearest === found ? "" : `; did you mean "${nearest}"?`;
}
