/**
 * The outermost layer: listeners, limits before anybody is asked who they are, and the facts of an Arrival.
 *
 * 1. A request that a proxy forwarded is refused unless the proxy is trusted.
 * 2. A Host that is neither an address nor one of our names is refused (DNS rebinding).
 * 3. A page of another origin reaches nothing.
 * 4. Before `connect`: at most 32 sockets per address and 64 KiB per frame.
 * 5. Each HTTP route has a row that says how its caller is proved.
 * 6. A reader that is too slow loses its own socket and delays nobody else.
 */
export { type Arrival, arrive } from "./arrival.ts";
export * from "./server.ts";
export { defaultPort, type NetworkSettings, networkSettings } from "./settings.ts";
export { maxBufferedBytes, maxPayloadBytes, type Socket } from "./socket.ts";
