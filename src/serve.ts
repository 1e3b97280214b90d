/**
 * Composes one gateway process: reads the config, opens the store, wires the stages to each other and the maps to
 * the network, and takes it all down again in order. It decides nothing.
 */

import { networkInterfaces } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { createMeters } from "./access/mod.ts";
import { agentSettings, contextFiles, createHistories } from "./agent/mod.ts";
import { ledgerChain, verifyLedger } from "./audit/mod.ts";
import { authSettings, createBrowserSessions, holds, mayHear, pairingSettings } from "./auth/mod.ts";
import { createAccess } from "./compose/access.ts";
import { createAccessMemory } from "./compose/access-memory.ts";
import { createAgentFiles } from "./compose/agent-files.ts";
import { composeApiTokens } from "./compose/api-tokens.ts";
import { createApprovalNotices } from "./compose/approval-notices.ts";
import { composeApprovals } from "./compose/approvals.ts";
import { createChannels, webhookRoute } from "./compose/channels.ts";
import { every, keepCheckpointing } from "./compose/checkpoint.ts";
import { composeDevices, setupUrl } from "./compose/devices.ts";
import { composeEdge } from "./compose/edge.ts";
import { createEgress, toolSecrets } from "./compose/egress.ts";
import {
  apiRoutes,
  apiSecrets,
  createRunTap,
  createToolInvoker,
  operatorToolCalls,
} from "./compose/http-api/mod.ts";
import { takeStateFolder } from "./compose/instance.ts";
import { createLiveConfig } from "./compose/live-config.ts";
import { createLiveReplies } from "./compose/live-replies.ts";
import { composeLockout } from "./compose/lockouts.ts";
import { composeLogging } from "./compose/logging.ts";
import { tellLostCommands } from "./compose/lost-commands.ts";
import { machineFacts } from "./compose/machine-facts.ts";
import { createMedia } from "./compose/media.ts";
import { createMissedMessages } from "./compose/missed-messages.ts";
import { createModels } from "./compose/models.ts";
import { composeNodeCommands } from "./compose/node-commands.ts";
import { composeNodes } from "./compose/nodes.ts";
import { createOutgoing } from "./compose/outgoing.ts";
import { pageRoutes } from "./compose/page.ts";
import { composePairings, pairingPort } from "./compose/pairings.ts";
import { conversationStores } from "./compose/personal-files.ts";
import { composePrivacy } from "./compose/privacy.ts";
import { probeRoutes } from "./compose/probes.ts";
import { createPrompts } from "./compose/prompts.ts";
import { endReplaced } from "./compose/replaced-credentials.ts";
import { createRetention } from "./compose/retention.ts";
import { createReviewer } from "./compose/review.ts";
import { createRevocation } from "./compose/revocation.ts";
import type { RunOverrides } from "./compose/run-overrides.ts";
import { createSecretReferences } from "./compose/secret-references/mod.ts";
import { createSessionEvents } from "./compose/session-events.ts";
import { createSessionsSnapshot } from "./compose/sessions-snapshot.ts";
import { composeStandingRules } from "./compose/standing-rules.ts";
import { prepareStateFolder, type StatePaths } from "./compose/state-folder.ts";
import { storedOutcome } from "./compose/stored-outcome.ts";
import { createSuspension } from "./compose/suspension.ts";
import { createTools } from "./compose/tools.ts";
import { type ConfigChange, configProblemText, formatPath, loadConfig, redactConfig } from "./config/mod.ts";
import {
  createAdministration,
  createHub,
  createRunEvents,
  deviceMethods,
  methodReach,
  methodTable,
  privacyMethods,
  restartExpectedMs,
  sandboxMethods,
  sessionNames,
  tickIntervalMs,
} from "./control/mod.ts";
import { createOutboxSender } from "./delivery/mod.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import { type Clock, InputError, type LogLevel, type Random, Secret, token } from "./kernel/mod.ts";
import { tailLog } from "./log/mod.ts";
import {
  isTrustedPeer,
  type Listener,
  listen,
  type NetworkSettings,
  networkSettings,
  PortTaken,
  type Route,
  readMachine,
} from "./network/mod.ts";
import { commandText } from "./nodes/mod.ts";
import { createOperator } from "./operator.ts";
import { helperMark, type SendSignal } from "./sandbox/mod.ts";
import {
  createLanes,
  createOverheard,
  createRuns,
  historyLimit,
  lastDaily,
  mainKey,
  parseChatCommand,
  parseSessionKey,
  resolveSessionKey,
  type SessionRow,
  sessionSettings,
} from "./session/mod.ts";
import { openStore, openTranscriptFiles } from "./store/mod.ts";
import { defaultToolSettings } from "./tools/settings.ts";
import { createTurns } from "./turn.ts";

/** What the process gives: nothing in here reads `process` itself. */
export interface ServeOptions {
  readonly paths: StatePaths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly port: number | undefined;
  readonly overrides: RunOverrides;
  readonly version: string;
  /** Where the built page lies. */
  readonly pageFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly pid: number;
  readonly nodeVersion: string;
  readonly uid: number;
  readonly timeZone: string | undefined;
  readonly consoleLevel: LogLevel | "silent";
  readonly logFolder: string;
  readonly toConsole: (line: string) => void;
  readonly sendSignal: SendSignal;
  /** Somebody asked for a restart, perhaps not for the first time. */
  readonly restart: () => void;
  /** For "port taken (says by whom)". */
  readonly whoListens: (port: number) => Promise<string | undefined>;
}

export interface Served {
  readonly port: number;
  readonly url: string;
  /** With a fresh one-time sign-in. */
  readonly signInUrl: () => string;
  readonly model: string;
  readonly logFile: string;
  /** Finishes what runs (up to `graceMs`), then closes everything. A second call only waits. */
  stop(graceMs: number, why?: "stopping" | "restarting"): Promise<void>;
}

/** Starts a gateway; resolves when it answers. Throws an InputError that a person can act on. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { clock, random, env, paths } = options;
  const followReference = createSecretReferences({ env, uid: options.uid, after: clock.after });
  const loaded = await loadConfig({ file: paths.configFile, env, followReference });
  if (!loaded.ok) {
    const lines = loaded.problems.map((item) => configProblemText(item, dirname(paths.configFile)));
    throw new InputError(`the configuration is not valid; nothing was started\n${lines.join("\n")}`);
  }
  prepareStateFolder(paths);
  const live = createLiveConfig({
    file: paths.configFile,
    env,
    followReference,
    initial: loaded,
    overrides: options.overrides,
    clock,
    random,
    log: () => log,
  });
  const { config } = live;
  // Without a configured secret the gateway still never runs open: one is made for this run only.
  const runSecret = new Secret(token(random));
  let auth = authSettings(config(), env, runSecret);
  let pairing = pairingSettings(config());
  const instance = random.bytes(6).toString("hex");
  const ofHelpers = helperMark(paths.root, instance);
  const edge = composeEdge({
    ...{ config, env, clock, random, fetch, helperMark: ofHelpers },
    log: (...line) => log(...line),
  });
  const readNetwork = () =>
    networkSettings(config(), env, options.port, {
      stateFolder: paths.root,
      machine: readMachine(),
      identityHeaders: edge.identityHeaders(),
    });
  let network = readNetwork();

  const lock = takeStateFolder(paths.root, options.pid, network.port, clock.now());

  // --- log -----------------------------------------------------------------------------------------------------
  const logging = composeLogging({
    config,
    stateFolder: paths.root,
    folder: options.logFolder,
    uid: options.uid,
    clock,
    consoleLevel: options.consoleLevel,
    toConsole: options.toConsole,
  });
  const { log, redact, file: logFile } = logging;
  logging.addSecrets(() => (auth.secret ? [auth.secret.reveal()] : []));
  // Shown by `config validate` too; a first run, whose file holds some of them, should not begin with warnings.
  for (const warning of loaded.warnings) log("info", warning);

  // --- store and record ------------------------------------------------------------------------------------------
  const opened = openStore({ file: paths.database, chain: ledgerChain, clock, random });
  const retention = createRetention({
    store: opened,
    clock,
    log,
    keeps: keepsConversations,
    media: () => media,
  });
  const store = retention.watching(opened);
  const { commit } = store;
  let fenceKey = store.meta.get("fenceKey");
  if (fenceKey === undefined) {
    fenceKey = token(random);
    await commit([store.meta.put("fenceKey", fenceKey)]);
  }
  log("info", "record head", { seq: store.ledger.head().seq, head: store.ledger.head().hash });

  // --- what may change while it runs -----------------------------------------------------------------------------
  let sessionsConfig = sessionSettings(config());
  function keepsConversations(): boolean {
    return sessionsConfig.retention === "keep";
  }
  const models = createModels({ config, env, clock, random });
  logging.addSecrets(
    models.secrets,
    () => apiSecrets(config()),
    () => toolSecrets(config()),
  );
  const agentOf = (agentId: string) => agentSettings(config(), agentId);
  const overheard = createOverheard((...place) => historyLimit(config(), ...place));
  // --- access ------------------------------------------------------------------------------------------------------
  const pairings = composePairings(paths.credentials, clock, random);
  const access = createAccess({
    loaded: live.loaded,
    pairings,
    activationOf: (message) => accessMemory.activationOf(message),
    onProblem: ({ path, message }) =>
      log("warn", "an entry admits nobody", { at: formatPath(path), problem: `must ${message}` }),
  });

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
    redact: logging.redact,
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
    commandsElsewhere: (agentId, sessionKey) => nodeCommands.commandsOf(agentId, sessionKey),
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
    instance,
    sendSignal: options.sendSignal,
    toolLimitsOf: access.toolLimitsOf,
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
  const modelReference = (agentId: string, sessionModel: string | undefined) =>
    sessionModel ?? agentOf(agentId).model ?? "demo/demo";
  const modelChoiceOf = (agentId: string, sessionModel: string | undefined) =>
    models.choice(modelReference(agentId, sessionModel), agentOf(agentId).contextTokens);

  async function openModelOf(agentId: string, sessionModel: string | undefined) {
    const choice = modelChoiceOf(agentId, sessionModel);
    return { model: await models.open(choice.provider), choice };
  }

  // --- events to clients ---------------------------------------------------------------------------------------------
  const hub = createHub(holds, mayHear);
  const transcripts = openTranscriptFiles({
    stateFolder: paths.root,
    sessions: store.sessions,
    workspaceOf: tools.workspaceOf,
    keeps: keepsConversations,
    clock,
    log,
  });
  const snapshot = createSessionsSnapshot({ sessions: store.sessions, stateFolder: paths.root, clock, log });
  const sessionEvents = createSessionEvents({
    hub,
    clock,
    parts: () => controlParts,
    touchSnapshot: snapshot.touch,
    touchTranscript: transcripts.touch,
  });

  // --- approvals, delivery, the message path ---------------------------------------------------------------------------
  const remember: typeof tools.remember = async (approval) => {
    if (!nodeCommands.remember(approval)) await tools.remember(approval);
  };
  const execute: typeof tools.execute = (permit, signal, progress) =>
    nodeCommands.execute(permit, signal, progress) ?? tools.execute(permit, signal, progress);
  const notify = createApprovalNotices({
    config,
    store,
    sender: () => sender,
    textLimit: (channel, account) => channelTextLimit(channel, account),
    redact,
    clock,
    random,
    log,
  });
  const approvals = composeApprovals({ store, clock, hub, redact, remember, notify });
  const sender = createOutboxSender({
    store: store.outbox,
    commit,
    clock,
    log,
    channel: (id, account) => channels.get(id, account),
    settled: (row, state) => media.settled(row, state),
    record: (row, step, detail) =>
      store.ledger.append({
        stage: "delivery",
        kind: step === "start" ? "effect.start" : "effect.end",
        action: "send",
        messageId: row.messageId,
        runId: row.runId,
        ...(step === "start" ? {} : { outcome: step }),
        facts: {
          outbox: row.id,
          channel: row.channel,
          ...(detail === undefined ? {} : { detail: redact(detail) }),
        },
      }),
  });
  const media = createMedia({
    config,
    stateFolder: paths.root,
    store,
    tools,
    channel: (id, account) => channels.get(id, account),
    agentIds: () => sessionsConfig.agentIds,
    agentEmoji: (agentId) => agentOf(agentId).emoji,
    clock,
    log,
  });
  const prompts = createPrompts({ clock, settings: agentOf, workspaceOf: tools.workspaceOf });
  const lanes = createLanes({
    perSession: sessionsConfig.perSessionWaiting,
    total: sessionsConfig.totalWaiting,
    concurrent: sessionsConfig.concurrentSessions,
    onError: (sessionKey, error) =>
      log("error", "a lane's work threw", { sessionKey, error: (error as Error).message }),
  });
  const runs = createRuns(clock, storedOutcome(store.inbox, store.sessions));
  const runTap = createRunTap();
  const accessMemory = createAccessMemory({ meta: store.meta, secret: fenceKey, clock, commit });
  const histories = createHistories(store.sessions, fenceKey);
  const channelTextLimit = (channel: string, account: string) =>
    channels.get(channel, account)?.limits.textChars ?? 4000;
  let lettingGo = false;
  const turns = createTurns({
    clock,
    random,
    log,
    commit,
    inbox: store.inbox,
    outbox: store.outbox,
    sessions: store.sessions,
    ledger: store.ledger,
    usage: store.usage,
    fileSources: store.fileSources,
    filesOwner: ({ agentId, sessionKey }) => tools.filesOwner(agentId, sessionKey),
    lanes,
    runs,
    overheard,
    histories,
    sender,
    approvals,
    reviewer: createReviewer({
      config,
      modelFor: openModelOf,
      commit,
      ledger: store.ledger,
      usage: store.usage,
      redact,
      clock,
      log,
    }),
    sessionSettings: () => sessionsConfig,
    lastDaily: (hour) => lastDaily(clock.now(), hour, options.timeZone),
    agentSettings: agentOf,
    modelFor: openModelOf,
    promptFor: prompts.of,
    toolSpecs: async (row) => apiTokens.narrowSpecs(row, await tools.specsFor(row)),
    policyFor: async (row, tool, authors) =>
      apiTokens.narrow(row.agentId, authors, await tools.policyForTurn(row, tool)),
    mayUseAgent: (author, agentId) => apiTokens.mayUseAgent(author, agentId),
    placed: (request, context) => nodeCommands.placed(request, context),
    execute,
    events: (run) => runTap.tee(createRunEvents(hub, clock, run), run.runId),
    ...sessionEvents,
    typing: (channel, account, reply) => channels.get(channel, account)?.typing(reply.conversation),
    channelTextLimit,
    media,
    chooseActivation: accessMemory.chooseActivation,
    live: createLiveReplies({ config, channel: (id, account) => channels.get(id, account), clock }),
    redact,
    fenceKey,
    isStopping: () => lettingGo,
  });
  const missed = createMissedMessages({
    store,
    clock,
    random,
    log,
    sender: () => sender,
    textLimit: channelTextLimit,
    maxAgeMs: () => (config().messages?.inbound?.maxAgeMinutes ?? 60) * 60_000,
    connectedSince: (channel, account) => channels.connectedSince(channel, account),
  });
  const gateway: Gateway = createGateway({
    clock,
    random,
    log,
    commit,
    inbox: store.inbox,
    outbox: store.outbox,
    ledger: store.ledger,
    lanes,
    runs,
    sender,
    approvals,
    pairings,
    accessSettings: access.settingsOf,
    meters: createMeters(clock, undefined, accessMemory.budgets),
    activationOf: accessMemory.activationOf,
    sessionSettings: () => sessionsConfig,
    overheard,
    turn: turns.run,
    mayUseAgent: (author, agentId) => apiTokens.mayUseAgent(author, agentId),
    missed,
    pairingChanged: () => hub.send("channels.pairing.changed", { kind: "pairing" }, {}),
    channelTextLimit,
    holdUpload: media.holdUpload,
    acknowledge(message, row) {
      revocation.letIn(message, row);
      media.acknowledge(message, row);
    },
    fenceKey,
    maxMessageChars: 1_000_000,
    letGo: () => {
      lettingGo = true;
    },
  });

  const channels = createChannels({
    env,
    helperMark: ofHelpers,
    folder: paths.credentials,
    extensions: join(paths.root, "extensions"),
    deps: { clock, random, log },
    log,
    accept: gateway.receive,
    wanted: access.settingsOf,
    expected: () => Object.keys(config().channels ?? {}).length > 0,
    changed: () => {
      if (ready) snapshots.healthChanged();
    },
  });

  logging.addSecrets(channels.secrets);

  // --- the control plane -------------------------------------------------------------------------------------------------
  const lockout = composeLockout({ meta: store.meta, commit, clock, log, limits: () => auth });
  const browserSessions = createBrowserSessions({ store: store.browserSessions, commit, clock, random });
  const loopResolutionMs = 20;
  const loopDelay = monitorEventLoopDelay({ resolution: loopResolutionMs });
  loopDelay.enable();
  const startedAtMs = clock.now();
  const bound: { port: number; listener?: Listener } = { port: network.port };
  const scheme = network.tls ? "https" : "http";
  const baseUrl = () => `${scheme}://127.0.0.1:${bound.port}/`;
  const toolCalls = createToolInvoker({
    random,
    commit,
    ledger: store.ledger,
    policyFor: async (agentId, tool, author, sessionKey) =>
      apiTokens.narrow(
        agentId,
        author,
        await tools.policyFor(agentId, tool, { sessionKey, ownerWrote: false }),
      ),
    execute: tools.execute,
    redact,
  });
  const suspension = createSuspension({
    clock,
    random,
    log,
    activeRuns: () => runs.size,
    hold: lanes.pause,
    letGo: lanes.resume,
    settle: store.checkpoint,
  });
  const stores = conversationStores(tools, overheard);
  const controlParts = {
    clock,
    random,
    commit,
    hub,
    version: options.version,
    startedAtMs,
    runs: {
      submit: gateway.submit,
      abort: gateway.abort,
      wait: gateway.wait,
      activeRun: (sessionKey: string) => runs.ofSession(sessionKey),
      get activeRuns() {
        return runs.size;
      },
      forget: histories.forget,
    },
    sessions: store.sessions,
    inbox: store.inbox,
    outbox: store.outbox,
    approvals,
    sessionSettings: () => sessionsConfig,
    agentSettings: agentOf,
    modelChoice: modelChoiceOf,
    models: models.rows,
    channels: channels.rows,
    pairings: pairingPort({ pairings, channels: () => channels.rows(), adoptOwner: live.adoptOwner, log }),
    config: live.control,
    logs: {
      tail: async (cursor: number | undefined, limit: number, maxBytes: number) => ({
        ...(await logFile
          .flush()
          .then(() => tailLog(logFile.path(new Date(clock.now())), cursor, limit, maxBytes))),
      }),
    },
    audit: {
      list: store.ledger.list,
      verify: (head: string | undefined) => verifyLedger(store.ledger, breathe, head),
    },
    usageByDay: store.usage.byDay,
    eventLoop: () => ({
      intervalMs: loopResolutionMs,
      delayP99Ms: round(loopDelay.percentile(99) / 1e6 - loopResolutionMs),
      delayMaxMs: round(loopDelay.max / 1e6 - loopResolutionMs),
      utilization: round(performance.eventLoopUtilization().utilization),
    }),
    sessionsPath: (agentId: string) => join(paths.root, "agents", agentId, "sessions", "sessions.json"),
    transcriptPath: transcripts.path,
    eraseTranscript: transcripts.erase,
    forgetConversation: async (row: SessionRow) => {
      for (const one of stores) await one.forget(row);
    },
    newTicketUrl: () => `${baseUrl()}#signin=${browserSessions.issueTicket().reveal()}`,
    toolSpecs: tools.specs,
    workspacePath: tools.workspaceOf,
    stateFolder: paths.root,
    whereabouts: () => ({ configPath: paths.configFile, stateDir: paths.root, authMode: auth.mode }),
    chatCommand: (text: string) => parseChatCommand(text, sessionsConfig.resetTriggers)?.name,
    machine: machineFacts({ pid: options.pid, nodeVersion: options.nodeVersion, port: () => bound.port }),
    agentFiles: createAgentFiles(contextFiles, random),
    invokeTool: operatorToolCalls(toolCalls.invoke, config),
    channelControl: {
      start: (channel: string, account: string) => channels.startAccount(config(), channel, account),
      stop: channels.stopAccount,
    },
    access,
    outgoing: createOutgoing({
      store,
      sender,
      clock,
      random,
      channels: channels.rows,
      textLimit: channelTextLimit,
      sendPolicy: () => sessionsConfig.sendPolicy,
    }),
    // When the answer to whoever asked is on its way.
    lifecycle: { restart: () => void clock.after(50, options.restart), suspension },
    nodeApprovals: { isNode: (nodeId: string) => nodes.nodes.find(nodeId) !== undefined, commandText },
    approvalsDocument: standingRules.document,
  };
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
    settings: () => pairing,
    authMode: () => auth.mode,
    endConnections: (deviceId) =>
      void operator.revoke((principal) => principal.deviceId === deviceId, "device removed"),
    devicesChanged: () => devicesChanged(),
    cancelRunsOf: (principalId) => revocation.cancelOf((author) => author === principalId),
    gatewayUrl: (publicUrl) =>
      setupUrl(publicUrl, config().gateway?.publicOrigin, ownUrl(network, bound.port)),
  });
  const nodes = await composeNodes({ stateFolder: paths.root, config, devices, hub, clock, random, log });
  devicesChanged = nodes.nodes.devicesChanged;
  const nodeCommands = composeNodeCommands({
    nodes: nodes.nodes,
    approvals: () => approvals,
    // An operator's own command, that nobody else had a part in.
    policyFor: () => tools.policyFor(sessionsConfig.defaultAgentId, "exec", { ownerWrote: true }),
    defaultAgentId: () => sessionsConfig.defaultAgentId,
    timeoutSeconds: () => config().tools?.exec?.timeoutSeconds ?? 1800,
    yieldMs: defaultToolSettings.exec.yieldMs,
    record: (kind, facts, actor) =>
      commit([store.ledger.append({ stage: "sandbox", kind, action: "node.system.run", actor, facts })]),
    redact,
    clock,
    random,
    log,
  });
  const revocation = createRevocation({
    clock,
    log,
    inbox: store.inbox,
    activeRuns: () => runs.size,
    abort: gateway.abort,
    others: [nodes.nodes, nodeCommands, toolCalls],
    accessSettings: access.settingsOf,
    pairings,
    sessionSettings: () => sessionsConfig,
  });
  const apiTokens = await composeApiTokens({
    credentials: paths.credentials,
    clock,
    random,
    log,
    record: (row) => commit([store.ledger.append({ stage: "auth", kind: "admin", ...row })]),
    ended(principalId) {
      operator.revoke(({ id }) => id === principalId, "API token ended");
      revocation.cancelOf((author) => author === principalId);
    },
    turnPolicy: async (row) => (await tools.policyForTurn(row, "")).settings,
  });
  const privacy = composePrivacy({
    store,
    clock,
    random,
    log,
    stateFolder: paths.root,
    credentials: paths.credentials,
    logFile: () => logFile.path(new Date(clock.now())),
    pairings,
    transcripts,
    histories,
    media,
    snapshot,
    sessionSettings: () => sessionsConfig,
    workspaceOf: tools.workspaceOf,
    stores,
    whileStopped: channels.whileStopped,
    runs: { abort: gateway.abort, wait: runs.wait, forget: runs.forget },
    overheard,
    breathe,
  });
  const names = sessionNames(() => sessionsConfig, { resolve: resolveSessionKey, parse: parseSessionKey });
  const { methods, snapshots } = methodTable(controlParts, names, [
    ...apiTokens.methods,
    ...privacyMethods(privacy),
    ...deviceMethods(control),
    ...sandboxMethods(tools.sandboxes, (agentId = sessionsConfig.defaultAgentId) => ({
      agentId,
      sessionKey: mainKey(agentId),
    })),
    ...nodes.methods(nodeCommands.port),
  ]);
  let ready = false;
  const operator = createOperator({
    clock,
    random,
    log,
    commit,
    ledger: store.ledger,
    hub,
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
    reach: methodReach(names, () => channels.rows().map((row) => row.id)),
    authSettings: () => auth,
    callers: edge.callers,
    methods,
    handshakeTimeoutMs: network.handshakeTimeoutMs,
    isReady: () => ready,
    version: options.version,
    snapshot: snapshots.of,
    presenceChanged: snapshots.presenceChanged,
    nodeCame: nodes.came,
    nodeWent: nodes.went,
  });

  // --- configuration, reloaded ------------------------------------------------------------------------------
  async function applyChange(change: ConfigChange): Promise<void> {
    const before = auth;
    auth = authSettings(config(), env, runSecret);
    pairing = pairingSettings(config());
    const staysSignedIn = edge.apply();
    network = readNetwork();
    bound.listener?.apply(network);
    sessionsConfig = sessionSettings(config());
    await retention.apply();
    models.reset();
    tools.reset();
    nodes.nodes.settingsChanged();
    prompts.reset();
    const paths_ = change.changes.map((item) => item.path);
    await commit([
      store.ledger.append({
        stage: "operator",
        kind: "admin",
        action: "config.changed",
        actor: "config-file",
        facts: { paths: paths_ },
      }),
    ]);
    log("info", "the configuration was reloaded", { paths: paths_, kind: change.kind });
    if (change.kind === "restart")
      log("warn", "some of these settings take effect at the next start", {
        paths: change.changes.filter((item) => item.kind === "restart").map((item) => item.path),
      });
    await endReplaced(
      {
        auth: { before, after: auth },
        hooksToken: { before: change.before.config.hooks?.token, after: config().hooks?.token },
        staysSignedIn,
      },
      { operator, revocation, browserSessions, setupCodes },
    );
    hub.send(
      "config.changed",
      { kind: "readers" },
      { path: paths.configFile, hash: change.after.hash, ts: clock.now() },
    );
    await channels.apply(config());
    await live.saveLastGood();
  }

  live.follow(applyChange);

  // --- listen ---------------------------------------------------------------------------------------------------------------
  const routes: Route[] = [
    ...probeRoutes(
      () => ready,
      () => clock.now() - startedAtMs,
      options.version,
    ),
    ...pageRoutes({
      folder: options.pageFolder,
      sessions: browserSessions,
      authSettings: () => auth,
      callers: edge.callers,
      lockout,
      clock,
      log,
      signedOut: () => void operator.revoke(({ method }) => method === "browser-session", "signed out"),
    }),
    ...apiRoutes({
      clock,
      random,
      log,
      commit,
      ledger: store.ledger,
      config,
      authSettings: () => auth,
      callers: edge.callers,
      apiTokens: apiTokens.tokens,
      lockout,
      // A way in to a method that has no scope would be open to everybody.
      scopeOf: (name) => methods.get(name)?.scope ?? "operator.admin",
      isReady: () => ready,
      sessionSettings: () => sessionsConfig,
      runs: controlParts.runs,
      inbox: store.inbox,
      sessions: store.sessions,
      models: models.rows,
      tap: runTap,
      invokeTool: toolCalls.invoke,
      fenceKey,
    }),
    webhookRoute(channels),
  ];
  await retention.apply();
  gateway.takeUp();
  const listener = await listen({
    settings: network,
    // A secret that was made for this run only is nothing that somebody on another machine could know.
    hasAuthentication: () => auth.mode !== "none" && auth.secret !== runSecret,
    routes,
    onSocket: operator.serve,
    isTailscaled: (connection) => isTrustedPeer(connection, options.uid),
    clock,
    random,
    log,
  })
    .then(async (opened) => {
      await edge.open(opened, network.hosts).catch(async (error) => {
        await opened.close();
        throw error;
      });
      return opened;
    })
    .catch(async (error) => {
      live.close();
      store.close();
      lock.release();
      logFile.close();
      if (error instanceof PortTaken) {
        const who = await options.whoListens(error.port);
        throw new InputError(
          `port ${error.port} is taken${who ? ` by ${who}` : " by another program"}. Stop that program, or start with --port <other>, or set gateway.port.`,
        );
      }
      throw error;
    });
  bound.port = listener.port;
  bound.listener = listener;
  ready = true;
  log("info", "ready", {
    port: listener.port,
    version: options.version,
    config: paths.configFile,
    model: modelReference(sessionsConfig.defaultAgentId, undefined),
  });

  // --- what runs beside ---------------------------------------------------------------------------------------------------------
  const cancelTick = every(clock, tickIntervalMs, () =>
    hub.send("tick", { kind: "everybody" }, { ts: clock.now() }),
  );
  const cancelCheckpoint = keepCheckpointing(clock, paths.database, store);
  const cancelSweep = media.keepSweeping();
  const background = startBackground();

  async function startBackground(): Promise<void> {
    await live
      .saveLastGood()
      .catch((error) =>
        log("warn", "the last good config could not be kept", { error: (error as Error).message }),
      );
    // Only a gateway that was not stopped in order can have left commands behind; they end before any turn begins.
    if (store.meta.get("cleanStop") !== "yes") {
      await tools.reapOrphans().catch((error) =>
        log("error", "commands that an earlier gateway left running could not be ended", {
          error: error.message,
        }),
      );
      for (const row of store.sessions.list({ archived: "all", limit: 200, offset: 0 }).rows)
        transcripts.touch(row);
    }
    await tellLostCommands({ tools, store, touchTranscript: transcripts.touch, clock, random, log }).catch(
      (error) =>
        log("error", "conversations could not be told of commands that were lost", { error: error.message }),
    );
    // A full disk must not keep the turns from beginning once there is room again.
    await commit([store.meta.put("cleanStop", "no")]).catch((error) =>
      log("error", "the start could not be noted", { error: error.message }),
    );
    await accessMemory
      .sweep()
      .catch((error) =>
        log("warn", "budgets that are over could not be forgotten", { error: (error as Error).message }),
      );
    gateway.begin();
    await channels.apply(config());
    gateway.deliver();
    missed.noted();
  }

  let stopping: Promise<void> | undefined;
  function stop(graceMs: number, why: "stopping" | "restarting" = "stopping"): Promise<void> {
    stopping ??= (async () => {
      log("info", "stopping", { activeRuns: runs.size });
      ready = false;
      live.close();
      missed.close();
      revocation.close();
      suspension.close();
      cancelTick();
      cancelCheckpoint();
      cancelSweep();
      await background.catch(() => {});
      await channels.stop();
      await gateway.drain(graceMs);
      // While the nodes can still be told.
      await nodeCommands.close();
      hub.send(
        "shutdown",
        { kind: "everybody" },
        { reason: `gateway ${why}`, ...(why === "restarting" ? { restartExpectedMs } : {}) },
      );
      operator.closeAll(1012, "service restart");
      snapshots.close();
      await edge.close();
      await listener.close();
      await nodes.nodes.close();
      await devices.close();
      await apiTokens.tokens.close();
      lockout.close();
      await tools.close();
      await standingRules.close();
      await retention.close();
      await transcripts.flush();
      await snapshot.flush();
      await commit([store.meta.put("cleanStop", "yes")]);
      store.checkpoint();
      store.close();
      lock.release();
      loopDelay.disable();
      log("info", "stopped");
      await logFile.flush();
      logFile.close();
    })();
    return stopping;
  }

  background.catch((error) => log("error", "the start did not finish", { error: (error as Error).message }));
  return {
    port: listener.port,
    url: baseUrl(),
    signInUrl: controlParts.newTicketUrl,
    model: modelReference(sessionsConfig.defaultAgentId, undefined),
    logFile: logFile.path(new Date(clock.now())),
    stop,
  };
}

/** Where others in the own network reach this gateway; undefined when nothing listens beyond loopback. */
function ownUrl(network: NetworkSettings, port: number): string | undefined {
  const isOwn = (host: string) => !host.startsWith("127.") && host !== "::1";
  const host = network.hosts.find((item) => isOwn(item) && item !== "0.0.0.0");
  const machine = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const any = machine.find((address) => address.family === "IPv4" && !address.internal)?.address;
  const address = host ?? (network.hosts.includes("0.0.0.0") ? any : undefined);
  return address === undefined ? undefined : `${network.tls ? "wss" : "ws"}://${address}:${port}`;
}

function breathe(): Promise<void> {
  return new Promise((resolve_) => setImmediate(resolve_));
}

function round(value: number): number {
  return Math.max(0, Math.round(value * 1000) / 1000);
}
