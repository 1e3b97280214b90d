import { InputError } from "../kernel/mod.ts";
import type { Effect } from "../policy/effect.ts";
import type { CommandRequest, Commands, FileVersions, HostCommands, Web, Workspace } from "./tool.ts";
import { parseWorkspacePath, showPath } from "./workspace-path.ts";

type FileEffect = Extract<Effect, { kind: "file.read" | "file.write" | "file.delete" }>;

/** The same workspace, but only for the paths and uses that the effects name. */
export function narrowWorkspace(workspace: Workspace, effects: readonly Effect[]): Workspace {
  const allowed: Record<FileEffect["kind"], Set<string>> = {
    "file.read": new Set(),
    "file.write": new Set(),
    "file.delete": new Set(),
  };
  const plain = (path: string) => parseWorkspacePath(workspace.root, path).join("/");
  /** Each with its slash; no path begins with the one of the workspace as a whole. */
  const below: string[] = [];
  for (const effect of effects) {
    if (effect.kind === "file.write" && effect.below) {
      below.push(`${plain(effect.path)}/`);
    } else if (effect.kind === "file.read" || effect.kind === "file.write" || effect.kind === "file.delete")
      allowed[effect.kind].add(plain(effect.path));
  }
  // Taking back what this very call did is an undo: removing the file it made, writing again the file it removed.
  const created = new Set<string>();
  const removed = new Set<string>();

  function require(kind: FileEffect["kind"], path: string): void {
    if (allowed[kind].has(plain(path))) return;
    throw notPermitted(`${kind} of ${showPath(path)}`);
  }

  function isBelow(path: string): boolean {
    return below.some((folder) => plain(path).startsWith(folder));
  }

  return {
    root: workspace.root,
    read: async (path, maxBytes) => {
      require("file.read", path);
      return workspace.read(path, maxBytes);
    },
    list: async (path, limit) => {
      require("file.read", path);
      return workspace.list(path, limit);
    },
    write: async (path, bytes) => {
      const isNewBelow = isBelow(path) && !(await workspace.exists(path));
      if (!isNewBelow && !removed.delete(plain(path))) require("file.write", path);
      const result = await workspace.write(path, bytes);
      if (result.created) created.add(plain(path));
      return result;
    },
    remove: async (path) => {
      if (!created.delete(plain(path))) require("file.delete", path);
      await workspace.remove(path);
      removed.add(plain(path));
    },
    exists: async (path) => {
      const name = plain(path);
      const isTarget = below.includes(`${name}/`) || isBelow(path);
      if (!isTarget && !Object.values(allowed).some((paths) => paths.has(name)))
        throw notPermitted(`a look at ${showPath(path)}`);
      return workspace.exists(path);
    },
  };
}

/** Looking back needs leave to read the file, and taking back leave to read, write and delete it. */
export function narrowVersions(
  versions: FileVersions,
  root: string,
  effects: readonly Effect[],
): FileVersions {
  const plain = (path: string) => parseWorkspacePath(root, path).join("/");
  function require(path: string, kinds: readonly FileEffect["kind"][]): void {
    for (const kind of kinds)
      if (
        !effects.some(
          (effect) => effect.kind === kind && !isBelowAlone(effect) && plain(effect.path) === plain(path),
        )
      )
        throw notPermitted(`${kind} of ${showPath(path)}`);
  }
  return {
    of(path) {
      require(path, ["file.read"]);
      return versions.of(path);
    },
    async restore(path) {
      require(path, ["file.read", "file.write", "file.delete"]);
      return versions.restore(path);
    },
  };
}

function isBelowAlone(effect: FileEffect): boolean {
  return effect.kind === "file.write" && effect.below === true;
}

/** Only the permitted command, as often as it was permitted; only the processes that the effects name. */
export function narrowCommands(commands: HostCommands, effects: readonly Effect[]): Commands {
  const permitted = effects.filter((effect) => effect.kind === "command");
  const processes = effects.filter((effect) => effect.kind === "process");
  return {
    start: async (request) => {
      const index = permitted.findIndex((effect) => isSame(effect, request));
      const run = permitted[index]?.run;
      if (!run) throw notPermitted("this command");
      permitted.splice(index, 1);
      return commands.start({ ...request, run });
    },
    list: () => {
      if (!processes.some((effect) => effect.processId === undefined))
        throw notPermitted("a list of the commands");
      return commands.list();
    },
    get: (id) => {
      if (!processes.some((effect) => effect.processId === id)) throw notPermitted("a look at this command");
      return commands.get(id);
    },
  };
}

/** Only the permitted URLs, character by character; where they redirect to is the web's own to judge. */
export function narrowWeb(web: Web, effects: readonly Effect[], signal: AbortSignal): Web {
  const urls = new Set(effects.flatMap((effect) => (effect.kind === "fetch" ? [effect.url] : [])));
  return {
    fetch: async (request) => {
      if (!urls.has(request.url)) throw notPermitted("a fetch of this address");
      return web.fetch({ ...request, signal: AbortSignal.any([request.signal, signal]) });
    },
  };
}

function isSame(effect: Extract<Effect, { kind: "command" }>, request: CommandRequest): boolean {
  const names = Object.keys(request.env);
  return (
    effect.command === request.command &&
    effect.workdir === request.workdir &&
    effect.pty === request.pty &&
    names.length === Object.keys(effect.env).length &&
    names.every((name) => Object.hasOwn(effect.env, name) && effect.env[name] === request.env[name])
  );
}

function notPermitted(what: string): InputError {
  return new InputError(`The tool tried ${what}, which this call was not permitted. Nothing was done.`);
}
