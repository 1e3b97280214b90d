/** What an unknown caller may take up. Nothing here counts a connection that has proved who it is. */
export interface NetworkLimits {
  /** Connections that have proved nothing, of one address and in all. Above the total the oldest idle one goes. */
  readonly connectionsPerAddress: number;
  readonly connections: number;
  /** WebSockets before `connect`, of one client and in all. */
  readonly socketsPerClient: number;
  readonly sockets: number;
  /** New connections of one address: so many at once, and so many a second in the long run. */
  readonly burst: number;
  readonly perSecond: number;
  /** From the first byte of a connection (or request) to the end of the headers; to the end of the body. */
  readonly headersMs: number;
  readonly requestMs: number;
  /** An idle kept-alive connection; a response that its reader does not take; a TLS handshake. */
  readonly idleMs: number;
  readonly stalledResponseMs: number;
  readonly tlsHandshakeMs: number;
  /** How often the times above are looked at. */
  readonly checkEveryMs: number;
  readonly headerBytes: number;
}

export const defaultLimits: NetworkLimits = {
  connectionsPerAddress: 128,
  connections: 2048,
  socketsPerClient: 32,
  sockets: 1024,
  burst: 256,
  perSecond: 32,
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 5000,
  stalledResponseMs: 30_000,
  tlsHandshakeMs: 10_000,
  checkEveryMs: 2000,
  headerBytes: 16_384,
};
