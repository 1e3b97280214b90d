import { type AgentSettings, contextFiles, systemPrompt } from "../agent/mod.ts";
import type { Clock } from "../kernel/mod.ts";
import { contextReader } from "./workspace-files.ts";

/** The system prompts of the agents; each is made again when its files, tools or name have changed. */
export function createPrompts(deps: {
  readonly clock: Clock;
  readonly settings: (agentId: string) => AgentSettings;
  readonly workspaceOf: (agentId: string) => string;
}) {
  const readContext = contextReader(contextFiles, 20_000, deps.clock);
  const prompts = new Map<string, { readonly stamp: string; readonly text: string }>();
  return {
    async of(agentId: string, toolNames: readonly string[]): Promise<string> {
      const settings = deps.settings(agentId);
      const workspaceRoot = deps.workspaceOf(agentId);
      const { files, stamp } = await readContext(workspaceRoot);
      const key = `${stamp}\n${toolNames.join(",")}\n${settings.name}`;
      const known = prompts.get(agentId);
      if (known?.stamp === key) return known.text;
      const limits = { perFileChars: settings.perFileChars, totalChars: settings.totalChars };
      const text = systemPrompt({ agentName: settings.name, workspaceRoot, toolNames, files, limits });
      prompts.set(agentId, { stamp: key, text });
      return text;
    },
    /** After a change of the configuration. */
    reset: () => prompts.clear(),
  };
}
