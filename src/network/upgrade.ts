import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { admitted, type Clock, type Refusal, reasonText, refuse } from "../kernel/mod.ts";
import { endWith, type HttpAnswer, refusal } from "./answer.ts";
import type { Arrival, ArrivingRequest, Entrance } from "./arrival.ts";
import type { Door } from "./door.ts";
import { arrivingOf, type Judge } from "./judge.ts";
import { cookieOf } from "./route.ts";
import { maxPayloadBytesBeforeConnect, type Socket, wrapSocket } from "./socket.ts";

export interface UpgradePorts {
  readonly judge: Judge;
  readonly isEncrypted: boolean;
  readonly entrance: Entrance;
  readonly door: Door;
  /** The name of a connection at the door. */
  readonly connectionKey: (request: IncomingMessage) => string;
  readonly logRefusal: (refusal: Refusal, peer: string) => void;
  readonly clock: Pick<Clock, "after">;
  readonly onSocket: (socket: Socket, arrival: Arrival, cookie: string) => void;
}

export interface Upgrades {
  take(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  /** Closes what would not be let in any more: pages whose origin was taken off the list, clients of a former proxy. */
  judgeAgain(): void;
  /** From now on upgrades are answered with 503. */
  stop(): void;
}

/** From an HTTP upgrade to a WebSocket that waits for its `connect`. */
export function createUpgrades(ports: UpgradePorts): Upgrades {
  const { door } = ports;
  /** Sockets whose right to be here may change with the settings. */
  const conditional = new Set<{ readonly request: ArrivingRequest; readonly socket: Socket }>();
  let stopped = false;
  // Compression is never negotiated: it costs memory per socket, and leaks lengths of secrets beside chosen text.
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: maxPayloadBytesBeforeConnect,
  });

  function take(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on("error", () => stream.destroy());
    if (stopped) {
      endWith(stream, busyAnswer("The gateway is stopping."));
      return;
    }
    const arriving = arrivingOf(request, {
      isUpgrade: true,
      isEncrypted: ports.isEncrypted,
      entrance: ports.entrance,
    });
    const verdict = ports.judge(arriving);
    if (!admitted(verdict)) {
      ports.logRefusal(verdict, String(arriving.peer));
      endWith(stream, refusal(verdict.reason));
      return;
    }
    const arrival = verdict.value;
    const waiting = door.wait(arrival.limitKey, arrival.via === "proxy");
    if (typeof waiting !== "function") {
      ports.logRefusal(refuse(waiting, arrival.limitKey), arrival.peer);
      endWith(stream, busyAnswer("Too many unauthenticated sockets"));
      return;
    }
    const key = ports.connectionKey(request);
    stream.once("close", waiting);
    // The answer to the upgrade and the challenge behind it leave in one system call.
    stream.cork();
    setImmediate(() => stream.uncork());
    sockets.handleUpgrade(request, stream, head, (webSocket) => {
      const release = () => {
        waiting();
        door.proved(key);
      };
      const socket = wrapSocket(webSocket, stream, release, ports.clock);
      if (arrival.origin !== undefined || arrival.via === "proxy") {
        const open = { request: arriving, socket };
        conditional.add(open);
        stream.once("close", () => conditional.delete(open));
      }
      // `connect` has a deadline of its own; until then this connection is not the one that makes room.
      door.busy(key, true);
      ports.onSocket(socket, arrival, cookieOf(request.headers.cookie));
    });
  }

  return {
    take,
    judgeAgain() {
      for (const { request, socket } of [...conditional]) {
        const verdict = ports.judge(request);
        if (!admitted(verdict)) socket.close(1008, reasonText(verdict.reason));
      }
    },
    stop() {
      stopped = true;
    },
  };
}

function busyAnswer(body: string): HttpAnswer {
  return { status: 503, headers: { "content-type": "text/plain" }, body };
}
