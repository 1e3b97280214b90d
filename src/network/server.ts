import { createServer as createPlainServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket as Connection } from "node:net";
import { type Clock, InputError, type Log, type Random, refuse } from "../kernel/mod.ts";
import { endWith } from "./answer.ts";
import type { Arrival, Entrance } from "./arrival.ts";
import { opensBeyondLoopback } from "./binding.ts";
import { type CertificateFiles, openCertificateFiles, type TlsMaterial } from "./certificate-files.ts";
import { createDoor } from "./door.ts";
import { createExchange } from "./exchange.ts";
import { createJudge } from "./judge.ts";
import { defaultLimits, type NetworkLimits } from "./limits.ts";
import { createPacer } from "./pacer.ts";
import type { LocalConnection } from "./peer-owner.ts";
import { connectionKey, createReception } from "./reception.ts";
import { createRefusalLog } from "./refusal-log.ts";
import type { Route } from "./route.ts";
import type { NetworkSettings } from "./settings.ts";
import type { Socket } from "./socket.ts";
import { createUpgrades, type Upgrades } from "./upgrade.ts";

export interface Listener {
  readonly port: number;
  /** Where tailscaled hands over what it serves, on 127.0.0.1; undefined while gateway.tailscale.mode is off. */
  readonly tailscalePort: number | undefined;
  readonly urls: readonly string[];
  /** SHA-256 of the certificate in use, as clients pin it; undefined without TLS. */
  readonly certificateFingerprint: string | undefined;
  /**
   * Takes over what may change while running: who is trusted, and headers. Sockets that would not be let in any more
   * are closed. Addresses, port and TLS stay as they are until the next start.
   */
  apply(settings: NetworkSettings): void;
  /** Connections that have proved nothing, and WebSockets before `connect`. */
  readonly standing: { readonly connections: number; readonly sockets: number };
  /** Looks at the certificate's files now. */
  checkCertificate(): Promise<void>;
  /** Stops taking connections and ends idle ones. */
  close(): Promise<void>;
}

export interface ListenPorts {
  readonly settings: NetworkSettings;
  /** False: whoever connects would be the owner. Then only this machine is answered, and nothing else listened on. */
  readonly hasAuthentication: () => boolean;
  readonly routes: readonly Route[];
  readonly onSocket: (socket: Socket, arrival: Arrival, cookie: string) => void;
  /** Whether a connection to {@link Listener.tailscalePort} may be tailscaled's. */
  readonly isTailscaled: (connection: LocalConnection) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: NetworkLimits;
}

type AnyServer = Server | TlsServer;

/**
 * HTTP and WebSocket on one port. Throws an InputError for settings that cannot be acted on, and for a listener that
 * strangers could reach without authentication; {@link PortTaken} when another program has the port.
 */
export async function listen(ports: ListenPorts): Promise<Listener> {
  const { clock, log, limits = defaultLimits } = ports;
  let { settings } = ports;
  checkStart(settings, ports.hasAuthentication());
  for (const warning of settings.warnings) log("warn", warning);
  const door = createDoor(limits, createPacer(clock, limits));
  const logRefusal = createRefusalLog(clock, log);
  const judge = createJudge(() => settings, ports.hasAuthentication);
  const upgrades: Upgrades[] = [];
  const receive = createReception({ door, trustedProxies: () => settings.trustedProxies, logRefusal });
  const receiveTailscaled = (connection: Connection) => {
    if (ports.isTailscaled(connection)) return receive(connection);
    connection.destroy();
    logRefusal(refuse("network.peer_refused"), String(connection.remoteAddress));
  };

  const servers: AnyServer[] = [];
  const encrypted: TlsServer[] = [];
  const certificates: CertificateFiles | undefined =
    settings.tls &&
    (await openCertificateFiles({
      settings: settings.tls,
      names: settings.certificateNames,
      clock,
      random: ports.random,
      log,
      // Connections that are open keep what they agreed on; new ones get the new certificate.
      onChange: (material) => {
        for (const server of encrypted) server.setSecureContext(contextOf(material));
      },
    }));

  /** The handlers of an entrance, and what makes servers with them. */
  function open(entrance: Entrance, material: TlsMaterial | undefined): () => AnyServer {
    const isEncrypted = material !== undefined;
    const exchange = createExchange({
      routes: ports.routes,
      judge,
      isEncrypted,
      entrance,
      strictTransportSecurity: () => settings.strictTransportSecurity,
      stalledResponseMs: limits.stalledResponseMs,
      clock,
      log,
      logRefusal,
      busy: (request, isBusy) => door.busy(connectionKey(request.socket), isBusy),
    });
    const upgrade = createUpgrades({
      judge,
      isEncrypted,
      entrance,
      door,
      connectionKey: (request: IncomingMessage) => connectionKey(request.socket),
      logRefusal,
      clock,
      onSocket: ports.onSocket,
    });
    upgrades.push(upgrade);
    return () => {
      const server = bareServer(limits, material);
      server.on("connection", entrance === "tailscale" ? receiveTailscaled : receive);
      server.on("request", (request, response) => void exchange(request, response));
      server.on("upgrade", upgrade.take);
      return server;
    };
  }

  let port = settings.port;
  let tailscalePort: number | undefined;
  try {
    const makeServer = open("main", certificates?.current());
    for (const host of settings.hosts) {
      const server = makeServer();
      // Where the system chose the port of the first address, the others take the same.
      port = await bind(server, host, port);
      servers.push(server);
      if (certificates) encrypted.push(server as TlsServer);
    }
    if (settings.tailscale !== "off") {
      const server = open("tailscale", undefined)();
      tailscalePort = await bind(server, "127.0.0.1", 0);
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.close();
    certificates?.close();
    throw error;
  }

  const scheme = certificates ? "https" : "http";
  return {
    port,
    tailscalePort,
    urls: settings.hosts.map((host) => `${scheme}://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}/`),
    get certificateFingerprint() {
      return certificates?.current().fingerprint;
    },
    get standing() {
      return { connections: door.connections, sockets: door.sockets };
    },
    apply(changed) {
      settings = changed;
      for (const text of [...changed.problems, ...changed.warnings]) log("warn", text);
      for (const upgrade of upgrades) upgrade.judgeAgain();
    },
    checkCertificate: async () => certificates?.check(),
    async close() {
      for (const upgrade of upgrades) upgrade.stop();
      certificates?.close();
      const closed = servers.map(
        (server) => new Promise<void>((resolve) => void server.close(() => resolve())),
      );
      for (const server of servers) server.closeIdleConnections();
      door.clear();
      await Promise.all(closed);
    },
  };
}

function checkStart(settings: NetworkSettings, hasAuthentication: boolean): void {
  if (settings.problems.length > 0) throw new InputError(settings.problems.join("\n"));
  if (hasAuthentication || !opensBeyondLoopback(settings.hosts)) return;
  throw new InputError(
    `the gateway would listen on ${settings.hosts[0]}, where other machines can connect, and no authentication is configured. Set gateway.auth.token (openclaw doctor --generate-gateway-token makes one), or set gateway.bind to "loopback".`,
  );
}

/** A server with every limit that the platform can hold, and nothing that answers yet. */
function bareServer(limits: NetworkLimits, material: TlsMaterial | undefined): AnyServer {
  const options = {
    requestTimeout: limits.requestMs,
    headersTimeout: limits.headersMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    maxHeaderSize: limits.headerBytes,
    noDelay: true,
    // Not left to NODE_OPTIONS: the lenient parser takes what smuggling is made of.
    insecureHTTPParser: false,
    requireHostHeader: true,
  };
  const server: AnyServer = material
    ? createTlsServer({
        ...options,
        ...contextOf(material),
        handshakeTimeout: limits.tlsHandshakeMs,
        ALPNProtocols: ["http/1.1"],
      })
    : createPlainServer(options);
  server.on("clientError", (error: NodeJS.ErrnoException, stream) => {
    const status = clientErrorStatus(error.code);
    if (status === undefined || !stream.writable) stream.destroy();
    else endWith(stream, { status });
  });
  return server;
}

function contextOf(material: TlsMaterial) {
  return {
    cert: material.cert,
    key: material.key,
    ...(material.ca === undefined ? {} : { ca: material.ca }),
    minVersion: "TLSv1.3" as const,
  };
}

/** Undefined: not HTTP at all (a failed TLS handshake, a reset); there is nobody to answer. */
function clientErrorStatus(code: string | undefined): number | undefined {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return 408;
  return code?.startsWith("HPE_") ? 400 : undefined;
}

/** Resolves with the port. */
function bind(server: AnyServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(new PortTaken(host, port));
      else reject(new InputError(`cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen({ host, port, backlog: 1024 }, () => resolve((server.address() as { port: number }).port));
  });
}

/** Another program listens there; the caller finds out who. */
export class PortTaken extends InputError {
  readonly host: string;
  readonly port: number;
  constructor(host: string, port: number) {
    super(`port ${port} on ${host} is taken`);
    this.name = "PortTaken";
    this.host = host;
    this.port = port;
  }
}
