import { InputError, sleep } from "../kernel/mod.ts";
import type { LogTail } from "../log/mod.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { type Style, styleOf } from "./style.ts";
import { visibleLine } from "./visible.ts";

const levels = ["trace", "debug", "info", "warn", "error", "fatal"];

export const logsCommand = define({
  help: {
    usage: "logs [options]",
    about:
      "The operations log. Asks the gateway; when none answers, reads the newest log file of this machine.",
    options: [
      ["--follow", "go on with what comes, until Ctrl-C"],
      ["--interval <ms>", "with --follow: look this often (1000)"],
      ["--limit <count>", "the last so many lines (200)"],
      ["--level <level>", `this level and above: ${levels.join(", ")}`],
      ["--json", "the lines as they are in the file, one JSON object each"],
      ["--plain", "no colours"],
    ],
    example: "openclaw logs --follow --level warn",
  },
  options: {
    follow: "flag",
    interval: "integer",
    limit: "integer",
    level: "text",
    plain: "flag",
  },
  run: async (context) => {
    const { cli, options } = context;
    const { level = "trace", limit = 200, interval = 1000 } = options;
    const least = levels.indexOf(level);
    if (least < 0)
      throw new UsageError(`--level is ${JSON.stringify(level)}; there are: ${levels.join(", ")}`);
    const style = styleOf({ isTTY: cli.isTTY && !options.plain, env: cli.env });
    const source = await openSource();
    const stop = new AbortController();
    cli.onInterrupt(() => stop.abort());
    let cursor: number | undefined;
    for (;;) {
      const tail = await source(cursor);
      if (tail.reset) cursor = undefined;
      for (const line of tail.lines) {
        const shown = logLine(line, least, style, options.json === true);
        if (shown !== undefined) cli.stdout(`${shown}\n`);
      }
      cursor = tail.cursor;
      if (!options.follow || stop.signal.aborted) return 0;
      await waitFor(interval);
      if (stop.signal.aborted) return 0;
    }

    async function openSource(): Promise<(from: number | undefined) => Promise<LogTail>> {
      try {
        const client = await context.connect(["operator.read"]);
        return async (from) =>
          (await client.request("logs.tail", {
            limit: from === undefined ? Math.max(1, limit) : 5000,
            ...(from === undefined ? {} : { cursor: from }),
          })) as LogTail;
      } catch (error) {
        // With an address the log of another machine was meant; ours would only mislead. A config that cannot be read
        // is one of the things that people look into the log for.
        const readsFile = error instanceof CommandFailure || error instanceof InputError;
        if (!readsFile || options.url !== undefined) throw error;
        const { loadConfig } = await import("../config/mod.ts");
        const config = await loadConfig({ file: cli.paths.configFile, env: cli.env, allowUnresolved: true });
        const configured = config.ok ? config.config.logging?.file : undefined;
        const [{ ownLogFolder, tailLog }, { userInfo }] = await Promise.all([
          import("../log/mod.ts"),
          import("node:os"),
        ]);
        const folder = ownLogFolder("/tmp/openclaw", userInfo().uid);
        const file = configured ?? (await newestLog(folder));
        if (file === undefined)
          throw new CommandFailure(3, `${error.message}, and there is no log file in ${folder}`);
        cli.stderr(`${error.message}\nreading ${file}\n`);
        return (from) => tailLog(file, from, from === undefined ? limit : 5000, 1_000_000);
      }
    }

    /** The clock's timers keep no process alive; a terminal that follows a file wants just that. */
    async function waitFor(ms: number): Promise<void> {
      const alive = setInterval(() => {}, 60_000);
      await sleep(cli.clock, ms, stop.signal);
      clearInterval(alive);
    }
  },
});

async function newestLog(folder: string): Promise<string | undefined> {
  const { readdir } = await import("node:fs/promises");
  const names = await readdir(folder).catch(() => []);
  const newest = names
    .filter((name) => /^openclaw-\d{4}-\d\d-\d\d\.log$/.test(name))
    .sort()
    .at(-1);
  return newest === undefined ? undefined : `${folder}/${newest}`;
}

/** One line of the file for a person; undefined for one below the level. A line that is not ours shows as it is. */
export function logLine(line: string, least: number, style: Style, json: boolean): string | undefined {
  let entry: Readonly<Record<string, unknown>> | undefined;
  try {
    entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return json ? undefined : visibleLine(line);
  }
  const level = String(entry.level);
  const rank = levels.indexOf(level);
  if (rank < least) return undefined;
  if (json) return visibleLine(line);
  const { time, level: _level, message, _meta, ...more } = entry;
  const fields = Object.entries(more)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  const paint = rank >= 4 ? style.red : rank === 3 ? style.yellow : (text: string) => text;
  const at = new Date(String(time));
  const clock = Number.isNaN(at.getTime()) ? String(time) : at.toTimeString().slice(0, 8);
  return `${style.dim(visibleLine(clock))} ${paint(visibleLine(level.padEnd(5)))} ${visibleLine(String(message))}${fields === "" ? "" : ` ${style.dim(visibleLine(fields))}`}`;
}
