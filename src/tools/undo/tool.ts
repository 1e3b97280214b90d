import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Tool } from "../../sandbox/tool.ts";

const maxShown = 20;

const parameters = s.object({
  path: s.string({ description: "File, relative to the workspace.", minLength: 1, maxLength: 4096 }),
  list: s.optional(s.boolean({ description: "Only show which changes can be taken back." })),
});
type Args = Static<typeof parameters>;

/** Puts a file back as it was before the last change that a tool made to it. */
export function openUndo(): Tool {
  return {
    spec: {
      name: "undo",
      description:
        "Puts a file back as it was before the last change by write, edit, apply_patch or extract; again for the change before that. What commands did is not kept.",
      parameters,
    },
    plan(args) {
      const { path, list } = args as Args;
      const read = { kind: "file.read", path } as const;
      // It may have to be written, or, where there was none before, removed.
      return list ? [read] : [read, { kind: "file.write", path }, { kind: "file.delete", path }];
    },
    async run(args, { versions }) {
      const { path, list } = args as Args;
      if (!versions)
        throw new InputError("Nothing of conversations is kept here, so nothing can be taken back.");
      if (list) {
        const lines = versions
          .of(path)
          .slice(0, maxShown)
          .map(
            ({ at, tool, before, bytes }) =>
              `${new Date(at).toISOString()}  ${tool}  before: ${before === undefined ? "no file" : `${bytes} bytes`}`,
          );
        const text = lines.length > 0 ? lines.join("\n") : "(nothing is kept of this file)";
        return { text, isError: false, trust: "system", details: { path, versions: lines.length } };
      }
      const { version, left } = await versions.restore(path);
      const what =
        version.before === undefined
          ? `Removed ${path}, which ${version.tool} had made`
          : `Put ${path} back as it was before ${version.tool} (${version.bytes} bytes)`;
      const more =
        left > 0 ? ` ${left} earlier ${left === 1 ? "change" : "changes"} can be taken back too.` : "";
      return { text: `${what}.${more}`, isError: false, trust: "system", details: { path, left } };
    },
  };
}
