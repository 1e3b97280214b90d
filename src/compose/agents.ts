import { dirname, isAbsolute, join, resolve } from "node:path";
import { agentSettings } from "../agent/mod.ts";
import type { Access } from "./access.ts";
import { createEgress, toolSecrets } from "./egress.ts";
import type { Foundation } from "./foundation.ts";
import { apiSecrets } from "./http-api/mod.ts";
import { createModels } from "./models.ts";
import type { NodeCommands } from "./node-commands.ts";
import { createPrompts } from "./prompts.ts";
import { composeStandingRules } from "./standing-rules.ts";
import { createTools } from "./tools.ts";

export type Agents = ReturnType<typeof composeAgents>;

/** What agents work with: their settings, models, prompts and tools, and the rules that hold for commands. */
export function composeAgents(
  foundation: Foundation,
  parts: { readonly access: Access; readonly commandsOf: NodeCommands["commandsOf"] },
) {
  const { options, clock, random, env, paths, config, log, redact, store, commit } = foundation;
  const { keepsConversations } = foundation;
  const models = createModels({ config, env, clock, random });
  foundation.logging.addSecrets(
    models.secrets,
    () => apiSecrets(config()),
    () => toolSecrets(config()),
  );
  const agentOf = (agentId: string) => agentSettings(config(), agentId);
  const modelReference = (agentId: string, sessionModel: string | undefined) =>
    sessionModel ?? agentOf(agentId).model ?? "demo/demo";
  const modelChoiceOf = (agentId: string, sessionModel: string | undefined) =>
    models.choice(modelReference(agentId, sessionModel), agentOf(agentId).contextTokens);

  const standingRules = composeStandingRules({
    path: paths.approvalsFile,
    meta: store.meta,
    commit,
    clock,
    random,
    log,
  });
  const egress = createEgress({
    stateFolder: paths.root,
    clock,
    random,
    log,
    redact,
    keepsConversations,
    record: (kind, outcome, facts, sessionKey) =>
      commit([
        store.ledger.append({
          ...{ stage: "sandbox", action: "egress", kind, outcome, facts },
          ...(sessionKey === undefined ? {} : { sessionKey }),
        }),
      ]),
  });
  const tools = createTools({
    commandsElsewhere: parts.commandsOf,
    config,
    egress,
    engines: { env, uid: options.uid, home: env.HOME ?? dirname(paths.root) },
    defaultWorkspace: paths.workspace,
    stateFolder: paths.root,
    approvals: standingRules.file,
    ruleUsed: standingRules.used,
    modelOf: (agentId, sessionKey) => modelChoiceOf(agentId, store.sessions.get(sessionKey)?.model),
    clock,
    random,
    log,
    timeZone: options.timeZone,
    keeps: keepsConversations,
    instance: foundation.instance,
    sendSignal: options.sendSignal,
    toolLimitsOf: parts.access.toolLimitsOf,
    recordProof: (facts, outcome) =>
      commit([store.ledger.append({ stage: "sandbox", kind: "verdict", action: "proof", outcome, facts })]),
    agentWorkspace(agentId) {
      const configured = agentOf(agentId).workspace;
      if (configured === undefined) return undefined;
      const home = env.HOME ?? dirname(paths.root);
      const expanded = configured.startsWith("~/") ? join(home, configured.slice(2)) : configured;
      return isAbsolute(expanded) ? expanded : resolve(paths.root, expanded);
    },
  });
  return {
    agentOf,
    models,
    modelReference,
    modelChoiceOf,
    /** Rejects with a ModelFault that says which setting is missing. */
    async openModelOf(agentId: string, sessionModel: string | undefined) {
      const choice = modelChoiceOf(agentId, sessionModel);
      return { model: await models.open(choice.provider), choice };
    },
    standingRules,
    tools,
    prompts: createPrompts({ clock, settings: agentOf, workspaceOf: tools.workspaceOf }),
  };
}
