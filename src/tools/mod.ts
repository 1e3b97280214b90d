/**
 * The tools: what each is for the model (name, schema), what a call would do (effects), and what runs with the powers
 * that the permit left. Nothing here decides whether a call may happen, and nothing reaches further than its powers.
 *
 * 1. What a tool does, its plan names before: the sandbox refuses the rest.
 * 2. Output is bounded, and says what it left out and how to see it.
 * 3. A change to files is whole or not at all.
 * 4. Text that is not what it claims to be (binary, broken UTF-8) is said to be so, never guessed at.
 * 5. Only the tools that are asked for are loaded.
 */
import type { Tool } from "../sandbox/tool.ts";
import { defaultToolSettings, type ToolSettings } from "./settings.ts";

export { searchProblem, type ToolSettings, toolSettings } from "./settings.ts";

const loaders = {
  read: async () => (await import("./read/tool.ts")).openRead,
  write: async () => (await import("./write/tool.ts")).openWrite,
  edit: async () => (await import("./edit/tool.ts")).openEdit,
  apply_patch: async () => (await import("./apply_patch/tool.ts")).openApplyPatch,
  undo: async () => (await import("./undo/tool.ts")).openUndo,
  extract: async () => (await import("./extract/tool.ts")).openExtract,
  exec: async () => (await import("./exec/tool.ts")).openExec,
  process: async () => (await import("./process/tool.ts")).openProcess,
  web_search: async () => (await import("./web_search/tool.ts")).openWebSearch,
  web_fetch: async () => (await import("./web_fetch/tool.ts")).openWebFetch,
} satisfies Record<string, () => Promise<(settings: ToolSettings) => Tool | undefined>>;

/** The names of all tools, in the order in which a model is shown them. */
export const toolNames: readonly string[] = Object.freeze(Object.keys(loaders));

/** Loads the tools named, in that order; a name that is no tool, or of one that is not set up, is left out. */
export async function loadTools(
  names: readonly string[],
  settings: ToolSettings = defaultToolSettings,
): Promise<Map<string, Tool>> {
  const tools = new Map<string, Tool>();
  for (const name of names) {
    if (!isToolName(name)) continue;
    const open = await loaders[name]();
    const tool = open(settings);
    if (tool) tools.set(name, tool);
  }
  return tools;
}

function isToolName(name: string): name is keyof typeof loaders {
  return Object.hasOwn(loaders, name);
}
