import { schema } from "../../kernel/mod.ts";
import type { ChatCommand } from "../../session/mod.ts";
import { unknownAgent } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import type { SessionNames } from "../session-names.ts";

const { boolean, object, open, optional, string } = schema;

const ofAgent = open(object({ agentId: optional(string()), sessionKey: optional(string()) }));

/** agent.identity.get, tools.catalog, tools.effective, commands.list, skills.status, hooks.status. */
export function agentMethods(parts: ControlParts, names: SessionNames): Method[] {
  function agentOf(params: { readonly agentId?: string; readonly sessionKey?: string }): string {
    if (params.agentId === undefined && params.sessionKey !== undefined)
      return names.resolve(params.sessionKey, undefined).agentId;
    const { agentIds, defaultAgentId } = parts.sessionSettings();
    const agentId = params.agentId ?? defaultAgentId;
    if (!agentIds.includes(agentId)) throw unknownAgent(agentId);
    return agentId;
  }

  return [
    method({
      name: "agent.identity.get",
      scope: "operator.read",
      params: ofAgent,
      run: (params) => {
        const agentId = agentOf(params);
        return { agentId, name: parts.agentSettings(agentId).name };
      },
    }),
    method({
      name: "tools.catalog",
      scope: "operator.read",
      params: open(object({ agentId: optional(string()), includePlugins: optional(boolean()) })),
      run: async (params) => {
        const agentId = agentOf(params);
        const tools = (await parts.toolSpecs(agentId)).map((spec) => ({
          id: spec.name,
          label: spec.name,
          description: spec.description,
          source: "core",
          defaultProfiles: ["coding", "full"],
        }));
        return {
          agentId,
          profiles: ["minimal", "coding", "messaging", "full"].map((id) => ({ id, label: id })),
          groups: tools.length === 0 ? [] : [{ id: "core", label: "Core", source: "core", tools }],
        };
      },
    }),
    method({
      name: "tools.effective",
      scope: "operator.read",
      params: open(
        object({ sessionKey: string({ minLength: 1, maxLength: 512 }), agentId: optional(string()) }),
      ),
      run: async (params) => {
        const { agentId } = names.resolve(params.sessionKey, params.agentId);
        const tools = (await parts.toolSpecs(agentId)).map((spec) => ({
          id: spec.name,
          label: spec.name,
          description: spec.description,
          rawDescription: spec.description,
          source: "core",
        }));
        return {
          agentId,
          profile: "full",
          groups: tools.length === 0 ? [] : [{ id: "core", label: "Core", source: "core", tools }],
        };
      },
    }),
    method({
      name: "commands.list",
      scope: "operator.read",
      params: open(object({ agentId: optional(string()), scope: optional(string()) })),
      run: () => ({
        commands: Object.entries(chatCommands).map(([name, command]) => ({
          name,
          textAliases: [`/${name}`],
          source: "native",
          scope: "both",
          ...command,
        })),
      }),
    }),
    method({
      name: "skills.status",
      scope: "operator.read",
      params: ofAgent,
      run: (params) => {
        const agentId = agentOf(params);
        return {
          workspaceDir: parts.workspacePath(agentId),
          managedSkillsDir: `${parts.stateFolder}/skills`,
          agentId,
          skills: [],
        };
      },
    }),
    method({
      name: "hooks.status",
      scope: "operator.read",
      params: ofAgent,
      run: (params) => ({
        workspaceDir: parts.workspacePath(agentOf(params)),
        managedHooksDir: `${parts.stateFolder}/hooks`,
        hooks: [],
      }),
    }),
  ];
}

interface CommandText {
  readonly description: string;
  readonly category: "session" | "status" | "management";
  readonly acceptsArgs: boolean;
}

// By the session's own names: a command that is added there and not here does not compile.
const chatCommands: Readonly<Record<ChatCommand["name"], CommandText>> = {
  new: { description: "Start a fresh conversation", category: "session", acceptsArgs: true },
  reset: { description: "Start a fresh conversation", category: "session", acceptsArgs: true },
  compact: { description: "Condense what was said so far", category: "session", acceptsArgs: true },
  stop: { description: "Stop the reply that is being written", category: "session", acceptsArgs: false },
  status: { description: "Model, session and tokens", category: "status", acceptsArgs: false },
  activation: {
    description: "In a group: when the agent answers (owner only)",
    category: "management",
    acceptsArgs: true,
  },
  whoami: { description: "Your id on this channel", category: "status", acceptsArgs: false },
  approve: { description: "Answer an approval (owner only)", category: "management", acceptsArgs: true },
  help: { description: "The list of commands", category: "status", acceptsArgs: false },
};
