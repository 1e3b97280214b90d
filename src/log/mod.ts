/**
 * The operations log: JSON lines in /tmp/openclaw/openclaw-YYYY-MM-DD.log (in /tmp/openclaw-UID where another user was
 * first), and short lines on the terminal.
 *
 * 1. A registered secret never reaches the file or the terminal, whatever field it came in.
 * 2. The file is written only where nobody else can read it or has put a link.
 * 3. A log that cannot be written never stops the message path.
 * 4. What looks like a secret is hidden from whoever reads, but for its ends; nothing that a shell would run, and no
 *    folder, option or hash, is ever taken for one.
 */
import { type Clock, type Json, type Log, type LogLevel, logLevels } from "../kernel/mod.ts";
import { type LogFile, openLogFile, ownLogFolder } from "./file.ts";
import { type Redactor, valueRedactor } from "./redact.ts";

export { createRedactor, type Redactor, type ValueRedactor, valueRedactor } from "./redact.ts";
export { type LogTail, tailLog } from "./tail.ts";
export { type LogFile, openLogFile, ownLogFolder };

export function createLog(ports: {
  readonly file: LogFile;
  readonly clock: Clock;
  readonly redact: Redactor;
  readonly level: () => LogLevel;
  readonly consoleLevel: () => LogLevel | "silent";
  readonly toConsole: (line: string) => void;
}): Log {
  let fileFailed = false;
  const redactValue = valueRedactor(ports.redact);
  return (level, message, fields) => {
    const rank = logLevels.indexOf(level);
    const toFile = rank >= logLevels.indexOf(ports.level());
    const consoleLevel = ports.consoleLevel();
    const toConsole = consoleLevel !== "silent" && rank >= logLevels.indexOf(consoleLevel);
    if (!toFile && !toConsole) return;
    const at = new Date(ports.clock.now());
    const text = ports.redact(
      JSON.stringify({
        time: at.toISOString(),
        level,
        message,
        // Before it is written down as JSON too: there a backslash may stand in the middle of a secret.
        ...(redactValue(fields ?? {}) as typeof fields),
        _meta: { logLevelName: level.toUpperCase() },
      }),
    );
    if (toFile && !fileFailed) {
      try {
        ports.file.append(text, at);
      } catch (error) {
        fileFailed = true;
        ports.toConsole(`the log file cannot be written: ${(error as Error).message}`);
      }
    }
    if (toConsole) ports.toConsole(ports.redact(plainLine(at, level, message, fields)));
  };
}

function plainLine(
  at: Date,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, Json | undefined>> | undefined,
): string {
  const more = Object.entries(fields ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [at.toISOString().slice(11, 19), level.padEnd(5), message, ...more].join(" ");
}
