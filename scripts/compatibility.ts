/**
 * Runs the published command line of the existing system against our gateway and prints a row per command; with
 * --markdown as the table of docs/compatibility.md, with --verbose with what each command printed. Needs that command
 * line in ~/.cache/openclaw-bench/<version> (800 MB, so it is no dependency); without it, it says so and ends with 0.
 * A word after that keeps the commands that contain it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { FakeTelegram } from "../test/support/telegram/server.ts";

const version = "2026.9.6";
const token = "compatibility-token-0123456789abcdef";
const programs = join(homedir(), ".cache/openclaw-bench", version, "node_modules/.bin");

interface Row {
  readonly command: string;
  /** What its output must say beside ending with 0. */
  readonly says: RegExp;
  /** For the table: what a reader should know though it works. */
  readonly note?: string;
  /** Known not to work, and why; the run reports it when it does work after all. */
  readonly notYet?: string;
}

const rows: readonly Row[] = [
  { command: "health", says: /Agents: main/ },
  { command: "health --json", says: /"ok": ?true/ },
  { command: "status", says: /· reachable/ },
  { command: "status --json", says: /"runtimeVersion"|"gateway"/ },
  { command: "gateway status", says: /127\.0\.0\.1/, note: "warns that the two versions differ" },
  {
    command: "gateway probe",
    says: /Reachable: yes/i,
    note: "says connect-only, as with its own gateway: a probe without a device gets no scopes",
  },
  { command: "gateway call health", says: /"ok": ?true/ },
  { command: "gateway call status", says: /runtimeVersion/ },
  {
    command: "gateway stability",
    says: /stability|events/i,
    note: "always empty: events are in the record and the log",
  },
  { command: "gateway usage-cost", says: /usage|cost|tokens/i },
  { command: "system presence", says: /gateway/i },
  {
    command: "system heartbeat last",
    says: /null|none|no heartbeat/i,
    note: "always none: there are no heartbeats yet",
  },
  { command: "devices list", says: /device|paired/i },
  { command: "nodes list", says: /paired|nodes/i },
  { command: "nodes status", says: /known|paired|nodes/i },
  { command: "nodes pending", says: /pending|no /i },
  { command: "node status", says: /service|node/i, note: "looks at its own service, not at the gateway" },
  { command: "sessions", says: /sessions/i, note: "reads its own state, not the gateway's" },
  { command: "gateway call sessions.list", says: /"sessions"/ },
  { command: "agents list", says: /main/, note: "reads its own state, not the gateway's" },
  { command: "models list", says: /model/i },
  { command: "channels list", says: /channel/i, note: "reads its own state, not the gateway's" },
  { command: "channels status", says: /gateway reachable|channel/i },
  { command: "cron list", says: /no automations/i, note: "always empty: there is no scheduler yet" },
  { command: "cron status", says: /enabled/i, note: "disabled: there is no scheduler yet" },
  { command: "logs --limit 5 --plain", says: /ready|log/i },
  { command: "approvals get --gateway", says: /approvals/i },
  { command: "approvals pending", says: /approval/i },
  {
    command: "approvals allowlist add --gateway --agent main /usr/bin/uptime",
    says: /uptime/,
    note: "paths of programs; wildcards and interpreters are refused",
  },
  { command: "audit", says: /^TIME/m, note: "tool calls only; the whole record is behind audit.list" },
  { command: "tasks list", says: /tasks/i, note: "reads its own state, not the gateway's" },
  { command: "skills list", says: /skills/i, note: "lists its own; the gateway has none yet" },
  { command: "hooks list", says: /hooks/i, note: "always empty: there are no internal hooks yet" },
  { command: "agent --agent main --message hello", says: /\[demo model\]/ },
  { command: "agent --agent main --message hello --json", says: /"status": ?"ok"/ },
  { command: "config get gateway.mode", says: /local/, note: "reads its own file" },
  { command: "gateway call config.get", says: /"hash"/ },
  { command: 'gateway call config.schema.lookup --params {"path":"gateway.auth"}', says: /"children"/ },
  { command: 'gateway call chat.history --params {"sessionKey":"main"}', says: /demo model/ },
  { command: "gateway call tools.catalog", says: /"groups"/ },
  { command: "gateway call commands.list", says: /"commands"/ },
  { command: "agents bindings", says: /binding/i, note: "reads its own file" },
  { command: "pairing list telegram", says: /pairing|pending|no /i, note: "reads its own files" },
  {
    command: "security audit",
    says: /audit/i,
    note: "checks its own config, not the gateway's",
  },
  { command: "system heartbeat disable", says: /false|ok/i },
  {
    command: "system heartbeat enable",
    says: /true|ok/i,
    notYet: "refused: there are no heartbeats yet",
  },
  {
    command: "cron add --name daily --every 1h --message hello --agent main",
    says: /daily/,
    notYet: "refused: there is no scheduler yet",
  },
  {
    command: "message send --channel telegram --target 1 --message hello",
    says: /sent|ok/i,
    note: "files by their path in an agent's workspace; the other actions but polls are refused",
  },
  { command: "system event --text hello --mode now", says: /ok/i, note: "runs a turn at once" },
];

const { values, positionals } = parseArgs({
  options: {
    markdown: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const hasProgram = await access(join(programs, "openclaw")).then(
  () => true,
  () => false,
);
if (!hasProgram) {
  console.log(`the command line ${version} is not installed in ~/.cache/openclaw-bench; nothing was run`);
} else {
  process.exitCode = await runAll();
}

async function runAll(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "compatibility-"));
  const telegram = await FakeTelegram.start({ keepAlive: false });
  const gateway = await startGateway(folder, telegram);
  try {
    const client = await prepareClient(folder, gateway.port);
    let failures = 0;
    if (values.markdown) console.log("| command | result | note |\n|---|---|---|");
    for (const row of rows) {
      if (!positionals.every((word) => row.command.includes(word))) continue;
      const { code, output } = await runCommand(client, row.command.split(" "));
      const works = code === 0 && row.says.test(output);
      const result = works ? (row.note === undefined ? "works" : "works with a note") : "not yet";
      if (works !== (row.notYet === undefined)) failures += 1;
      if (values.markdown)
        console.log(`| \`${row.command}\` | ${result} | ${row.notYet ?? row.note ?? ""} |`);
      else console.log(`${verdict(row, works)}  ${row.command}${works ? "" : `  (exit ${code})`}`);
      if (values.verbose || (!works && row.notYet === undefined && !values.markdown))
        console.log(output.slice(0, 1500).replaceAll(/^/gm, "      "));
    }
    return failures === 0 ? 0 : 1;
  } finally {
    gateway.stop();
    await gateway.ended;
    await telegram.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function verdict(row: Row, works: boolean): string {
  if (row.notYet !== undefined) return works ? "PASS though it is said not to work" : "not yet";
  return works ? "pass" : "FAIL";
}

async function startGateway(folder: string, telegram: FakeTelegram) {
  const state = join(folder, "gateway");
  await mkdir(state, { mode: 0o700 });
  await mkdir(join(folder, "gateway-home"));
  const config = {
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token } },
    channels: { telegram: { botToken: telegram.token, apiRoot: telegram.url } },
    logging: { file: join(folder, "gateway.log") },
  };
  await writeFile(join(state, "openclaw.json"), JSON.stringify(config), { mode: 0o600 });
  const main = join(import.meta.dirname, "../src/main.ts");
  const child = spawn(process.execPath, [main, "gateway", "run", "--port", "0"], {
    env: { PATH: process.env.PATH ?? "", HOME: join(folder, "gateway-home"), OPENCLAW_STATE_DIR: state },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const port = await new Promise<number>((resolve, reject) => {
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      const url = /is ready on (\S+)/.exec(printed)?.[1];
      if (url !== undefined) resolve(Number(new URL(url).port));
    });
    void ended.then(() => reject(new Error(`the gateway did not start: ${printed}`)));
  });
  return { port, ended, stop: () => child.kill("SIGTERM") };
}

/** A home of its own for the other command line, with a config that names our gateway. */
async function prepareClient(folder: string, port: number) {
  const home = join(folder, "client-home");
  const state = join(home, ".openclaw");
  await mkdir(state, { recursive: true, mode: 0o700 });
  const config = { gateway: { mode: "local", port, bind: "loopback", auth: { mode: "token", token } } };
  await writeFile(join(state, "openclaw.json"), JSON.stringify(config), { mode: 0o600 });
  return {
    // It wants a Node as new as ours, which the system's own may not be.
    PATH: `${programs}:${dirname(process.execPath)}:/usr/bin:/bin`,
    HOME: home,
    OPENCLAW_STATE_DIR: state,
    OPENCLAW_GATEWAY_PORT: String(port),
    OPENCLAW_GATEWAY_TOKEN: token,
    OPENCLAW_DISABLE_BONJOUR: "1",
    NO_COLOR: "1",
  };
}

async function runCommand(env: Readonly<Record<string, string>>, words: readonly string[]) {
  const child = spawn(join(programs, "openclaw"), words, {
    env,
    cwd: env.HOME,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
