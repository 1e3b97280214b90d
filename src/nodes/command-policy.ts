/** Which commands a node may be asked for at all: the platform's table, what is dangerous, and what the config says. */

export interface NodeSettings {
  /** gateway.nodes.commands.allow: exact names beyond the platform's own. */
  readonly allow: readonly string[];
  /** gateway.nodes.commands.deny: wins over everything. */
  readonly deny: readonly string[];
}

/** What a node says that it can do. */
export interface Surface {
  readonly caps: readonly string[];
  readonly commands: readonly string[];
  readonly permissions: Readonly<Record<string, boolean>>;
}

export type Platform = "ios" | "android" | "macos" | "windows" | "linux";

/** One spelling for each platform; any other word (a lookalike letter, an invisible one) is none that we know. */
const platforms: Readonly<Record<string, Platform>> = {
  ios: "ios",
  ipados: "ios",
  android: "android",
  macos: "macos",
  darwin: "macos",
  windows: "windows",
  win32: "windows",
  linux: "linux",
};

const words = (text: string): readonly string[] => text.split(/\s+/);

const phone = words(
  `camera.list location.get device.info device.status contacts.search calendar.events reminders.list photos.latest
  motion.activity motion.pedometer system.notify`,
);

/** What needs no mention in the config, once it is approved. */
const platformCommands: Readonly<Record<Platform, readonly string[]>> = {
  ios: phone,
  android: [
    ...phone,
    ...words(
      `notifications.list notifications.actions device.permissions device.health device.apps callLog.search
      mobile.ui.observe mobile.ui.act`,
    ),
  ],
  macos: [...phone, "camera.ptz.status", "device.apps", "computer.act"],
  windows: words("camera.list location.get device.info device.status system.notify computer.act"),
  linux: words("system.notify computer.act"),
};

/** What makes a machine a host for commands; for computers only, and never for a platform that we do not know. */
const hostCommands: readonly string[] = words(
  `system.run system.run.prepare system.which system.execApprovals.get system.execApprovals.set browser.proxy
  browser.proxy.upload.v1 mcp.tools.call.v1 screen.snapshot desktop.stream fs.listDir terminal.upload ollama.chat
  ollama.models`,
);
const hosts: readonly (Platform | undefined)[] = ["macos", "windows", "linux"];

/** Commands that run programs or change what may run: whoever approves one gives away the machine. */
const adminCommands: ReadonlySet<string> = new Set(
  words(
    `system.run system.run.prepare system.which browser.proxy browser.proxy.upload.v1 fs.listDir
    system.execApprovals.get system.execApprovals.set`,
  ),
);

export function platformOf(claimed: string | undefined): Platform | undefined {
  const word = (claimed ?? "").trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return Object.hasOwn(platforms, word) ? platforms[word] : undefined;
}

/**
 * True when the gateway would pass this command on to a node of this platform. Cameras, screens, messages and writing
 * into contacts and calendars are in no table: they take an entry of gateway.nodes.commands.allow.
 */
export function commandAllowed(
  command: string,
  platform: Platform | undefined,
  settings: NodeSettings,
): boolean {
  if (settings.deny.includes(command)) return false;
  if (settings.allow.includes(command)) return true;
  if (platform !== undefined && platformCommands[platform].includes(command)) return true;
  return hosts.includes(platform) && hostCommands.includes(command);
}

/** What an approver has to hold beside operator.pairing. */
export function approvalScopes(
  commands: readonly string[],
): readonly ("operator.pairing" | "operator.write" | "operator.admin")[] {
  if (commands.length === 0) return ["operator.pairing"];
  return commands.some((command) => adminCommands.has(command))
    ? ["operator.pairing", "operator.admin"]
    : ["operator.pairing", "operator.write"];
}

const name = /^[A-Za-z][A-Za-z0-9._-]{0,127}$/;
const maxNames = 256;

/** What of a declaration counts: plain names that the policy lets through, each once, sorted. */
export function policySurface(
  declared: Surface,
  platform: Platform | undefined,
  settings: NodeSettings,
): Surface {
  const plain = (list: readonly string[]) =>
    [...new Set(list)]
      .filter((item) => name.test(item))
      .slice(0, maxNames)
      .sort();
  return {
    caps: plain(declared.caps),
    commands: plain(declared.commands).filter((item) => commandAllowed(item, platform, settings)),
    permissions: Object.fromEntries(
      Object.entries(declared.permissions)
        .filter(([key]) => name.test(key))
        .slice(0, maxNames)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

/** True when `surface` holds nothing that was not approved. */
export function isCovered(surface: Surface, approved: Surface | undefined): boolean {
  if (!approved) return false;
  return (
    surface.commands.every((item) => approved.commands.includes(item)) &&
    surface.caps.every((item) => approved.caps.includes(item)) &&
    Object.entries(surface.permissions).every(
      ([key, granted]) => !granted || approved.permissions[key] === true,
    )
  );
}

/** What of the declaration is in force: nothing that was not approved, nothing that is not declared now. */
export function effectiveSurface(surface: Surface, approved: Surface | undefined): Surface {
  const among = (list: readonly string[], other: readonly string[] | undefined) =>
    list.filter((item) => other?.includes(item));
  return {
    caps: among(surface.caps, approved?.caps),
    commands: among(surface.commands, approved?.commands),
    permissions: Object.fromEntries(
      Object.entries(surface.permissions).map(([key, granted]) => [
        key,
        granted && approved?.permissions[key] === true,
      ]),
    ),
  };
}
