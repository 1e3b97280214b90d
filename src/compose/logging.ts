import type { LoadedConfig } from "../config/mod.ts";
import type { Clock, Log, LogLevel } from "../kernel/mod.ts";
import {
  createLog,
  createRedactor,
  openLogFile,
  ownLogFolder,
  type ValueRedactor,
  valueRedactor,
} from "../log/mod.ts";

export interface Logging {
  readonly log: Log;
  readonly file: ReturnType<typeof openLogFile>;
  /** Hides secrets and what looks like one; of a command, nothing that acts. */
  readonly redact: (text: string) => string;
  /** The same for all texts in a value. */
  readonly redactValue: ValueRedactor;
  /** The same for what is only read, and by nobody judged: more of what looks like a secret is hidden. */
  readonly redactOutput: ValueRedactor;
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
  const held = () => secrets.flatMap((source) => source());
  const patterns = settings?.redactPatterns ?? [];
  const redact = createRedactor(held, patterns, { isJudge: true });
  const redactOutput = createRedactor(held, patterns);
  const log = createLog({
    file,
    clock,
    redact: redactOutput,
    level: () => levelOf(config().logging?.level) ?? "info",
    consoleLevel: () => parts.consoleLevel,
    toConsole: parts.toConsole,
  });
  return {
    ...{ log, file, redact, redactValue: valueRedactor(redact), redactOutput: valueRedactor(redactOutput) },
    addSecrets: (...sources) => void secrets.push(...sources),
  };
}

function levelOf(value: unknown): LogLevel | undefined {
  return ["trace", "debug", "info", "warn", "error", "fatal"].find((level) => level === value) as
    | LogLevel
    | undefined;
}
