import type { LoadedConfig } from "../config/mod.ts";
import type { Clock, Log, LogLevel } from "../kernel/mod.ts";
import { createLog, createRedactor, openLogFile, ownLogFolder } from "../log/mod.ts";

export interface Logging {
  readonly log: Log;
  readonly file: ReturnType<typeof openLogFile>;
  /** Replaces secrets and what looks like one. */
  readonly redact: (text: string) => string;
  /** What holds secrets adds itself here once it exists; asked at each line, so that a new secret counts at once. */
  readonly addSecrets: (...sources: (() => readonly string[])[]) => void;
}

/** The log of one gateway. `stateFolder` names the file: the one of a profile bears the profile's name. */
export function composeLogging(parts: {
  readonly config: () => LoadedConfig["config"];
  readonly stateFolder: string;
  readonly folder: string;
  readonly uid: number;
  readonly clock: Clock;
  readonly consoleLevel: LogLevel | "silent";
  readonly toConsole: (line: string) => void;
}): Logging {
  const { config, clock } = parts;
  const settings = config().logging;
  const profile = /\.openclaw(-[\w-]+)$/.exec(parts.stateFolder)?.[1] ?? "";
  const folder = ownLogFolder(parts.folder, parts.uid);
  const file = openLogFile(folder, `openclaw${profile}`, parts.uid, settings?.file);
  const secrets: (() => readonly string[])[] = [];
  const redact = createRedactor(() => secrets.flatMap((source) => source()), settings?.redactPatterns ?? []);
  const log = createLog({
    file,
    clock,
    redact,
    level: () => levelOf(config().logging?.level) ?? "info",
    consoleLevel: () => parts.consoleLevel,
    toConsole: parts.toConsole,
  });
  return { log, file, redact, addSecrets: (...sources) => void secrets.push(...sources) };
}

function levelOf(value: unknown): LogLevel | undefined {
  return ["trace", "debug", "info", "warn", "error", "fatal"].find((level) => level === value) as
    | LogLevel
    | undefined;
}
