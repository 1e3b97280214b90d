import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Tool, Workspace } from "../../sandbox/tool.ts";
import { maxFileBytes, readTextFile } from "../text-file.ts";
import { applyHunks, type FilePatch, parsePatch } from "./patch.ts";

const parameters = s.object({
  input: s.string({
    description:
      'The patch: "*** Begin Patch", then for each file "*** Add File: path", "*** Update File: path" (then maybe "*** Move to: path") or "*** Delete File: path" with lines that begin with " ", "-", "+" or "@@", then "*** End Patch".',
    minLength: 1,
    maxLength: 2_000_000,
  }),
});

/** Changes several files at once; all of them or none. */
export function openApplyPatch(): Tool {
  return {
    spec: {
      name: "apply_patch",
      description:
        "Adds, changes, moves and deletes files of the workspace with one patch. All of it is made, or nothing.",
      parameters,
    },
    plan(args) {
      return parsePatch((args as Static<typeof parameters>).input).flatMap((patch) => {
        const { path } = patch;
        if (patch.kind === "add") return [{ kind: "file.write", path }] as const;
        if (patch.kind === "delete")
          // Its content is read first, so that it can be put back when a later step fails.
          return [
            { kind: "file.read", path },
            { kind: "file.delete", path },
          ] as const;
        const read = { kind: "file.read", path } as const;
        const write = { kind: "file.write", path } as const;
        if (patch.moveTo === undefined) return [read, write];
        return [
          read,
          write,
          { kind: "file.delete", path },
          { kind: "file.write", path: patch.moveTo },
        ] as const;
      });
    },
    async run(args, powers) {
      const patches = parsePatch((args as Static<typeof parameters>).input);
      const steps: Step[] = [];
      for (const patch of patches) steps.push(...(await prepare(patch, powers.workspace)));
      // What removes comes last: until then nothing is gone that a failure would have to bring back.
      const writes = steps.filter((step) => step.content !== undefined);
      const removals = steps.filter((step) => step.content === undefined);
      await make([...writes, ...removals], powers.workspace);
      const summary = patches.map(summaryLine);
      return { text: summary.join("\n"), isError: false, trust: "system", details: { files: summary } };
    },
  };
}

/** One change that was found to be possible, and what undoes it. */
interface Step {
  readonly path: string;
  /** Undefined: the file is removed. */
  readonly content: Buffer | undefined;
  /** Undefined: there was no file. */
  readonly previous: Buffer | undefined;
}

async function prepare(patch: FilePatch, workspace: Workspace): Promise<Step[]> {
  const { path } = patch;
  if (patch.kind === "add") {
    await requireAbsent(workspace, path);
    return [{ path, content: Buffer.from(patch.content), previous: undefined }];
  }
  if (patch.kind === "delete") {
    const { bytes, truncated, size } = await workspace.read(path, maxFileBytes);
    if (truncated) throw new InputError(`${JSON.stringify(path)} is too large for a patch (${size} bytes).`);
    return [{ path, content: undefined, previous: bytes }];
  }
  const text = await readTextFile(workspace, path);
  const previous = Buffer.from(text);
  const content = Buffer.from(applyHunks(text, patch.hunks, path));
  if (patch.moveTo === undefined) return [{ path, content, previous }];
  await requireAbsent(workspace, patch.moveTo);
  return [
    { path: patch.moveTo, content, previous: undefined },
    { path, content: undefined, previous },
  ];
}

async function requireAbsent(workspace: Workspace, path: string): Promise<void> {
  if (await workspace.exists(path))
    throw new InputError(
      `${JSON.stringify(path)} exists already; use "*** Update File". Nothing was changed.`,
    );
}

async function make(steps: readonly Step[], workspace: Workspace): Promise<void> {
  const made: Step[] = [];
  try {
    for (const step of steps) {
      if (step.content) await workspace.write(step.path, step.content);
      else await workspace.remove(step.path);
      made.push(step);
    }
  } catch (error) {
    const left = await undo(made, workspace);
    const cause = error instanceof InputError ? error.message : "A file could not be written.";
    if (left.length === 0) throw new InputError(`${cause} Nothing was changed.`);
    throw new InputError(
      `${cause} These files stay changed, because they could not be put back: ${left.join(", ")}.`,
    );
  }
}

/** Puts back what was made, last first. Gives the paths where that failed. */
async function undo(made: readonly Step[], workspace: Workspace): Promise<string[]> {
  const left: string[] = [];
  for (const step of made.toReversed()) {
    try {
      if (step.previous) await workspace.write(step.path, step.previous);
      else await workspace.remove(step.path);
    } catch {
      left.push(step.path);
    }
  }
  return left;
}

function summaryLine(patch: FilePatch): string {
  if (patch.kind === "add") return `Added ${patch.path}`;
  if (patch.kind === "delete") return `Deleted ${patch.path}`;
  return patch.moveTo === undefined ? `Changed ${patch.path}` : `Moved ${patch.path} to ${patch.moveTo}`;
}
