import { basename, relative } from "node:path";
import { type ConfigPath, formatPath } from "./config-path.ts";

/** One thing wrong with a config file, where a person can find it. Holds no value of a secret. */
export interface ConfigProblem {
  /** Absolute path of the file that holds it. */
  readonly file: string;
  /** From 1; 0 when the file as a whole is meant. */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 when the file as a whole is meant. */
  readonly column: number;
  /** As formatPath writes it; empty for the root. */
  readonly path: string;
  /** What was wrong, and what would have been right. May hold line breaks (a syntax error shows its line). */
  readonly message: string;
}

/** `openclaw.json:12:5: gateway.prot: unexpected key; did you mean "port"?`; files are named relative to `directory`. */
export function configProblemText(problem: ConfigProblem, directory?: string): string {
  const name = directory === undefined ? basename(problem.file) : relative(directory, problem.file);
  const place = problem.line > 0 ? `:${problem.line}:${problem.column}` : "";
  return `${name}${place}: ${problem.path === "" ? "" : `${problem.path}: `}${problem.message}`;
}

/** A problem found before it is known on which line it stands. */
export interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
  /** Point at the key instead of its value. */
  readonly atKey?: boolean;
}

export function locateFinding(
  finding: Finding,
  place: { readonly file: string; readonly line: number; readonly column: number },
): ConfigProblem {
  return {
    file: place.file,
    line: place.line,
    column: place.column,
    path: formatPath(finding.path),
    message: finding.message,
  };
}
