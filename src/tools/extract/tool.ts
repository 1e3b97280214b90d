import { posix } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Tool, ToolOutput, Workspace } from "../../sandbox/tool.ts";
import { type ArchiveEntry, archiveLimits, broken, type PlannedFile, planExtraction } from "./entry.ts";
import { looksLikeTar, readTar } from "./tar.ts";
import { readZip } from "./zip.ts";

const unzip = promisify(gunzip);
const maxArchiveBytes = 32 * 1024 * 1024;
const maxShown = 500;

const parameters = s.object({
  path: s.string({
    description: "The archive (zip, tar, tar.gz), relative to the workspace.",
    minLength: 1,
    maxLength: 4096,
  }),
  to: s.optional(
    s.string({
      description:
        "A new folder to unpack into; the archive's name without its ending, when it is not given.",
      minLength: 1,
      maxLength: 4096,
    }),
  ),
  list: s.optional(s.boolean({ description: "Only show what is in it." })),
});
type Args = Static<typeof parameters>;

/** Unpacks an archive into a new folder: all of it, or nothing (attack A-155). */
export function openExtract(): Tool {
  return {
    spec: {
      name: "extract",
      description:
        "Lists or unpacks a zip, tar or tar.gz archive of the workspace into a new folder. Archives with links, devices or names that lead outside are refused as a whole.",
      parameters,
    },
    plan(args) {
      const { path, list } = args as Args;
      const read = { kind: "file.read", path } as const;
      return list ? [read] : [read, { kind: "file.write", path: targetOf(args as Args), below: true }];
    },
    async run(args, powers) {
      const { path, list } = args as Args;
      // Read once: what is checked is what is unpacked, whatever becomes of the file meanwhile.
      const { bytes, truncated, size } = await powers.workspace.read(path, maxArchiveBytes);
      if (truncated)
        throw new InputError(
          `${JSON.stringify(path)} has ${size} bytes; archives of at most ${maxArchiveBytes} are read.`,
        );
      const entries = await readEntries(bytes, path);
      if (list) return listing(entries, bytes.length, path);
      const files = planExtraction(entries, bytes.length, archiveLimits);
      return unpack(files, targetOf(args as Args), path, powers.workspace);
    },
  };
}

function targetOf({ path, to }: Args): string {
  const plain = posix.normalize(to ?? path.replace(/\.(?:zip|tar|tgz|tar\.gz)$/i, "")).replace(/\/+$/, "");
  if (plain === "." || plain === "" || plain === posix.normalize(path))
    throw new InputError("Say a new folder to unpack into, in to.");
  return plain;
}

/** By its content, never by its name. */
async function readEntries(bytes: Buffer, path: string): Promise<readonly ArchiveEntry[]> {
  if (bytes.toString("latin1", 0, 2) === "PK") return readZip(bytes);
  if (looksLikeTar(bytes)) return readTar(bytes);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b)
    throw new InputError(`${JSON.stringify(path)} is no zip, tar or tar.gz archive.`);
  let plain: Buffer;
  try {
    plain = await unzip(bytes, { maxOutputLength: archiveLimits.maxTotalBytes });
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    throw broken(
      isLarge ? `it unpacks to more than ${archiveLimits.maxTotalBytes} bytes` : "it is no whole gzip file",
    );
  }
  if (looksLikeTar(plain)) return readTar(plain);
  throw new InputError(`${JSON.stringify(path)} is compressed, but holds no tar archive.`);
}

function listing(entries: readonly ArchiveEntry[], archiveBytes: number, path: string): ToolOutput {
  let problem = "";
  try {
    planExtraction(entries, archiveBytes, archiveLimits);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    problem = `\n[It would not be unpacked: ${error.message}]`;
  }
  const lines = entries
    .slice(0, maxShown)
    .map(({ name, kind, size }) => `${kind === "file" ? size : kind}\t${JSON.stringify(name).slice(1, -1)}`);
  const more = entries.length > maxShown ? `\n[${entries.length - maxShown} more]` : "";
  return {
    text: `${lines.join("\n") || "(an empty archive)"}${more}${problem}`,
    isError: false,
    origin: `file:${path}`,
    details: { path, entries: entries.length },
  };
}

async function unpack(
  files: readonly PlannedFile[],
  target: string,
  path: string,
  workspace: Workspace,
): Promise<ToolOutput> {
  // What is there already could be a link, or a folder that holds one.
  if (await workspace.exists(target))
    throw new InputError(`${JSON.stringify(target)} exists already. Name a new folder in to.`);
  // Each is looked at before the first is written: an archive that is broken in its last entry leaves nothing.
  for (const { entry } of files) await entry.read();
  const written: string[] = [];
  try {
    for (const { path: place, entry } of files) {
      const file = `${target}/${place}`;
      written.push(file);
      const { created } = await workspace.write(file, await entry.read());
      if (!created) throw new InputError(`${JSON.stringify(file)} was made by somebody else meanwhile.`);
    }
  } catch (error) {
    const left = await takeBack(written, workspace);
    const cause = error instanceof InputError ? error.message : "A file could not be written.";
    const rest = left.length === 0 ? "Nothing was unpacked." : `These files stay: ${left.join(", ")}.`;
    return { text: `${cause} ${rest}`, isError: true, trust: "system", wrote: left };
  }
  const bytes = files.reduce((sum, { entry }) => sum + entry.size, 0);
  return {
    text: `Unpacked ${files.length} ${files.length === 1 ? "file" : "files"} (${bytes} bytes) into ${target}.`,
    isError: false,
    trust: "system",
    wrote: written,
    details: { path, to: target, files: files.length, bytes },
  };
}

async function takeBack(written: readonly string[], workspace: Workspace): Promise<string[]> {
  const left: string[] = [];
  for (const file of written.toReversed())
    await workspace.remove(file).catch(async () => {
      if (await workspace.exists(file).catch(() => true)) left.push(file);
    });
  return left;
}
