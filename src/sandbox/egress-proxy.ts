import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import { type Clock, InputError, type Log, type Verdict } from "../kernel/mod.ts";
import type { Destination, SsrfSettings } from "../policy/address.ts";
import { answer, type ExchangeEnd, exchange } from "./egress-exchange.ts";
import { createPace, type EgressLimits, joinStreams } from "./egress-limits.ts";
import {
  type EgressRequest,
  type EgressRule,
  type EgressTarget,
  judgeRequest,
  mustRead,
  notNamed,
  parseAuthority,
  rulesFor,
} from "./egress-rules.ts";
import { pinned, type Resolve, type ResolvedAddress, vettedAddresses } from "./web-address.ts";

/** What the record holds of one request. Never a header, a body or a query. */
export interface EgressEvent {
  readonly kind: "verdict" | "end";
  readonly outcome: "permit" | "refuse" | "ok" | "error";
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly path?: string;
  /** The rule that decided, from 0. Absent: none did. */
  readonly rule?: number;
  readonly why?: string;
  readonly end?: ExchangeEnd;
}

export interface EgressDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: EgressLimits;
  readonly resolve: Resolve;
  /** The judge that web_fetch asks, in the same words. */
  readonly addressVerdict: (
    ip: string,
    destination: Pick<Destination, "hostname" | "literal" | "listed">,
    ssrf: SsrfSettings,
  ) => Verdict<string>;
  /** A certificate for this host, signed by the authority that the sandbox was told to trust. PEM. */
  readonly issue: (host: string) => { readonly cert: string; readonly key: string };
  /** PEM, whose certificates upstreams are checked by. */
  readonly roots: readonly string[];
  /** Rejects when it cannot be put on record: then the request is not made. */
  readonly record: (event: EgressEvent) => Promise<void>;
}

export interface EgressProxy {
  close(): Promise<void>;
}

const maxHeaderBytes = 64 * 1024;
const headersWithinMs = 30_000;
const noExceptions: SsrfSettings = {
  dangerouslyAllowPrivateNetwork: false,
  allowedHostnames: [],
  blockedHostnames: [],
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};

/**
 * The one way out of a sandbox: an HTTP proxy on a unix socket (600) that lets through what a rule names. A tunnel
 * (CONNECT) is passed on unread where all rules of its host are about host and port alone; elsewhere TLS ends here.
 */
export async function openEgressProxy(
  deps: EgressDeps,
  socketFile: string,
  rules: readonly EgressRule[],
): Promise<EgressProxy> {
  const pace = createPace(deps.clock, deps.limits.maxRequestsPerMinute);
  const upstreamTls = createSecureContext({ ca: [...deps.roots] });
  const closing = new AbortController();
  const sockets = new Set<Duplex>();
  /** Connections whose TLS ended here, and where they were going. */
  const opened = new WeakMap<object, EgressTarget>();

  async function onRequest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const target = targetOf(incoming, opened.get(incoming.socket));
    if (typeof target === "string") return answer(outgoing, 400, target);
    const facts = factsOf(target);
    if (!(await isInPace(facts))) return answer(outgoing, 429, tooMany);
    const verdict = judgeRequest(rules, target);
    if (!verdict.ok) return refuse(facts, verdict.why, outgoing);
    const { rule, index } = verdict;
    const addresses = await vetted(target, [rule]);
    if (typeof addresses === "string") return refuse({ ...facts, rule: index }, addresses, outgoing);
    const about = { ...facts, rule: index };
    await deps.record({ ...about, kind: "verdict", outcome: "permit" });
    const end = await exchange({ ...deps, upstreamTls }, { target, rule, addresses }, incoming, outgoing);
    await deps.record({ ...about, kind: "end", outcome: end.fault === undefined ? "ok" : "error", end });
  }

  async function onConnect(incoming: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const inner = opened.has(incoming.socket);
    const target = inner ? undefined : parseAuthority(incoming.url ?? "", true);
    if (!target) return hangUp(client, 400, "CONNECT needs host:port, once.");
    const facts = { ...factsOf({ ...target, method: "CONNECT", path: "" }) };
    if (!(await isInPace(facts))) return hangUp(client, 429, tooMany);
    const named = rulesFor(rules, target);
    const [first] = named;
    if (!first) {
      const why = notNamed(target);
      await deps.record({ ...facts, kind: "verdict", outcome: "refuse", why });
      return hangUp(client, 403, why);
    }
    if (mustRead(named)) return endTls(client, head, target);
    const rule = rules.indexOf(first);
    const addresses = await vetted(target, named);
    if (typeof addresses === "string") {
      await deps.record({ ...facts, rule, kind: "verdict", outcome: "refuse", why: addresses });
      return hangUp(client, 403, addresses);
    }
    await deps.record({ ...facts, rule, kind: "verdict", outcome: "permit" });
    await tunnel(client, head, target, addresses);
    await deps.record({ ...facts, rule, kind: "end", outcome: "ok" });
  }

  async function tunnel(
    client: Duplex,
    head: Buffer,
    { host, port }: EgressTarget,
    addresses: readonly ResolvedAddress[],
  ): Promise<void> {
    const upstream = connect({ host, port, lookup: pinned(addresses), autoSelectFamily: true });
    sockets.add(upstream);
    upstream.once("close", () => sockets.delete(upstream));
    const giveUp = deps.clock.after(deps.limits.idleMs, () =>
      upstream.destroy(new Error("it took too long")),
    );
    const fault = await new Promise<Error | undefined>((resolve) => {
      upstream.once("connect", () => resolve(undefined)).once("error", resolve);
      client.once("close", () => upstream.destroy(new Error("the client went away")));
    });
    giveUp();
    if (fault) return hangUp(client, 502, `The connection to ${host} failed: ${fault.message}.`);
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) upstream.write(head);
    await joinStreams(client, upstream, deps.clock, deps.limits);
  }

  /** From here on the client speaks HTTP to us, inside TLS that our authority vouches for. */
  function endTls(client: Duplex, head: Buffer, target: EgressTarget): void {
    const context = createSecureContext(deps.issue(target.host));
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) client.unshift(head);
    const secure = new TLSSocket(client as Socket, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: ["http/1.1"],
      // A name that is not the one CONNECT said would be a way to another site behind the same address.
      SNICallback: (name, done) =>
        name.toLowerCase() === target.host ? done(null, context) : done(new Error("another name")),
    });
    secure.on("error", () => secure.destroy());
    opened.set(secure, target);
    server.emit("connection", secure);
  }

  /** A sentence when the host may not be reached. Private addresses only where one of the rules says so. */
  async function vetted(
    target: EgressTarget,
    named: readonly EgressRule[],
  ): Promise<readonly ResolvedAddress[] | string> {
    const literal = isIP(target.host) ? target.host : undefined;
    const listed = named.some((rule) => rule.allowPrivate === true);
    const destination = { hostname: target.host, literal, listed };
    const judge = (address: string) => deps.addressVerdict(address, destination, noExceptions);
    const refused = (detail: string) => new InputError(`${detail}. A rule needs allowPrivate for that.`);
    try {
      return await vettedAddresses(destination, { resolve: deps.resolve, judge }, refused, closing.signal);
    } catch (error) {
      return error instanceof InputError ? error.message : `The name ${target.host} could not be resolved.`;
    }
  }

  async function refuse(facts: EventFacts, why: string, outgoing: ServerResponse): Promise<void> {
    await deps.record({ ...facts, kind: "verdict", outcome: "refuse", why });
    answer(outgoing, 403, why);
  }

  /** One row for each minute that had too many: a flood of requests is no flood of the record. */
  async function isInPace(facts: EventFacts): Promise<boolean> {
    const state = pace();
    if (state === "first") await deps.record({ ...facts, kind: "verdict", outcome: "refuse", why: tooMany });
    return state === "ok";
  }

  /** What goes wrong here (the record above all) ends the request, and is the log's to tell. */
  function guarded(work: Promise<void>, giveUp: () => void): void {
    work.catch((error: unknown) => {
      deps.log("error", "a request of a sandbox was not passed on", {
        error: error instanceof Error ? error.message : String(error),
      });
      giveUp();
    });
  }

  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    requestTimeout: deps.limits.totalMs,
    headersTimeout: headersWithinMs,
    keepAliveTimeout: 5000,
  });
  server.maxConnections = deps.limits.maxConnections;
  server.on("connection", (socket: Duplex) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("request", (incoming, outgoing) =>
    guarded(onRequest(incoming, outgoing), () => {
      if (outgoing.headersSent) outgoing.destroy();
      else answer(outgoing, 503, notRecorded);
    }),
  );
  server.on("connect", (incoming, client: Duplex, head: Buffer) => {
    client.on("error", () => client.destroy());
    guarded(onConnect(incoming, client, head), () => hangUp(client, 503, notRecorded));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socketFile, resolve);
  });
  chmodSync(socketFile, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        closing.abort();
        server.close(() => {
          rmSync(socketFile, { force: true });
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const tooMany = "Too many requests in this minute. Wait, then go on more slowly.";
const notRecorded = "The gateway could not put this request on record, so it was not made. Try again later.";

type EventFacts = Pick<EgressEvent, "method" | "host" | "port" | "secure" | "path" | "rule">;

/** Where a request goes: inside a tunnel whose TLS ended here, or in absolute form. A sentence when it is neither. */
function targetOf(incoming: IncomingMessage, inside: EgressTarget | undefined): EgressRequest | string {
  const { url = "", method = "GET" } = incoming;
  if (inside) {
    const named = parseAuthority(withPort(incoming.headers.host ?? "", inside.port), true);
    if (named?.host !== inside.host || named.port !== inside.port)
      return "The Host header names another host than the tunnel was opened to.";
    if (!url.startsWith("/")) return "Inside a tunnel a request names a path.";
    return { ...inside, method, path: url };
  }
  const parts = /^http:\/\/([^/?#]+)(\/[^#]*|\?[^#]*)?$/i.exec(url);
  const target = parts && parseAuthority(withPort(parts[1] ?? "", 80), false);
  if (!target)
    return "This is an HTTP proxy: ask for http://host/path, or open a tunnel with CONNECT host:port.";
  const path = parts[2] ?? "/";
  return { ...target, method, path: path.startsWith("/") ? path : `/${path}` };
}

function withPort(authority: string, port: number): string {
  return /:\d+$/.test(authority.replace(/^\[[^\]]*\]/, "")) ? authority : `${authority}:${port}`;
}

const maxRecordedChars = 300;

function factsOf({ method, host, port, secure, path }: EgressRequest): EventFacts {
  const plain = (path.split("?", 1)[0] ?? "").slice(0, maxRecordedChars);
  return { method, host, port, secure, ...(plain === "" ? {} : { path: plain }) };
}

function hangUp(client: Duplex, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  client.end(
    `HTTP/1.1 ${status} ${status === 403 ? "Forbidden" : "Refused"}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
