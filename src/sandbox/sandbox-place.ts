import { existsSync, realpathSync } from "node:fs";

/** Folders of which no part is ever shown, and those that must not be inside of what is shown (attacks ). */
const neverShown = [
  "/etc",
  "/proc",
  "/sys",
  "/dev",
  "/boot",
  "/run",
  "/var/run",
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
];

/** Folders of the gateway that no sandbox may see. */
export interface HiddenPlaces {
  readonly stateDir: string;
  /** Homes of the gateway's user, by every name that the system has for them; those that do not exist do not count. */
  readonly homes: readonly string[];
}

/** Why these folders may not be shown. Links are followed first, so that no spelling of a path says something else. */
export function placeProblem(
  paths: readonly (string | undefined)[],
  places: HiddenPlaces,
): string | undefined {
  for (const path of paths) {
    if (path === undefined) continue;
    let real: string;
    let hidden: string[];
    try {
      real = realpathSync.native(path);
      hidden = [realpathSync.native(places.stateDir), ...homesOf(places)];
    } catch {
      return `The folder ${path} cannot be opened.`;
    }
    if (real !== path) return `The folder ${path} is reached through a link. Name it as it is: ${real}.`;
    const holds = [...hidden, ...neverShown, "/"].find((folder) => isWithin(folder, real));
    if (holds !== undefined) return `The folder ${path} holds ${holds}, which no sandbox may see.`;
    const inside = neverShown.find((folder) => isWithin(real, folder));
    if (inside !== undefined) return `The folder ${path} is in ${inside}, which no sandbox may change.`;
  }
  return undefined;
}

/** Without those of system users, whose home is a system folder or none. */
export function homesOf({ homes }: HiddenPlaces): string[] {
  return homes
    .filter((home) => existsSync(home))
    .map((home) => realpathSync.native(home))
    .filter((home) => home !== "/" && !neverShown.some((folder) => isWithin(home, folder)));
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}
