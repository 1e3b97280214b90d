import type { IncomingMessage } from "node:http";
import { admitted, refuse, type Verdict } from "../kernel/mod.ts";
import { isLoopback, peerAddress } from "./address.ts";
import { type Arrival, type ArrivingRequest, arrive, type Entrance } from "./arrival.ts";
import type { NetworkSettings } from "./settings.ts";

/** The judgement of a request by the settings of this moment. */
export type Judge = (request: ArrivingRequest) => Verdict<Arrival>;

export function createJudge(settings: () => NetworkSettings, hasAuthentication: () => boolean): Judge {
  return (request) => {
    const peer = peerAddress(request.peer);
    // The start refused this already; a reload that takes the secret away must not open what is bound. Who came through
    // a proxy on this machine is on another one all the same.
    if (peer && !isLoopback(peer) && !hasAuthentication())
      return refuse("network.authentication_required", peer.text);
    const verdict = arrive(request, settings());
    if (admitted(verdict) && verdict.value.via === "proxy" && !hasAuthentication())
      return refuse("network.authentication_required", verdict.value.address);
    return verdict;
  };
}

export function arrivingOf(
  request: IncomingMessage,
  how: { readonly isUpgrade: boolean; readonly isEncrypted: boolean; readonly entrance: Entrance },
): ArrivingRequest {
  return {
    method: request.method as string,
    target: request.url,
    httpVersion: request.httpVersion,
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    peer: request.socket.remoteAddress,
    ...how,
  };
}
