import { join } from "node:path";
import { createMeters } from "../access/mod.ts";
import { createHistories } from "../agent/mod.ts";
import { holds, mayHear } from "../auth/mod.ts";
import { formatPath } from "../config/mod.ts";
import { type ControlParts, createHub, createRunEvents, type Hub } from "../control/mod.ts";
import { createGateway, type Gateway } from "../gateway.ts";
import { createLanes, createOverheard, createRuns, historyLimit, lastDaily } from "../session/mod.ts";
import { openTranscriptFiles } from "../store/mod.ts";
import { createTurns } from "../turn.ts";
import { type Access, createAccess } from "./access.ts";
import { createAccessMemory } from "./access-memory.ts";
import { type Agents, composeAgents } from "./agents.ts";
import type { ComposedApiTokens } from "./api-tokens.ts";
import { createChannels } from "./channels.ts";
import { composeDelivery, type Delivery } from "./delivery.ts";
import type { Foundation } from "./foundation.ts";
import { createRunTap } from "./http-api/mod.ts";
import { createLiveReplies } from "./live-replies.ts";
import { createMissedMessages } from "./missed-messages.ts";
import type { NodeCommands } from "./node-commands.ts";
import { composePairings } from "./pairings.ts";
import { createReviewer } from "./review.ts";
import type { Revocation } from "./revocation.ts";
import { createSessionEvents } from "./session-events.ts";
import { createSessionsSnapshot } from "./sessions-snapshot.ts";
import { createShownTurns } from "./shown-turns.ts";
import { storedOutcome } from "./stored-outcome.ts";

/** What messages need of the operators' side, which is made of the message path; looked up at each use. */
export interface OperatorSide {
  /** Commands on nodes are judged and approved as those of this machine are. */
  readonly nodeCommands: NodeCommands;
  /** Whoever writes with an API token has its agents do no more than it may; they ask the tools what that is. */
  readonly apiTokens: ComposedApiTokens;
  /** Hears of each message that is let in; it stops the runs of the gateway. */
  readonly revocation: Revocation;
  /** Events tell of sessions in the words of the control plane, which reads all of the message path. */
  readonly controlParts: ControlParts;
  /** A channel came or went. */
  readonly healthChanged: () => void;
}

export type MessagePath = ReturnType<typeof composeMessagePath>;

/** A message's way: access, lanes, turns with their models and tools, delivery, and the channels at both ends. */
export function composeMessagePath(foundation: Foundation, operators: () => OperatorSide) {
  const { env, paths, clock, random, config, log, store, commit, fenceKey } = foundation;
  const accessMemory = createAccessMemory({ meta: store.meta, secret: fenceKey, clock, commit });
  const pairings = composePairings(paths.credentials, clock, random);
  const access = createAccess({
    loaded: foundation.live.loaded,
    pairings,
    activationOf: accessMemory.activationOf,
    onProblem: ({ path, message }) =>
      log("warn", "an entry admits nobody", { at: formatPath(path), problem: `must ${message}` }),
  });
  const agents = composeAgents(foundation, {
    access,
    commandsOf: (agentId, sessionKey) => operators().nodeCommands.commandsOf(agentId, sessionKey),
  });
  const hub = createHub(holds, mayHear);
  const mirrors = composeMirrors(foundation, agents, hub, () => operators().controlParts);
  // The channels hand what comes in to the gateway, which sends its answers through them.
  const delivery = composeDelivery(foundation, {
    ...{ agents, hub, channels: () => channels },
    rememberOnNode: (approval) => operators().nodeCommands.remember(approval),
  });
  const overheard = createOverheard((...place) => historyLimit(config(), ...place));
  const turning = composeTurns(foundation, {
    ...{ agents, hub, mirrors, delivery, access, accessMemory, overheard, operators },
  });
  const { lanes, runs, histories, runTap } = turning;
  const { sender, media, channelTextLimit } = delivery;
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
    approvals: delivery.approvals,
    pairings,
    accessSettings: access.settingsOf,
    meters: createMeters(clock, undefined, accessMemory.budgets),
    activationOf: accessMemory.activationOf,
    sessionSettings: foundation.sessionSettings,
    overheard,
    turn: turning.run,
    mayUseAgent: (author, agentId) => operators().apiTokens.mayUseAgent(author, agentId),
    missed,
    pairingChanged: () => hub.send("channels.pairing.changed", { kind: "pairing" }, {}),
    channelTextLimit,
    holdUpload: media.holdUpload,
    acknowledge(message, row) {
      operators().revocation.letIn(message, row);
      media.acknowledge(message, row);
    },
    fenceKey,
    maxMessageChars: 1_000_000,
    letGo: turning.letGo,
  });
  const channels = createChannels({
    env,
    helpers: foundation.helpers,
    folder: paths.credentials,
    extensions: join(paths.root, "extensions"),
    deps: { clock, random, log },
    log,
    accept: gateway.receive,
    newestNumbers: store.outbox.newest,
    wanted: access.settingsOf,
    expected: () => Object.keys(config().channels ?? {}).length > 0,
    changed: () => {
      if (foundation.running.isReady) operators().healthChanged();
    },
  });
  foundation.logging.addSecrets(channels.secrets);
  return {
    ...{ accessMemory, pairings, access, hub, runs, lanes, histories, runTap, missed, gateway, channels },
    ...{ agents, overheard, ...mirrors, ...delivery },
  };
}

type Mirrors = ReturnType<typeof composeMirrors>;

/** What clients and the files for people are told of sessions. */
function composeMirrors(
  { paths, clock, log, store, shown, keepsConversations }: Foundation,
  { tools }: Agents,
  hub: Hub,
  controlParts: () => ControlParts,
) {
  const transcripts = openTranscriptFiles({
    stateFolder: paths.root,
    sessions: store.sessions,
    workspaceOf: tools.workspaceOf,
    keeps: keepsConversations,
    shown: shown.entry,
    clock,
    log,
  });
  const snapshot = createSessionsSnapshot({ sessions: store.sessions, stateFolder: paths.root, clock, log });
  const sessionEvents = createSessionEvents({
    hub,
    clock,
    parts: controlParts,
    touchSnapshot: snapshot.touch,
    touchTranscript: transcripts.touch,
  });
  return { transcripts, snapshot, sessionEvents };
}

/** The lanes, and the turns that run in them. */
function composeTurns(
  foundation: Foundation,
  parts: {
    readonly agents: Agents;
    readonly hub: Hub;
    readonly mirrors: Mirrors;
    readonly delivery: Delivery;
    readonly access: Access;
    readonly accessMemory: ReturnType<typeof createAccessMemory>;
    readonly overheard: ReturnType<typeof createOverheard>;
    readonly operators: () => OperatorSide;
  },
) {
  const { clock, random, config, log, redact, store, commit, fenceKey, sessionSettings } = foundation;
  const { agents, hub, operators } = parts;
  const { tools, openModelOf } = agents;
  const { channel, channelTextLimit, media, sender, approvals } = parts.delivery;
  const limits = sessionSettings();
  const lanes = createLanes({
    perSession: limits.perSessionWaiting,
    total: limits.totalWaiting,
    concurrent: limits.concurrentSessions,
    onError: (sessionKey, error) =>
      log("error", "a lane's work threw", { sessionKey, error: (error as Error).message }),
  });
  const runs = createRuns(clock, storedOutcome(store.inbox, store.sessions));
  const histories = createHistories(store.sessions, fenceKey);
  const runTap = createRunTap();
  let lettingGo = false;
  const { run } = createTurns({
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
    overheard: parts.overheard,
    histories,
    shownTurns: createShownTurns({ config, access: parts.access }),
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
    sessionSettings,
    lastDaily: (hour) => lastDaily(clock.now(), hour, foundation.options.timeZone),
    agentSettings: agents.agentOf,
    modelFor: openModelOf,
    promptFor: agents.prompts.of,
    toolSpecs: async (row) => operators().apiTokens.narrowSpecs(row, await tools.specsFor(row)),
    policyFor: async (row, tool, authors) =>
      operators().apiTokens.narrow(row.agentId, authors, await tools.policyForTurn(row, tool)),
    mayUseAgent: (author, agentId) => operators().apiTokens.mayUseAgent(author, agentId),
    placed: (request, context) => operators().nodeCommands.placed(request, context),
    execute: (permit, signal, progress) =>
      operators().nodeCommands.execute(permit, signal, progress) ?? tools.execute(permit, signal, progress),
    events: (of) => runTap.tee(createRunEvents(hub, clock, of), of.runId),
    ...parts.mirrors.sessionEvents,
    typing: (id, account, reply) => channel(id, account)?.typing(reply.conversation),
    channelTextLimit,
    media,
    chooseActivation: parts.accessMemory.chooseActivation,
    live: createLiveReplies({ config, channel, clock }),
    redact,
    redactValue: foundation.logging.redactValue,
    redactOutput: foundation.logging.redactOutput,
    fenceKey,
    isStopping: () => lettingGo,
  });
  return {
    ...{ lanes, runs, histories, runTap, run },
    letGo: () => {
      lettingGo = true;
    },
  };
}
