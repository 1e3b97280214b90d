/**
 * Composes one gateway process: reads the config, opens the store, wires the stages to each other and the maps to
 * the network, and takes it all down again in order. It decides nothing.
 */

import { networkInterfaces } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { closedAccess, createPairings, type PairingFiles } from "./access/mod.ts";
import { agentSettings, contextFiles, createHistories, systemPrompt } from "./agent/mod.ts";
import { chainHash, genesis, verifyLedger } from "./audit/mod.ts";
import {
  authSettings,
  createBrowserSessions,
  createLockout,
  holds,
  type Principal,
  pairingSettings,
} from "./auth/mod.ts";
import { createApprovalsDocument } from "./compose/approvals-document.ts";
import { createChannels, webhookRoute } from "./compose/channels.ts";
import { composeDevices, setupUrl } from "./compose/devices.ts";
import { apiRoutes, apiSecrets, createRunTap, createToolInvoker } from "./compose/http-api/mod.ts";
import { createModels } from "./compose/models.ts";
import { pageRoutes } from "./compose/page.ts";
import { createSessionsSnapshot } from "./compose/sessions-snapshot.ts";
import { prepareStateFolder, type StatePaths } from "./compose/state-folder.ts";
import { storedOutcome } from "./compose/stored-outcome.ts";
import { createTools } from "./compose/tools.ts";
import { contextReader } from "./compose/workspace-files.ts";
import {
  type ConfigChange,
  configProblemText,
  configSchema,
  type LoadedConfig,
  loadConfig,
  mergePatch,
  parseJson5,
  redactConfig,
  reloadKind,
  saveLastGood,
  watchConfig,
  writeConfig,
} from "./config/mod.ts";
import {
  approvalInfo,
  createHub,
  createRunEvents,
  deviceMethods,
  invalid,
  MethodError,
  methodTable,
  sessionInfo,
  sessionNames,
  tickIntervalMs,
  wireMessage,
} from "./control/mod.ts";
import { createOutboxSender } from "./delivery/mod.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import { type Clock, InputError, type LogLevel, type Random, Secret, token } from "./kernel/mod.ts";
import { createLog, createRedactor, openLogFile, tailLog } from "./log/mod.ts";
import {
  type Listener,
  listen,
  type NetworkSettings,
  networkSettings,
  PortTaken,
  type Route,
  readMachine,
} from "./network/mod.ts";
import { createOperator } from "./operator.ts";
import { createApprovals } from "./policy/mod.ts";
import type { SendSignal } from "./sandbox/mod.ts";
import {
  createLanes,
  createRuns,
  parseSessionKey,
  resolveSessionKey,
  type SessionRow,
  sessionSettings,
} from "./session/mod.ts";
import {
  openStore,
  openTranscriptFiles,
  readJsonFile,
  takeInstanceLock,
  writeJsonFile,
} from "./store/mod.ts";
import { createTurns } from "./turn.ts";

/** What the process gives: nothing in here reads `process` itself. */
export interface ServeOptions {
  readonly paths: StatePaths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly port: number | undefined;
  readonly version: string;
  /** Where the built page lies. */
  readonly pageFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly pid: number;
  readonly uid: number;
  readonly timeZone: string | undefined;
  readonly consoleLevel: LogLevel | "silent";
  readonly logFolder: string;
  readonly toConsole: (line: string) => void;
  readonly sendSignal: SendSignal;
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
  stop(graceMs: number): Promise<void>;
}

/** Starts a gateway; resolves when it answers. Throws an InputError that a person can act on. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { clock, random, env, paths } = options;
  const loaded = await loadConfig({ file: paths.configFile, env });
  if (!loaded.ok) {
    const lines = loaded.problems.map((item) => configProblemText(item, dirname(paths.configFile)));
    throw new InputError(`the configuration is not valid; nothing was started\n${lines.join("\n")}`);
  }
  prepareStateFolder(paths);
  let current: LoadedConfig = loaded;
  const config = () => current.config;
  // Without a configured secret the gateway still never runs open: one is made for this run only.
  const runSecret = new Secret(token(random));
  let auth = authSettings(config(), env, runSecret);
  let pairing = pairingSettings(config());
  const readNetwork = () =>
    networkSettings(config(), env, options.port, { stateFolder: paths.root, machine: readMachine() });
  let network = readNetwork();

  const taken = takeInstanceLock(join(paths.root, "state"), {
    pid: options.pid,
    port: network.port,
    startedAt: new Date(clock.now()).toISOString(),
  });
  if ("heldBy" in taken) {
    const { heldBy } = taken;
    const who = heldBy ? ` (pid ${heldBy.pid}, port ${heldBy.port}, since ${heldBy.startedAt})` : "";
    throw new InputError(
      `a gateway is already running on ${paths.root}${who}. Stop it first, or use another OPENCLAW_STATE_DIR.`,
    );
  }

  const lock = taken;

  // --- log -----------------------------------------------------------------------------------------------------
  const logging = config().logging;
  const profile = paths.root.endsWith(".openclaw")
    ? "openclaw"
    : `openclaw${/\.openclaw(-[\w-]+)$/.exec(paths.root)?.[1] ?? ""}`;
  const logFile = openLogFile(options.logFolder, profile, options.uid, logging?.file);
  // What holds secrets adds itself here once it exists.
  const secretSources: (() => readonly string[])[] = [() => (auth.secret ? [auth.secret.reveal()] : [])];
  const redact = createRedactor(
    () => secretSources.flatMap((source) => source()),
    logging?.redactPatterns ?? [],
  );
  const log = createLog({
    file: logFile,
    clock,
    redact,
    level: () => levelOf(config().logging?.level) ?? "info",
    consoleLevel: () => options.consoleLevel,
    toConsole: options.toConsole,
  });
  // Shown by `config validate` too; a first run, whose file holds some of them, should not begin with warnings.
  for (const warning of loaded.warnings) log("info", warning);

  // --- store and record ------------------------------------------------------------------------------------------
  const store = openStore({ file: paths.database, chain: { genesis, hash: chainHash }, clock });
  const { commit } = store;
  let fenceKey = store.meta.get("fenceKey");
  if (fenceKey === undefined) {
    fenceKey = token(random);
    await commit([store.meta.put("fenceKey", fenceKey)]);
  }
  log("info", "record head", { seq: store.ledger.head().seq, head: store.ledger.head().hash });

  // --- what may change while it runs -----------------------------------------------------------------------------
  let sessionsConfig = sessionSettings(config());
  const models = createModels({ config, env, clock, random });
  secretSources.push(models.secrets, () => apiSecrets(config()));
  const agentOf = (agentId: string) => agentSettings(config(), agentId);
  const tools = createTools({
    config,
    defaultWorkspace: paths.workspace,
    stateFolder: paths.root,
    approvalsFile: paths.approvalsFile,
    clock,
    random,
    log,
    timeZone: options.timeZone,
    sendSignal: options.sendSignal,
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

  // --- access ------------------------------------------------------------------------------------------------------
  const pairingPath = (channel: string, account: string, kind: string) =>
    join(
      paths.credentials,
      account === "default" ? `${channel}-${kind}.json` : `${channel}-${account}-${kind}.json`,
    );
  const pairingFiles: PairingFiles = {
    readPending: (channel, account) => readJsonFile(pairingPath(channel, account, "pairing")),
    writePending: (channel, account, value) => writeJsonFile(pairingPath(channel, account, "pairing"), value),
    readAllowed: (channel, account) => readJsonFile(pairingPath(channel, account, "allowFrom")),
    writeAllowed: (channel, account, value) =>
      writeJsonFile(pairingPath(channel, account, "allowFrom"), value),
  };
  const pairings = createPairings({ files: pairingFiles, clock, random });

  // --- events to clients ---------------------------------------------------------------------------------------------
  const hub = createHub(holds);
  const transcripts = openTranscriptFiles({
    stateFolder: paths.root,
    sessions: store.sessions,
    workspaceOf: tools.workspaceOf,
    clock,
    log,
  });
  const snapshot = createSessionsSnapshot({ sessions: store.sessions, stateFolder: paths.root, clock, log });
  const tellSession = (row: SessionRow, reason: string, runId?: string) => {
    snapshot.touch(row.agentId);
    const followers = { kind: "listFollowers" } as const;
    if (!hub.wanted(followers)) return;
    const info = sessionInfo(controlParts, row);
    hub.send("sessions.changed", followers, {
      ...info,
      sessionKey: row.key,
      reason,
      ...(runId === undefined ? {} : { runId }),
      ts: clock.now(),
      session: info,
    });
  };

  // --- approvals, delivery, the message path ---------------------------------------------------------------------------
  const approvals = createApprovals({
    store: store.approvals,
    commit,
    clock,
    lifetimeMs: 30 * 60 * 1000,
    remember: tools.remember,
    record: (approval) =>
      store.ledger.append({
        stage: "policy",
        kind: "verdict",
        action: `approval.${approval.state}`,
        runId: approval.request.runId,
        sessionKey: approval.request.sessionKey,
        ...(approval.resolvedBy === undefined ? {} : { actor: approval.resolvedBy }),
        facts: {
          id: approval.id,
          command: redact(approval.request.command),
          decision: approval.decision ?? null,
        },
      }),
    changed(approval) {
      const approvers = { kind: "approvers" } as const;
      if (approval.state === "pending")
        hub.send("exec.approval.requested", approvers, approvalInfo(approval));
      else {
        hub.send("exec.approval.resolved", approvers, {
          id: approval.id,
          decision: approval.decision ?? "deny",
          resolvedBy: approval.resolvedBy ?? null,
          ts: clock.now(),
          request: approval.request,
        });
      }
    },
  });
  const sender = createOutboxSender({
    store: store.outbox,
    commit,
    clock,
    log,
    channel: (id, account) => channels.get(id, account),
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
  const readContext = contextReader(contextFiles, 20_000, clock);
  const prompts = new Map<string, { readonly stamp: string; readonly text: string }>();
  const lanes = createLanes({
    perSession: sessionsConfig.perSessionWaiting,
    total: sessionsConfig.totalWaiting,
    concurrent: sessionsConfig.concurrentSessions,
    onError: (sessionKey, error) =>
      log("error", "a lane's work threw", { sessionKey, error: (error as Error).message }),
  });
  const runs = createRuns(clock, storedOutcome(store.inbox, store.sessions));
  const runTap = createRunTap();
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
    lanes,
    runs,
    histories,
    sender,
    approvals,
    agentSettings: agentOf,
    async modelFor(agentId, sessionModel) {
      const choice = modelChoiceOf(agentId, sessionModel);
      return { model: await models.open(choice.provider), choice };
    },
    promptFor,
    toolSpecs: tools.specs,
    policyFor: tools.policyFor,
    execute: tools.execute,
    events: (run) => runTap.tee(createRunEvents(hub, clock, run), run.runId),
    sessionChanged: tellSession,
    entryAdded(row, entry) {
      transcripts.touch(row);
      const followers = { kind: "followers", sessionKey: row.key } as const;
      if (!hub.wanted(followers)) return;
      const [message] = wireMessage(entry);
      if (!message || message.role === "toolResult") return;
      hub.send("session.message", followers, {
        sessionKey: row.key,
        agentId: row.agentId,
        message,
        messageId: entry.id,
        messageSeq: entry.seq,
      });
    },
    typing: (channel, account, reply) => channels.get(channel, account)?.typing(reply.conversation),
    channelTextLimit,
    redact,
    fenceKey,
    isStopping: () => lettingGo,
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
    accessSettings: (channel, account) => channels.access(channel, account) ?? closedAccess,
    sessionSettings: () => sessionsConfig,
    turn: turns.run,
    pairingChanged: () => hub.send("channels.pairing.changed", { kind: "pairing" }, {}),
    channelTextLimit,
    fenceKey,
    maxMessageChars: 1_000_000,
    letGo: () => {
      lettingGo = true;
    },
  });

  /** The system prompt of an agent; made again when its files, tools or name have changed. */
  async function promptFor(agentId: string, toolNames: readonly string[]): Promise<string> {
    const settings = agentOf(agentId);
    const workspaceRoot = tools.workspaceOf(agentId);
    const { files, stamp } = await readContext(workspaceRoot);
    const key = `${stamp}\n${toolNames.join(",")}\n${settings.name}`;
    const known = prompts.get(agentId);
    if (known?.stamp === key) return known.text;
    const limits = { perFileChars: settings.perFileChars, totalChars: settings.totalChars };
    const text = systemPrompt({ agentName: settings.name, workspaceRoot, toolNames, files, limits });
    prompts.set(agentId, { stamp: key, text });
    return text;
  }

  const channels = createChannels({
    env,
    deps: { clock, random, log },
    log,
    accept: gateway.receive,
    changed: () => {
      if (ready) sendHealth();
    },
  });

  secretSources.push(channels.secrets);

  // --- the control plane -------------------------------------------------------------------------------------------------
  const lockout = createLockout(clock, () => auth);
  const browserSessions = createBrowserSessions({ store: store.browserSessions, commit, clock, random });
  const loopDelay = monitorEventLoopDelay({ resolution: 20 });
  loopDelay.enable();
  const startedAtMs = clock.now();
  const bound: { port: number; listener?: Listener } = { port: network.port };
  const scheme = network.tls ? "https" : "http";
  const baseUrl = () => `${scheme}://127.0.0.1:${bound.port}/`;
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
    pairings: {
      async list(only?: string) {
        const rows = channels.rows().filter((row) => only === undefined || row.id === only);
        const lists = await Promise.all(
          rows.map(async (row) => ({ row, requests: await pairings.pending(row.id, row.account) })),
        );
        return lists.flatMap(({ row, requests }) =>
          requests.map((request) => ({ channel: row.id, account: row.account, request })),
        );
      },
      async approve(channel: string, account: string, code: string, by: string) {
        const request = await pairings.approve(channel, account, code);
        await adoptOwner(`${channel}:${request.senderId}`);
        log("info", "a sender was paired", { channel, account, sender: request.senderId, by });
        return request;
      },
      dismiss: (channel: string, account: string, code: string) => pairings.dismiss(channel, account, code),
    },
    config: {
      get: configSnapshot,
      patch: patchConfig,
      replace: replaceConfig,
      reload: () => watcher.reload(),
      reloadKind,
      schema: () => configSchema,
    },
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
      delayP99Ms: round(loopDelay.percentile(99) / 1e6 - 20),
      delayMaxMs: round(loopDelay.max / 1e6 - 20),
      utilization: round(performance.eventLoopUtilization().utilization),
    }),
    sessionsPath: (agentId: string) => join(paths.root, "agents", agentId, "sessions", "sessions.json"),
    transcriptPath: transcripts.path,
    newTicketUrl: () => `${baseUrl()}#signin=${browserSessions.issueTicket().reveal()}`,
    toolSpecs: tools.specs,
    workspacePath: tools.workspaceOf,
    stateFolder: paths.root,
    channelControl: {
      start: (channel: string, account: string) => channels.startAccount(config(), channel, account),
      stop: channels.stopAccount,
    },
    approvalsDocument: createApprovalsDocument({ file: paths.approvalsFile, folder: paths.root }),
  };
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
    endConnections: (deviceId) => operator.endDevice(deviceId, "device removed"),
    cancelRunsOf(principalId) {
      for (const row of store.inbox.open())
        if (row.source.author === principalId) gateway.abort(row.sessionKey, row.runId);
    },
    gatewayUrl: (publicUrl) =>
      setupUrl(publicUrl, config().gateway?.publicOrigin, ownUrl(network, bound.port)),
  });
  const table = methodTable(
    controlParts,
    sessionNames(() => sessionsConfig, { resolve: resolveSessionKey, parse: parseSessionKey }),
  );
  const { health } = table;
  const methods = new Map([
    ...table.methods,
    ...deviceMethods(control).map((row) => [row.name, row] as const),
  ]);
  let ready = false;
  let healthVersion = 0;
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
    authSettings: () => auth,
    methods,
    handshakeTimeoutMs: network.handshakeTimeoutMs,
    isReady: () => ready,
    version: options.version,
    snapshot: (principal) => helloSnapshot(principal),
  });

  function helloSnapshot(principal: Principal): Readonly<Record<string, unknown>> {
    const { defaultAgentId } = sessionsConfig;
    const choice = modelChoiceOf(defaultAgentId, undefined);
    return {
      presence: [],
      health: methods.get("health")?.run({}, undefined as never),
      stateVersion: { presence: 0, health: healthVersion },
      uptimeMs: clock.now() - startedAtMs,
      sessionDefaults: {
        defaultAgentId,
        modelConfigured: choice.provider !== "demo",
        modelProvider: choice.provider,
        model: choice.model,
        mainKey: "main",
        mainSessionKey: `agent:${defaultAgentId}:main`,
        scope: "per-sender",
      },
      ...(holds(principal.scopes, "operator.admin")
        ? { configPath: paths.configFile, stateDir: paths.root, authMode: auth.mode }
        : {}),
    };
  }

  function sendHealth(): void {
    healthVersion += 1;
    hub.send("health", { kind: "everybody" }, health(), { presence: 0, health: healthVersion });
  }

  // --- configuration: read, written, reloaded ------------------------------------------------------------------------------
  async function configSnapshot() {
    const shown = redactConfig(current.unsubstituted, current.fromEnvironment);
    return {
      path: paths.configFile,
      exists: current.exists,
      raw: JSON.stringify(shown, null, 2),
      parsed: shown,
      config: redactConfig(current.config, current.fromEnvironment),
      valid: true,
      hash: current.hash,
      issues: [],
      warnings: current.warnings,
      legacyIssues: [],
    };
  }

  async function patchConfig(raw: string, baseHash: string | undefined, replacePaths: readonly string[]) {
    if (current.exists && baseHash === undefined) {
      throw new MethodError(
        invalid(
          `config base hash required for ${paths.configFile}; re-run config.get and retry with baseHash`,
        ),
      );
    }
    const patch = await parseJson5(raw);
    if (patch === undefined) throw new MethodError(invalid("the patch is not JSON5"));
    const merged = mergePatch(current.unsubstituted, patch.value, replacePaths);
    if (!merged.ok) throw new MethodError(invalid(merged.message));
    return writeWhole(merged.value, baseHash);
  }

  async function replaceConfig(raw: string, baseHash: string | undefined) {
    if (current.exists && baseHash === undefined)
      throw new MethodError(invalid("config base hash required; re-run config.get and retry"));
    const wanted = await parseJson5(raw);
    if (wanted === undefined) throw new MethodError(invalid("the config is not JSON5"));
    return writeWhole(wanted.value, baseHash);
  }

  async function writeWhole(replacement: unknown, baseHash: string | undefined) {
    const written = await writeConfig({
      file: paths.configFile,
      env,
      replacement,
      ...(baseHash === undefined ? {} : { baseHash }),
      clock,
      random,
    });
    if (!written.ok) throw new MethodError(invalid(written.message));
    await watcher.reload();
    return {
      ok: true,
      path: paths.configFile,
      hash: written.loaded.hash,
      config: redactConfig(written.loaded.config, written.loaded.fromEnvironment),
      changedPaths: written.changedPaths,
    };
  }

  /** The first person who is approved from the command line or the page becomes the owner. */
  async function adoptOwner(who: string): Promise<void> {
    if ((config().commands?.ownerAllowFrom ?? []).length > 0) return;
    const written = await writeConfig({
      file: paths.configFile,
      env,
      edits: [{ path: ["commands", "ownerAllowFrom"], value: [who] }],
      clock,
      random,
    });
    if (!written.ok)
      log("warn", "the owner could not be written to the config", { message: written.message });
    else await watcher.reload();
  }

  async function applyChange(change: ConfigChange): Promise<void> {
    current = change.after;
    const before = auth.secret?.reveal();
    auth = authSettings(config(), env, runSecret);
    pairing = pairingSettings(config());
    network = readNetwork();
    bound.listener?.apply(network);
    sessionsConfig = sessionSettings(config());
    models.reset();
    tools.reset();
    prompts.clear();
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
    if (auth.secret?.reveal() !== before) {
      // Whoever came in with the old secret must prove the new one; the page's sessions were opened with it too.
      await browserSessions.closeAll();
      for (const method of ["none", "token", "password", "browser-session"])
        operator.revoke(method, 4001, "gateway auth changed");
    }
    hub.send(
      "config.changed",
      { kind: "readers" },
      { path: paths.configFile, hash: current.hash, ts: clock.now() },
    );
    await channels.apply(config());
    await saveLastGood(paths.configFile, current, random);
  }

  const watcher = watchConfig({
    load: { file: paths.configFile, env },
    current,
    clock,
    onChange: applyChange,
    onInvalid: (problems) =>
      log("error", "config reload skipped (invalid config); the running configuration stays", {
        problems: problems.map((item) => configProblemText(item, dirname(paths.configFile))),
      }),
  });

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
      lockout,
      clock,
      log,
      signedOut: () => operator.revoke("browser-session", 4001, "signed out"),
    }),
    ...apiRoutes({
      clock,
      random,
      log,
      commit,
      ledger: store.ledger,
      config,
      authSettings: () => auth,
      lockout,
      isReady: () => ready,
      sessionSettings: () => sessionsConfig,
      runs: controlParts.runs,
      inbox: store.inbox,
      sessions: store.sessions,
      models: models.rows,
      tap: runTap,
      invokeTool: createToolInvoker({
        random,
        commit,
        ledger: store.ledger,
        policyFor: tools.policyFor,
        execute: tools.execute,
        redact,
      }),
      fenceKey,
    }),
    webhookRoute(channels),
  ];
  gateway.takeUp();
  const listener = await listen({
    settings: network,
    // A secret that was made for this run only is nothing that somebody on another machine could know.
    hasAuthentication: () => auth.mode !== "none" && auth.secret !== runSecret,
    routes,
    onSocket: operator.serve,
    clock,
    random,
    log,
  }).catch(async (error) => {
    watcher.close();
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
  const cancelCheckpoint = every(clock, 5000, () => {
    if (store.commitsSinceCheckpoint() > 1000) checkpointAside(paths.database, () => store.checkpointed());
  });
  const background = startBackground();

  async function startBackground(): Promise<void> {
    await saveLastGood(paths.configFile, current, random).catch((error) =>
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
    // A full disk must not keep the turns from beginning once there is room again.
    await commit([store.meta.put("cleanStop", "no")]).catch((error) =>
      log("error", "the start could not be noted", { error: error.message }),
    );
    gateway.begin();
    await channels.apply(config());
    gateway.deliver();
  }

  let stopping: Promise<void> | undefined;
  function stop(graceMs: number): Promise<void> {
    stopping ??= (async () => {
      log("info", "stopping", { activeRuns: runs.size });
      ready = false;
      watcher.close();
      cancelTick();
      cancelCheckpoint();
      await background.catch(() => {});
      await channels.stop();
      await gateway.drain(graceMs);
      hub.send("shutdown", { kind: "everybody" }, { reason: "gateway stopping" });
      operator.closeAll(1012, "service restart");
      await listener.close();
      await devices.close();
      await tools.close();
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

/** Liveness and readiness; they answer whoever asks, and tell nothing else. */
function probeRoutes(isReady: () => boolean, uptimeMs: () => number, version: string): Route[] {
  const json = (status: number, value: unknown) => ({
    status,
    headers: { "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify(value),
  });
  const row = (path: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    auth: "none",
    maxBodyBytes: 0,
    anyHost: true,
    handle,
  });
  const live = () => json(200, { ok: true, status: "live" });
  const readiness = () =>
    isReady()
      ? json(200, { ready: true, failing: [] })
      : json(503, { ready: false, failing: ["starting-or-draining"] });
  return [
    row("/health", live),
    row("/healthz", live),
    row("/ready", readiness),
    row("/readyz", readiness),
    row("/startupz", (request) => {
      if (!isReady()) return json(503, { ok: false, status: "draining" });
      const more = request.arrival?.isLocal ? { version, uptimeMs: uptimeMs() } : {};
      return json(200, { ok: true, status: "started", ...more });
    }),
  ];
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

function every(clock: Clock, ms: number, action: () => void): () => void {
  let cancel = clock.after(ms, function tick() {
    action();
    cancel = clock.after(ms, tick);
  });
  return () => cancel();
}

/** Moves the write-ahead log into the database in a thread of its own: its syncs would hold the event loop. */
function checkpointAside(file: string, done: () => void): void {
  const code = `
    const { workerData } = require("node:worker_threads");
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(workerData);
    database.exec("PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(PASSIVE)");
    database.close();
  `;
  const worker = new Worker(code, {
    eval: true,
    workerData: file,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
  });
  worker.on("error", () => {});
  worker.unref();
  done();
}

function breathe(): Promise<void> {
  return new Promise((resolve_) => setImmediate(resolve_));
}

function round(value: number): number {
  return Math.max(0, Math.round(value * 1000) / 1000);
}

function levelOf(value: unknown): LogLevel | undefined {
  return typeof value === "string" && ["trace", "debug", "info", "warn", "error", "fatal"].includes(value)
    ? (value as LogLevel)
    : undefined;
}
