import { join } from "node:path";
import { contextFiles } from "../agent/mod.ts";
import { verifyLedger } from "../audit/mod.ts";
import type { ControlParts } from "../control/mod.ts";
import { tailLog } from "../log/mod.ts";
import { commandText } from "../nodes/mod.ts";
import { parseChatCommand } from "../session/mod.ts";
import { createAgentFiles } from "./agent-files.ts";
import type { ComposedApiTokens } from "./api-tokens.ts";
import { breathe } from "./event-loop.ts";
import type { Foundation } from "./foundation.ts";
import { operatorToolCalls, type ToolInvoker } from "./http-api/mod.ts";
import { machineFacts } from "./machine-facts.ts";
import type { MessagePath } from "./message-path.ts";
import { createOutgoing } from "./outgoing.ts";
import { createOutgoingFiles } from "./outgoing-files.ts";
import { pairingPort } from "./pairings.ts";
import type { ConversationStore } from "./personal-files.ts";

/** What the control plane's methods may do. It reaches nothing else. */
export function composeControlParts(
  foundation: Foundation,
  path: MessagePath,
  parts: Pick<ControlParts, "startedAtMs" | "eventLoop" | "newTicketUrl"> & {
    readonly toolCalls: Pick<ToolInvoker, "invoke">;
    readonly suspension: ControlParts["lifecycle"]["suspension"];
    readonly stores: readonly ConversationStore[];
    readonly apiTokens: Pick<ComposedApiTokens, "mayUseAgent" | "narrow">;
    readonly isNode: ControlParts["nodeApprovals"]["isNode"];
  },
): ControlParts {
  const { options, paths, clock, random, config, live, log, logFile, store, sessionSettings } = foundation;
  const { gateway, runs, histories, channels, agents, transcripts } = path;
  const { tools } = agents;
  return {
    clock,
    random,
    commit: store.commit,
    hub: path.hub,
    version: options.version,
    startedAtMs: parts.startedAtMs,
    runs: {
      submit: gateway.submit,
      abort: gateway.abort,
      wait: gateway.wait,
      activeRun: (sessionKey) => runs.ofSession(sessionKey),
      get activeRuns() {
        return runs.size;
      },
      forget: histories.forget,
    },
    sessions: store.sessions,
    inbox: store.inbox,
    outbox: store.outbox,
    approvals: path.approvals,
    shown: foundation.shown,
    sessionSettings,
    agentSettings: agents.agentOf,
    modelChoice: agents.modelChoiceOf,
    models: agents.models.rows,
    channels: channels.rows,
    pairings: pairingPort({
      pairings: path.pairings,
      channels: () => channels.rows(),
      adoptOwner: live.adoptOwner,
      log,
    }),
    config: live.control,
    logs: {
      tail: async (cursor, limit, maxBytes) => ({
        ...(await logFile
          .flush()
          .then(() => tailLog(logFile.path(new Date(clock.now())), cursor, limit, maxBytes))),
      }),
    },
    audit: {
      list: store.ledger.list,
      verify: (head) => verifyLedger(store.ledger, breathe, head),
    },
    usageByDay: store.usage.byDay,
    eventLoop: parts.eventLoop,
    sessionsPath: (agentId) => join(paths.root, "agents", agentId, "sessions", "sessions.json"),
    transcriptPath: transcripts.path,
    eraseTranscript: transcripts.erase,
    forgetConversation: async (row) => {
      for (const one of parts.stores) await one.forget(row);
    },
    newTicketUrl: parts.newTicketUrl,
    toolSpecs: tools.specs,
    workspacePath: tools.workspaceOf,
    stateFolder: paths.root,
    whereabouts: () => ({
      configPath: paths.configFile,
      stateDir: paths.root,
      authMode: foundation.authSettings().mode,
    }),
    chatCommand: (text) => parseChatCommand(text, sessionSettings().resetTriggers)?.name,
    machine: machineFacts({
      pid: options.pid,
      nodeVersion: options.nodeVersion,
      port: () => foundation.running.port,
    }),
    agentFiles: createAgentFiles(contextFiles, random),
    invokeTool: operatorToolCalls(parts.toolCalls.invoke, config),
    channelControl: {
      start: (channel, account) => channels.startAccount(config(), channel, account),
      stop: channels.stopAccount,
    },
    access: path.access,
    outgoing: createOutgoing({
      store,
      sender: path.sender,
      clock,
      random,
      channels: channels.rows,
      textLimit: path.channelTextLimit,
      sendPolicy: () => sessionSettings().sendPolicy,
      files: createOutgoingFiles({
        store,
        tools,
        media: path.media,
        mayUseAgent: parts.apiTokens.mayUseAgent,
        narrow: parts.apiTokens.narrow,
        agents: sessionSettings,
      }),
    }),
    // When the answer to whoever asked is on its way.
    lifecycle: { restart: () => void clock.after(50, options.restart), suspension: parts.suspension },
    nodeApprovals: { isNode: parts.isNode, commandText },
    approvalsDocument: agents.standingRules.document,
  };
}
