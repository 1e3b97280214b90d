import { posix } from "node:path";
import type { CommandLine, Redirection, SimpleCommand } from "./command-tree.ts";

/** Where the parts of a line work, as paths relative to the workspace ("." is the workspace itself). */
export type Places =
  | {
      /** For each step the folder that it runs in; undefined when that depends on how an earlier step ends. */
      readonly folders: readonly (string | undefined)[];
      /** Files of the workspace that the line itself opens. */
      readonly files: readonly { readonly path: string; readonly access: "read" | "write" }[];
    }
  /** It leaves what we run ourselves; a clause like those of ReadLine. */
  | { readonly why: string };

/** Stands for what `cd` alone goes to: the home of a command is its workspace. */
const home = "~";
/** The empty device may be read and written anywhere. */
const nothing = "/dev/null";

/** Follows `cd` through a line, and finds the files of its redirections. Pure: looks at no disk. */
export function placesOf(line: CommandLine, workdir: string, workspaceRoot: string): Places {
  const folders: (string | undefined)[] = [];
  const files: { path: string; access: "read" | "write" }[] = [];
  let folder: string | undefined = inWorkspace(workdir, ".", workspaceRoot);
  let isSure = true;
  for (const { when, commands } of line) {
    // Behind a `cd` that may have failed or been skipped, only && tells where we are.
    if (!isSure && when !== "success") folder = undefined;
    folders.push(folder);
    for (const command of commands) {
      for (const redirection of command.redirections) {
        const opened = openedFile(redirection, folder, workspaceRoot);
        if (typeof opened === "string") return { why: opened };
        if (opened) files.push(opened);
      }
    }
    const target = changedFolder(commands);
    if (target === undefined) continue;
    const next = target === home ? "." : folder && inWorkspace(target, folder, workspaceRoot);
    if (next === undefined)
      return { why: `a change to a folder that is not surely in the workspace (cd ${target})` };
    // Only a line that begins with it and goes on with && is sure of it; `a || cd b && c` is not.
    folder = when === "failure" ? undefined : next;
    isSure = false;
  }
  return { folders, files };
}

function changedFolder([command]: readonly SimpleCommand[]): string | undefined {
  return command?.words[0]?.text === "cd" ? (command.words[1]?.text ?? home) : undefined;
}

function openedFile(
  redirection: Redirection,
  folder: string | undefined,
  root: string,
): { path: string; access: "read" | "write" } | string | undefined {
  if (redirection.kind !== "file" || redirection.path === nothing) return undefined;
  if (folder === undefined) return "a redirection in a folder that depends on how an earlier command ends";
  const path = inWorkspace(redirection.path, folder, root);
  if (path === undefined || path === "." || redirection.path.endsWith("/"))
    return `a redirection that is not surely in the workspace (${redirection.path})`;
  return { path, access: redirection.access === "read" ? "read" : "write" };
}

/** `path`, seen from `folder`, relative to the workspace; undefined for all that could lead out of it. */
function inWorkspace(path: string, folder: string, root: string): string | undefined {
  // Other readers take these for homes, variables, drives and addresses.
  if (/[\\:$]|\p{Cc}|^~/u.test(path)) return undefined;
  if (path.split("/").includes("..")) return undefined;
  if (!path.startsWith("/")) return plain(posix.join(folder, path));
  return path === root ? "." : path.startsWith(`${root}/`) ? plain(path.slice(root.length + 1)) : undefined;
}

function plain(path: string): string {
  const normal = posix.normalize(path).replace(/\/$/, "");
  return normal === "" ? "." : normal;
}
