import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { Tool } from "../../sandbox/tool.ts";
import { maxFileBytes } from "../text-file.ts";

const parameters = s.object({
  path: s.string({ description: "File, relative to the workspace.", minLength: 1, maxLength: 4096 }),
  content: s.string({ description: "The whole new content of the file." }),
});

/** Replaces or makes a file, whole or not at all. */
export function openWrite(): Tool {
  return {
    spec: {
      name: "write",
      description:
        "Writes a file of the workspace: makes it (and missing folders), or replaces all that it held.",
      parameters,
    },
    plan(args) {
      return [{ kind: "file.write", path: (args as Static<typeof parameters>).path }];
    },
    async run(args, powers) {
      const { path, content } = args as Static<typeof parameters>;
      // A lone surrogate would be written as something else than what was asked for.
      if (!content.isWellFormed())
        throw new InputError("The content holds broken characters (lone surrogates).");
      const bytes = Buffer.from(content, "utf8");
      if (bytes.length > maxFileBytes)
        throw new InputError(
          `The content has ${bytes.length} bytes; at most ${maxFileBytes} are written at once.`,
        );
      const { created } = await powers.workspace.write(path, bytes);
      return {
        text: `${created ? "Made" : "Replaced"} ${path} (${bytes.length} bytes).`,
        isError: false,
        trust: "system",
        details: { path, created, bytes: bytes.length },
      };
    },
  };
}
