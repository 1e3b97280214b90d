import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentFile, ControlParts } from "../control/mod.ts";
import { InputError, type Random } from "../kernel/mod.ts";

const maxFileBytes = 1_048_576;

/**
 * The files that an agent reads at the start of each turn, for operators. Only these names exist, so no name leads
 * elsewhere; a link or a second name of a file is not followed: the agent's own commands could have planted it.
 */
export function createAgentFiles(names: readonly string[], random: Random): ControlParts["agentFiles"] {
  const pathOf = (workspace: string, name: string) => {
    if (!names.includes(name))
      throw new InputError(`unsupported file ${JSON.stringify(name)}; there are ${names.join(", ")}`);
    return join(workspace, name);
  };

  async function describe(workspace: string, name: string): Promise<AgentFile> {
    const path = pathOf(workspace, name);
    const stat = await lstat(path).catch(() => undefined);
    if (!stat?.isFile()) return { name, path, missing: true };
    return { name, path, missing: false, size: stat.size, updatedAtMs: Math.round(stat.mtimeMs) };
  }

  async function read(workspace: string, name: string): Promise<AgentFile> {
    const file = await describe(workspace, name);
    if (file.missing) return file;
    return { ...file, content: await textOf(file.path) };
  }

  return {
    list: (workspace) => Promise.all(names.map((name) => describe(workspace, name))),
    read,
    async write(workspace, name, content, expectedHash) {
      const path = pathOf(workspace, name);
      if (expectedHash !== undefined) {
        const { content: before = "" } = await read(workspace, name);
        if (createHash("sha256").update(before).digest("hex") !== expectedHash)
          throw new InputError(`${name} changed since it was read; read it again and retry`);
      }
      // A new file takes the name's place: nothing is written through a link that lay there.
      const fresh = join(workspace, `.${name}.${random.bytes(6).toString("hex")}`);
      try {
        await mkdir(workspace, { recursive: true, mode: 0o700 });
        await writeFile(fresh, content, { flag: "wx", mode: 0o600 });
        await rename(fresh, path);
      } catch (error) {
        await rm(fresh, { force: true });
        throw new InputError(`${path} could not be written: ${(error as NodeJS.ErrnoException).code}`);
      }
      return describe(workspace, name);
    },
  };
}

async function textOf(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  if (!handle) throw new InputError(`${path} is not a plain file that can be read`);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.nlink > 1) throw new InputError(`${path} is not a plain file of its own`);
    if (stat.size > maxFileBytes) throw new InputError(`${path} is longer than ${maxFileBytes} bytes`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
