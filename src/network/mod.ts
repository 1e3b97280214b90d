/**
 * The outermost layer: where the gateway listens, what it takes from strangers, and the facts of an Arrival.
 * In: bytes. Out: an Arrival with a request or a WebSocket, or an answer that says why not.
 *
 * 1. What a proxy forwarded is refused unless the proxy is trusted; behind a trusted one the client is the first
 *    untrusted hop from the right, and never local.
 * 2. A Host that is neither an address nor one of our names is refused (DNS rebinding).
 * 3. A page of another origin reaches nothing; `null` is nobody's origin.
 * 4. Before `connect`: at most 32 sockets per client, 64 KiB per frame and 128 KiB in all.
 * 5. Each HTTP route has a row that says how its caller is proved.
 * 6. A reader that is too slow loses its own socket and delays nobody else.
 * 7. Beyond loopback nothing is listened on, and nobody answered, without authentication.
 * 8. A request that two readers could understand differently is refused: its framing, its headers, its path.
 * 9. Strangers' connections are bounded in number, pace and time; those who proved themselves are not counted.
 * 10. TLS is 1.3; half a pair of files is refused, and a replacement that does not fit leaves the old one in use.
 * 11. Headers that say who somebody is go on from here only when a trusted proxy sent them, each once. Tailscale's
 *     entrance is for tailscaled: a program of another user of this machine is not answered there.
 */
export { type HttpAnswer, problem } from "./answer.ts";
export type { Arrival } from "./arrival.ts";
export type { Machine } from "./binding.ts";
export { type CertificatePair, issueCertificate, makeAuthority } from "./certificate.ts";
export { defaultLimits, type NetworkLimits } from "./limits.ts";
export { readMachine } from "./machine.ts";
export { isTrustedPeer } from "./peer-owner.ts";
export { type HttpHead, type HttpRequest, type Route, sessionCookie } from "./route.ts";
export { type Listener, type ListenPorts, listen, PortTaken } from "./server.ts";
export { type NetworkSettings, networkSettings, type Place } from "./settings.ts";
export type { Socket } from "./socket.ts";
