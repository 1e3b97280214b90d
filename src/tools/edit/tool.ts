import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Tool } from "../../sandbox/tool.ts";
import { readTextFile } from "../text-file.ts";
import { type Edit, replaceAll } from "./replace.ts";

const oldText = s.string({ description: "Exact text to replace; it must occur exactly once.", minLength: 1 });
const newText = s.string({ description: "What stands there afterwards; may be empty." });

const parameters = s.object({
  path: s.string({ description: "File, relative to the workspace.", minLength: 1, maxLength: 4096 }),
  oldText: s.optional(oldText),
  newText: s.optional(newText),
  replaceAll: s.optional(s.boolean({ description: "Replace every occurrence of oldText." })),
  edits: s.optional(
    s.array(s.object({ oldText, newText }), {
      description: "Several replacements, done in order, instead of oldText and newText.",
      minItems: 1,
      maxItems: 100,
    }),
  ),
});
type Args = Static<typeof parameters>;

/** Replaces exact pieces of a text file; all of them or none. */
export function openEdit(): Tool {
  return {
    spec: {
      name: "edit",
      description:
        "Replaces exact text in a file of the workspace. Give oldText and newText, or edits for several places at once. All are made, or none.",
      parameters,
    },
    plan(args) {
      const { path } = args as Args;
      editsOf(args as Args);
      return [
        { kind: "file.read", path },
        { kind: "file.write", path },
      ];
    },
    async run(args, powers) {
      const { path } = args as Args;
      const before = await readTextFile(powers.workspace, path);
      const { text, places, firstLine } = replaceAll(before, editsOf(args as Args), path);
      await powers.workspace.write(path, Buffer.from(text, "utf8"));
      return {
        text: `Changed ${path} in ${places} ${places === 1 ? "place" : "places"}, the first on line ${firstLine}.`,
        isError: false,
        trust: "system",
        details: { path, places, firstLine },
      };
    },
  };
}

function editsOf(args: Args): readonly Edit[] {
  if (args.edits) {
    if (args.oldText !== undefined || args.newText !== undefined || args.replaceAll !== undefined)
      throw new InputError("Give either edits, or oldText and newText, not both.");
    return args.edits.map((edit) => ({ ...edit, everywhere: false }));
  }
  if (args.oldText === undefined || args.newText === undefined)
    throw new InputError("Give oldText and newText, or edits.");
  return [{ oldText: args.oldText, newText: args.newText, everywhere: args.replaceAll === true }];
}
