import { createBrowserSessions } from "../auth/mod.ts";
import { redactConfig } from "../config/mod.ts";
import {
  createAdministration,
  deviceMethods,
  methodReach,
  methodTable,
  privacyMethods,
  sandboxMethods,
  sessionNames,
  voicewakeMethods,
} from "../control/mod.ts";
import { createOperator, type Operator } from "../operator.ts";
import { mainKey, parseSessionKey, resolveSessionKey } from "../session/mod.ts";
import { defaultToolSettings } from "../tools/settings.ts";
import { composeApiTokens } from "./api-tokens.ts";
import { composeControlParts } from "./control-parts.ts";
import { composeDevices, ownUrl, setupUrl } from "./devices.ts";
import { breathe, watchEventLoop } from "./event-loop.ts";
import type { Foundation } from "./foundation.ts";
import { createToolInvoker } from "./http-api/mod.ts";
import { composeLockout } from "./lockouts.ts";
import type { MessagePath, OperatorSide } from "./message-path.ts";
import { composeNodeCommands } from "./node-commands.ts";
import { composeNodes } from "./nodes.ts";
import { conversationStores } from "./personal-files.ts";
import { composePrivacy } from "./privacy.ts";
import { composeQuestionMethods, composeQuestions } from "./questions.ts";
import { createRevocation } from "./revocation.ts";
import { createSuspension } from "./suspension.ts";
import { composeVoicewake, wakeWordFile } from "./voicewake.ts";

export type OperatorPath = Awaited<ReturnType<typeof composeOperatorPath>>;

/** An operator's way: who may connect, and what he may then see and do. */
export async function composeOperatorPath(foundation: Foundation, path: MessagePath) {
  const { clock, random, log, store, commit, network, running, sessionSettings } = foundation;
  const { meta } = store;
  const { agents } = path;
  const lockout = composeLockout({ meta, commit, clock, log, limits: foundation.authSettings });
  const browserSessions = createBrowserSessions({ store: store.browserSessions, commit, clock, random });
  const eventLoop = watchEventLoop();
  const startedAtMs = clock.now();
  const scheme = network().tls ? "https" : "http";
  const baseUrl = () => `${scheme}://127.0.0.1:${running.port}/`;
  const newTicketUrl = () => `${baseUrl()}#signin=${browserSessions.issueTicket().reveal()}`;
  const suspension = createSuspension({
    clock,
    random,
    log,
    activeRuns: () => path.runs.size,
    hold: path.lanes.pause,
    letGo: path.lanes.resume,
    settle: store.checkpoint,
  });
  // A right that ends takes its connections with it: the operator holds those, and is made of the rights.
  const revoke: Operator["revoke"] = (...who) => operator.revoke(...who);
  const outsiders = await composeOutsiders(foundation, path, revoke);
  const { devices, setupCodes, nodes, nodeCommands, apiTokens } = outsiders;
  const stores = conversationStores(agents.tools, path.overheard, path.media.shown);
  const controlParts = composeControlParts(foundation, path, {
    ...{ startedAtMs, newTicketUrl, suspension, stores, apiTokens, toolCalls: outsiders.toolCalls },
    eventLoop: eventLoop.figures,
    isNode: (nodeId) => nodes.nodes.find(nodeId) !== undefined,
  });
  const privacy = composeOwnPrivacy(foundation, path, stores);
  const voicewake = composeVoicewake({
    file: wakeWordFile(foundation.paths.root),
    hub: path.hub,
    clock,
    log,
  });
  const names = sessionNames(sessionSettings, { resolve: resolveSessionKey, parse: parseSessionKey });
  const reach = methodReach(names, () => path.channels.rows().map((row) => row.id));
  const { methods, snapshots } = methodTable(controlParts, names, [
    ...apiTokens.methods,
    ...privacyMethods(privacy),
    ...composeQuestionMethods(outsiders.questions, names, reach),
    ...deviceMethods(outsiders.control),
    ...sandboxMethods(agents.tools.sandboxes, (agentId = sessionSettings().defaultAgentId) => ({
      agentId,
      sessionKey: mainKey(agentId),
    })),
    ...nodes.methods(nodeCommands.port),
    ...voicewakeMethods(voicewake),
  ]);
  const operator = createOperator({
    clock,
    random,
    log,
    commit,
    ledger: store.ledger,
    hub: path.hub,
    lockout,
    browserSessions,
    devices,
    setupCodes,
    apiTokens: apiTokens.tokens,
    administration: createAdministration(
      controlParts,
      names,
      { devices, tokens: apiTokens.tokens },
      (value) => redactConfig(value),
    ),
    reach,
    authSettings: foundation.authSettings,
    callers: foundation.edge.callers,
    methods,
    handshakeTimeoutMs: network().handshakeTimeoutMs,
    isReady: () => running.isReady,
    version: foundation.options.version,
    snapshot: snapshots.of,
    presenceChanged: snapshots.presenceChanged,
    nodeCame: (node, declared) => {
      nodes.came(node, declared);
      voicewake.greet(node);
    },
    nodeWent: nodes.went,
  });
  const side: OperatorSide = {
    ...{ nodeCommands, apiTokens, controlParts, revocation: outsiders.revocation },
    healthChanged: snapshots.healthChanged,
  };
  return {
    ...{ ...outsiders, ...side, lockout, browserSessions, eventLoop, startedAtMs, suspension },
    ...{ baseUrl, newTicketUrl, methods, snapshots, operator, names, reach },
  };
}

/** Everybody else who gets a right: devices, nodes, programs with a token; and how it ends. */
async function composeOutsiders(foundation: Foundation, path: MessagePath, revoke: Operator["revoke"]) {
  const { paths, clock, random, config, log, redact, store, commit, sessionSettings } = foundation;
  const { hub, agents, gateway } = path;
  const { tools } = agents;
  const toolCalls = createToolInvoker({
    random,
    commit,
    ledger: store.ledger,
    // The tokens are opened last: their end stops these calls among others.
    policyFor: async (agentId, tool, author, sessionKey) =>
      apiTokens.narrow(
        agentId,
        author,
        await tools.policyFor(agentId, tool, { sessionKey, ownerWrote: false }),
      ),
    execute: tools.execute,
    redact,
  });
  // Nodes are made of the devices, and are told when one of those is gone.
  let devicesChanged = () => {};
  const { devices, setupCodes, control } = await composeDevices({
    stateFolder: paths.root,
    meta: store.meta,
    commit,
    record: (row) => store.ledger.append({ stage: "auth", kind: "admin", ...row }),
    clock,
    random,
    log,
    hub,
    settings: foundation.pairingSettings,
    authMode: () => foundation.authSettings().mode,
    endConnections: (deviceId) =>
      void revoke((principal) => principal.deviceId === deviceId, "device removed"),
    devicesChanged: () => devicesChanged(),
    cancelRunsOf: (principalId) => revocation.cancelOf((author) => author === principalId),
    gatewayUrl: (publicUrl) =>
      setupUrl(
        publicUrl,
        config().gateway?.publicOrigin,
        ownUrl(foundation.network(), foundation.running.port),
      ),
  });
  const nodes = await composeNodes({ stateFolder: paths.root, config, devices, hub, clock, random, log });
  devicesChanged = nodes.nodes.devicesChanged;
  const nodeCommands = composeNodeCommands({
    nodes: nodes.nodes,
    approvals: () => path.approvals,
    // An operator's own command, that nobody else had a part in.
    policyFor: () => tools.policyFor(sessionSettings().defaultAgentId, "exec", { ownerWrote: true }),
    defaultAgentId: () => sessionSettings().defaultAgentId,
    timeoutSeconds: () => config().tools?.exec?.timeoutSeconds ?? 1800,
    yieldMs: defaultToolSettings.exec.yieldMs,
    record: (kind, facts, actor) =>
      commit([store.ledger.append({ stage: "sandbox", kind, action: "node.system.run", actor, facts })]),
    redact,
    clock,
    random,
    log,
  });
  const questions = composeQuestions({ hub, clock, random });
  const revocation = createRevocation({
    clock,
    log,
    inbox: store.inbox,
    activeRuns: () => path.runs.size,
    abort: gateway.abort,
    others: [nodes.nodes, nodeCommands, toolCalls, questions],
    accessSettings: path.access.settingsOf,
    pairings: path.pairings,
    sessionSettings,
  });
  const apiTokens = await composeApiTokens({
    credentials: paths.credentials,
    clock,
    random,
    log,
    record: (row) => commit([store.ledger.append({ stage: "auth", kind: "admin", ...row })]),
    ended(principalId) {
      revoke(({ id }) => id === principalId, "API token ended");
      revocation.cancelOf((author) => author === principalId);
    },
    turnPolicy: async (row) => (await tools.policyForTurn(row, "")).settings,
  });
  return { toolCalls, devices, setupCodes, control, nodes, nodeCommands, questions, revocation, apiTokens };
}

function composeOwnPrivacy(
  foundation: Foundation,
  path: MessagePath,
  stores: ReturnType<typeof conversationStores>,
) {
  const { paths, clock, random, log, store } = foundation;
  return composePrivacy({
    store,
    clock,
    random,
    log,
    stateFolder: paths.root,
    credentials: paths.credentials,
    logFile: () => foundation.logFile.path(new Date(clock.now())),
    pairings: path.pairings,
    transcripts: path.transcripts,
    histories: path.histories,
    media: path.media,
    snapshot: path.snapshot,
    sessionSettings: foundation.sessionSettings,
    tools: path.agents.tools,
    stores,
    overheard: path.overheard,
    whileStopped: path.channels.whileStopped,
    runs: { abort: path.gateway.abort, wait: path.runs.wait, forget: path.runs.forget },
    breathe,
  });
}
