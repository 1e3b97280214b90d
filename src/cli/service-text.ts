import { CommandFailure } from "./failure.ts";

/** What a service manager shall run, and with what. Holds no secret: its text lies in a file, and in the manager's logs. */
export interface ServicePlan {
  readonly description: string;
  /** Absolute program, and its arguments. */
  readonly command: readonly string[];
  readonly environment: readonly (readonly [name: string, value: string])[];
  /** Where the person keeps variables that are secrets; may be missing. Only systemd can read it. */
  readonly secretsFile: string;
}

/** How long a stop may take: the gateway's own wait for running replies, and some to spare (as documented). */
export const drainSeconds = 315;
const stopSeconds = 330;
/** Another healthy gateway is there already: nothing to start again for. */
export const yieldedExitCode = 78;

/**
 * A systemd user unit (systemd.service(5)). Nothing that takes rights away from what agents run: NoNewPrivileges and
 * whatever implies it would break rootless containers, and with them the sandbox.
 */
export function systemdUnit(plan: ServicePlan): string {
  const secrets = environmentFile(plan.secretsFile);
  return `[Unit]
Description=${withoutSpecifiers(plan.description)}
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${commandLine(plan.command)}
${plan.environment.map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}\n`).join("")}${secrets}Restart=always
RestartSec=5
RestartPreventExitStatus=${yieldedExitCode}
KillMode=mixed
TimeoutStopSec=${stopSeconds}
OOMPolicy=continue
LimitCORE=0
UMask=0077

[Install]
WantedBy=default.target
`;
}

/** A launchd agent (launchd.plist(5)). */
export function launchdPlist(label: string, plan: ServicePlan): string {
  const strings = (items: readonly string[]) =>
    items.map((item) => `    <string>${xml(item)}</string>\n`).join("");
  const pairs = plan.environment
    .map(([name, value]) => `    <key>${xml(name)}</key>\n    <string>${xml(value)}</string>\n`)
    .join("");
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${xml(label)}</string>
  <key>ProgramArguments</key>
  <array>
${strings(plan.command)}  </array>
  <key>EnvironmentVariables</key>
  <dict>
${pairs}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>${stopSeconds}</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>HardResourceLimits</key>
  <dict>
    <key>Core</key>
    <integer>0</integer>
  </dict>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>/dev/null</string>
</dict>
</plist>
`;
}

/** The program and its arguments, each quoted. In a program's own path systemd replaces no variables, so `$` cannot be there. */
function commandLine([program = "", ...args]: readonly string[]): string {
  if (!program.startsWith("/") || program.includes("$"))
    throw new CommandFailure(
      1,
      `a service cannot run ${JSON.stringify(program)}: it needs a plain absolute path`,
    );
  return [quoted(program), ...args.map((word) => quoted(word).replaceAll("$", "$$$$"))].join(" ");
}

/** In double quotes, with what is special there or a specifier (`%h`) taken literally. */
function quoted(text: string): string {
  return `"${withoutSpecifiers(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function withoutSpecifiers(text: string): string {
  if (hasControl(text))
    throw new CommandFailure(1, `a service cannot hold the control characters of ${JSON.stringify(text)}`);
  return text.replaceAll("%", "%%");
}

/** The path stands there unquoted and is a pattern: left out where it could mean another file. */
function environmentFile(path: string): string {
  return /^\/[\w./@:+, -]+$/.test(path) ? `EnvironmentFile=-${path}\n` : "";
}

function xml(text: string): string {
  if (hasControl(text))
    throw new CommandFailure(1, `a service cannot hold the control characters of ${JSON.stringify(text)}`);
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
