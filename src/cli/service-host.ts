import { userInfo } from "node:os";
import { join } from "node:path";
import type { HelperPrograms } from "../sandbox/mod.ts";
import { CommandFailure } from "./failure.ts";
import type { Cli } from "./mod.ts";
import { launchdPlist, type ServicePlan, systemdUnit } from "./service-text.ts";
import { visibleLine } from "./visible.ts";

export interface ServiceState {
  /** The manager's own word: "active", "inactive", "failed", ...; "unknown" when it says none. */
  readonly state: string;
  readonly pid?: number;
  readonly lastExitCode?: number;
  /** Does it start by itself when its user logs in, or the machine starts? */
  readonly isEnabled: boolean;
}

/** One service of this user, at the machine's service manager. Each call throws a CommandFailure that says what failed. */
export interface ServiceHost {
  readonly manager: "systemd" | "launchd";
  readonly name: string;
  /** Where its text lies. */
  readonly file: string;
  textOf(plan: ServicePlan): string;
  /** Throws where no manager of this user answers. */
  reach(): Promise<void>;
  /** Takes the file over, as it is now, and runs it from now on. */
  activate(): Promise<void>;
  /** Ends it for good; the file may go. */
  deactivate(): Promise<void>;
  /** After the file has gone. */
  forget(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  restart(): Promise<void>;
  state(): Promise<ServiceState>;
  /** What the person has to know about when it runs; undefined: nothing. */
  hint(): Promise<string | undefined>;
}

/** A stop waits for running replies, for as long as the service's text says. */
const stopMs = 340_000;
const answerMs = 20_000;

type Run = (args: readonly string[], timeoutMs?: number) => ReturnType<HelperPrograms["run"]>;

/** The manager of this platform; throws a CommandFailure that says what to do without one. */
export function serviceHost(cli: Cli, kind: "gateway" | "node"): ServiceHost {
  const suffix = cli.profile === undefined ? "" : `-${profileName(cli.profile)}`;
  if (cli.platform === "linux") return systemdHost(cli, `openclaw-${kind}${suffix}.service`);
  if (cli.platform === "darwin") return launchdHost(cli, `ai.openclaw.${kind}${suffix}`);
  throw new CommandFailure(
    1,
    `there is neither systemd nor launchd on ${cli.platform}. Let your own supervisor run: openclaw ${kind} run`,
  );
}

function profileName(profile: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/.test(profile)) return profile;
  throw new CommandFailure(
    1,
    `the profile ${JSON.stringify(profile)} cannot name a service: letters, digits, "-" and "_" only`,
  );
}

/** Exported for its test, as is {@link launchdHost}: each is asked for on its own platform only. */
export function systemdHost(cli: Pick<Cli, "env" | "clock">, name: string): ServiceHost {
  const { HOME = userInfo().homedir, XDG_CONFIG_HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS } = cli.env;
  const runtime = XDG_RUNTIME_DIR ?? `/run/user/${userInfo().uid}`;
  const surroundings = [
    `HOME=${HOME}`,
    `XDG_RUNTIME_DIR=${runtime}`,
    ...(XDG_CONFIG_HOME ? [`XDG_CONFIG_HOME=${XDG_CONFIG_HOME}`] : []),
    ...(DBUS_SESSION_BUS_ADDRESS ? [`DBUS_SESSION_BUS_ADDRESS=${DBUS_SESSION_BUS_ADDRESS}`] : []),
  ];
  const run = runner(cli, "systemctl", surroundings);
  const user: Run = (args, timeoutMs) => run(["--user", ...args], timeoutMs);
  const must = mustWork("systemctl --user", user);
  return {
    manager: "systemd",
    name,
    file: join(
      XDG_CONFIG_HOME?.startsWith("/") ? XDG_CONFIG_HOME : join(HOME, ".config"),
      "systemd",
      "user",
      name,
    ),
    textOf: systemdUnit,
    async reach() {
      const { code, stderr } = await user(["show-environment"]);
      if (code === 0) return;
      throw new CommandFailure(
        1,
        code === 127
          ? "there is no systemctl: this machine does not run systemd. Let your own supervisor run: openclaw gateway run"
          : `systemd does not answer for this user: ${visibleLine(stderr.trim())}. Log in as this user itself (not with su or sudo), or: loginctl enable-linger ${userInfo().username}`,
      );
    },
    async activate() {
      await must(["daemon-reload"]);
      await must(["enable", name]);
      await must(["restart", name], stopMs);
    },
    async deactivate() {
      await must(["disable", "--now", name], stopMs);
    },
    async forget() {
      await must(["daemon-reload"]);
    },
    start: () => must(["start", name]),
    stop: () => must(["stop", name], stopMs),
    restart: () => must(["restart", name], stopMs),
    async state() {
      const properties = "ActiveState,MainPID,ExecMainStatus,UnitFileState";
      const { stdout } = await user(["show", name, `--property=${properties}`]);
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
      const pid = Number(value("MainPID"));
      return {
        state: value("ActiveState") || "unknown",
        isEnabled: value("UnitFileState") === "enabled",
        ...(pid > 0 ? { pid } : { lastExitCode: Number(value("ExecMainStatus")) }),
      };
    },
    async hint() {
      const { username } = userInfo();
      const { code, stdout } = await runner(
        cli,
        "loginctl",
        surroundings,
      )(["show-user", username, "--property=Linger"]);
      return code === 0 && stdout.includes("Linger=yes")
        ? undefined
        : `It ends when you log out. To keep it running: loginctl enable-linger ${username}`;
    },
  };
}

export function launchdHost(cli: Pick<Cli, "env" | "clock">, name: string): ServiceHost {
  const { HOME = userInfo().homedir } = cli.env;
  const domain = `gui/${userInfo().uid}`;
  const target = `${domain}/${name}`;
  const file = join(HOME, "Library", "LaunchAgents", `${name}.plist`);
  const run = runner(cli, "launchctl", [`HOME=${HOME}`]);
  const must = mustWork("launchctl", run);
  const isLoaded = async () => (await run(["print", target])).code === 0;
  const unload = async () => {
    if (await isLoaded()) await must(["bootout", target], stopMs);
  };
  return {
    manager: "launchd",
    name,
    file,
    textOf: (plan) => launchdPlist(name, plan),
    async reach() {
      const { code, stderr } = await run(["print", domain]);
      if (code === 0) return;
      throw new CommandFailure(
        1,
        `launchd does not answer for this user: ${visibleLine(stderr.trim())}. Log in on the Mac's screen as this user`,
      );
    },
    async activate() {
      await unload();
      await must(["enable", target]);
      await must(["bootstrap", domain, file]);
    },
    deactivate: unload,
    forget: async () => {},
    async start() {
      if (await isLoaded()) await must(["kickstart", target]);
      else await must(["bootstrap", domain, file]);
    },
    stop: unload,
    async restart() {
      if (await isLoaded()) await must(["kickstart", "-k", target], stopMs);
      else await must(["bootstrap", domain, file]);
    },
    async state() {
      const { code, stdout } = await run(["print", target]);
      const value = (key: string) => new RegExp(`^\\s*${key} = (.*)$`, "m").exec(stdout)?.[1];
      const pid = value("pid");
      const exit = /^\d+/.exec(value("last exit code") ?? "")?.[0];
      return {
        state: code === 0 ? (value("state") ?? "unknown") : "inactive",
        isEnabled: code === 0,
        ...(pid === undefined ? {} : { pid: Number(pid) }),
        ...(exit === undefined ? {} : { lastExitCode: Number(exit) }),
      };
    },
    hint: async () => undefined,
  };
}

/** Its environment is what is named: no variable of this terminal, where secrets may be, reaches the manager. */
function runner(cli: Pick<Cli, "env" | "clock">, program: string, surroundings: readonly string[]): Run {
  return async (args, timeoutMs = answerMs) => {
    // Loaded when a program is run: most calls of `status` need none.
    const { createHelperPrograms } = await import("../sandbox/mod.ts");
    const programs = createHelperPrograms({ path: cli.env.PATH ?? "", after: cli.clock.after });
    return programs.run("env", [...surroundings, program, ...args], timeoutMs);
  };
}

function mustWork(what: string, run: Run): (args: readonly string[], timeoutMs?: number) => Promise<void> {
  return async (args, timeoutMs) => {
    const { code, stderr } = await run(args, timeoutMs);
    if (code === 0) return;
    const said =
      visibleLine(stderr.trim()) || (code === null ? "it did not end in time" : `exit code ${code}`);
    throw new CommandFailure(1, `${what} ${args.join(" ")} failed: ${said}`);
  };
}
