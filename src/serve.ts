/**
 * Composes one gateway process: the foundation, the message path, the operators' path, the reload of the config, the
 * listening, and what runs beside until all of it is taken down again in order. It decides nothing.
 */

import { webhookRoute } from "./compose/channels.ts";
import { composeFoundation, type Foundation, type ServeOptions } from "./compose/foundation.ts";
import { apiRoutes } from "./compose/http-api/mod.ts";
import { beginBeside, type Stop } from "./compose/lifecycle.ts";
import { composeMessagePath, type MessagePath } from "./compose/message-path.ts";
import { composeOperatorPath, type OperatorPath } from "./compose/operator-path.ts";
import { pageRoutes } from "./compose/page.ts";
import { probeRoutes } from "./compose/probes.ts";
import { endReplaced } from "./compose/replaced-credentials.ts";
import type { ConfigChange } from "./config/mod.ts";
import { InputError } from "./kernel/mod.ts";
import { isTrustedPeer, type Listener, listen, PortTaken, type Route } from "./network/mod.ts";

export interface Served {
  readonly port: number;
  readonly url: string;
  /** With a fresh one-time sign-in. */
  readonly signInUrl: () => string;
  readonly model: string;
  readonly logFile: string;
  readonly stop: Stop;
}

/** Starts a gateway; resolves when it answers. Throws an InputError that a person can act on. */
export async function serve(options: ServeOptions): Promise<Served> {
  const foundation = await composeFoundation(options, { media: () => path.media });
  const path: MessagePath = composeMessagePath(foundation, () => operators);
  const operators: OperatorPath = await composeOperatorPath(foundation, path);
  foundation.live.follow((change) => applyChange(change, foundation, path, operators));

  const routes = routesOf(foundation, path, operators);
  await foundation.retention.apply();
  path.gateway.takeUp();
  const listener = await openListener(foundation, operators, routes);
  const { running, clock, log } = foundation;
  const model = path.agents.modelReference(foundation.sessionSettings().defaultAgentId, undefined);
  running.port = listener.port;
  running.listener = listener;
  running.isReady = true;
  log("info", "ready", {
    port: listener.port,
    version: options.version,
    config: options.paths.configFile,
    model,
  });
  const stop = beginBeside(foundation, path, operators, listener);
  return {
    port: listener.port,
    url: operators.baseUrl(),
    signInUrl: operators.newTicketUrl,
    model,
    logFile: foundation.logFile.path(new Date(clock.now())),
    stop,
  };
}

/** Everything that takes something over from a changed config, in order; what credentials let in that are no more ends. */
async function applyChange(
  change: ConfigChange,
  foundation: Foundation,
  path: MessagePath,
  operators: OperatorPath,
): Promise<void> {
  const { config, clock, log, store } = foundation;
  const before = foundation.authSettings();
  const staysSignedIn = foundation.takeConfigOver();
  await foundation.retention.apply();
  path.agents.models.reset();
  path.agents.tools.reset();
  operators.nodes.nodes.settingsChanged();
  path.agents.prompts.reset();
  const paths = change.changes.map((item) => item.path);
  await foundation.commit([
    store.ledger.append({
      stage: "operator",
      kind: "admin",
      action: "config.changed",
      actor: "config-file",
      facts: { paths },
    }),
  ]);
  log("info", "the configuration was reloaded", { paths, kind: change.kind });
  if (change.kind === "restart")
    log("warn", "some of these settings take effect at the next start", {
      paths: change.changes.filter((item) => item.kind === "restart").map((item) => item.path),
    });
  await endReplaced(
    {
      auth: { before, after: foundation.authSettings() },
      hooksToken: { before: change.before.config.hooks?.token, after: config().hooks?.token },
      staysSignedIn,
    },
    operators,
  );
  path.hub.send(
    "config.changed",
    { kind: "readers" },
    { path: foundation.paths.configFile, hash: change.after.hash, ts: clock.now() },
  );
  await path.channels.apply(config());
  await foundation.live.saveLastGood();
}

/** What is served over HTTP, and nothing else is. */
function routesOf(foundation: Foundation, path: MessagePath, operators: OperatorPath): Route[] {
  const { options, running, clock, random, log, store, authSettings, edge } = foundation;
  const { browserSessions, lockout, operator, methods } = operators;
  const routes: Route[] = [
    ...probeRoutes(
      () => running.isReady,
      () => clock.now() - operators.startedAtMs,
      options.version,
    ),
    ...pageRoutes({
      folder: options.pageFolder,
      sessions: browserSessions,
      authSettings,
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
      commit: foundation.commit,
      ledger: store.ledger,
      config: foundation.config,
      authSettings,
      callers: edge.callers,
      browserSessions,
      apiTokens: operators.apiTokens.tokens,
      lockout,
      // A way in to a method that has no scope would be open to everybody.
      scopeOf: (name) => methods.get(name)?.scope ?? "operator.admin",
      isReady: () => running.isReady,
      sessionSettings: foundation.sessionSettings,
      runs: operators.controlParts.runs,
      inbox: store.inbox,
      outbox: store.outbox,
      channels: path.channels.rows,
      sessions: store.sessions,
      models: path.agents.models.rows,
      tap: path.runTap,
      invokeTool: operators.toolCalls.invoke,
      sessionNames: operators.names,
      reach: operators.reach,
      shownFiles: path.media.shown,
      fenceKey: foundation.fenceKey,
    }),
    webhookRoute(path.channels),
  ];
  return routes;
}

/** Rejects with everything closed again; with an InputError where the port is taken. */
async function openListener(
  foundation: Foundation,
  { operator }: OperatorPath,
  routes: readonly Route[],
): Promise<Listener> {
  const { options, clock, random, log, edge, network, authSettings, runSecret } = foundation;
  return listen({
    settings: network(),
    // A secret that was made for this run only is nothing that somebody on another machine could know.
    hasAuthentication: () => authSettings().mode !== "none" && authSettings().secret !== runSecret,
    routes,
    onSocket: operator.serve,
    isTailscaled: (connection) => isTrustedPeer(connection, options.uid),
    clock,
    random,
    log,
  })
    .then(async (opened) => {
      await edge.open(opened, network().hosts).catch(async (error) => {
        await opened.close();
        throw error;
      });
      return opened;
    })
    .catch(async (error) => {
      foundation.live.close();
      foundation.store.close();
      foundation.lock.release();
      foundation.logFile.close();
      if (error instanceof PortTaken) {
        const who = await options.whoListens(error.port);
        throw new InputError(
          `port ${error.port} is taken${who ? ` by ${who}` : " by another program"}. Stop that program, or start with --port <other>, or set gateway.port.`,
        );
      }
      throw error;
    });
}
