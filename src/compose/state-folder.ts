import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "../kernel/mod.ts";

/** Where everything of one gateway is kept. All absolute. */
export interface StatePaths {
  readonly root: string;
  readonly configFile: string;
  readonly database: string;
  readonly credentials: string;
  readonly approvalsFile: string;
  readonly workspace: string;
}

/**
 * The state folder of this environment: OPENCLAW_STATE_DIR, else ~/.openclaw (or ~/.openclaw-<profile>); the config
 * is OPENCLAW_CONFIG_PATH, else openclaw.json in it.
 */
export function statePaths(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
  profile: string | undefined,
): StatePaths {
  const suffix = profile ? `-${profile}` : "";
  const root = env.OPENCLAW_STATE_DIR || join(env.OPENCLAW_HOME || home, `.openclaw${suffix}`);
  return {
    root,
    configFile: env.OPENCLAW_CONFIG_PATH || join(root, "openclaw.json"),
    database: join(root, "state", "gateway.sqlite"),
    credentials: join(root, "credentials"),
    approvalsFile: join(root, "exec-approvals.json"),
    workspace: join(root, "workspace"),
  };
}

const folders = [
  ".",
  "state",
  "credentials",
  "agents",
  "nodes",
  "sandboxes",
  "extensions",
  "vault",
  "workspace",
];

/**
 * Makes the layout where it is missing and tightens what others could read: folders 700, files of the top levels
 * 600. Throws an InputError that says what to do when the folder cannot be used.
 */
export function prepareStateFolder(paths: StatePaths): void {
  try {
    for (const name of folders) {
      const folder = join(paths.root, name);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      tighten(folder, 0o700);
    }
    for (const folder of [
      paths.root,
      join(paths.root, "state"),
      paths.credentials,
      join(paths.root, "nodes"),
    ]) {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (entry.isFile()) tighten(join(folder, entry.name), 0o600);
      }
    }
  } catch (error) {
    throw unusable(paths, error);
  }
}

/** What to tell a person whose state folder cannot be read or written. */
export function unusable(paths: StatePaths, error: unknown): InputError {
  if (error instanceof InputError) return error;
  return new InputError(
    `the state folder ${paths.root} cannot be used: ${(error as Error).message}. Make it writable for this user, or set OPENCLAW_STATE_DIR.`,
  );
}

function tighten(path: string, mode: number): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  if ((stat.mode & 0o777 & ~mode) !== 0) chmodSync(path, mode);
}
