import type { Reason } from "../kernel/mod.ts";
import type { NetworkLimits } from "./limits.ts";
import type { Pacer } from "./pacer.ts";

/**
 * Who stands at the door: connections and WebSockets that have not proved who they are. Bounded in all, and for each
 * address, so that ten thousand strangers cost what two thousand do, and nobody who came in is counted.
 */
export interface Door {
  /**
   * A new connection; `key` names it. `isKnownPath` holds for loopback and trusted proxies: behind those stand many,
   * so what counts one address does not apply. Undefined when it may stay; `end` may be called later to make room.
   */
  enter(
    key: string,
    from: { readonly limitKey: string; readonly isKnownPath: boolean },
    end: () => void,
  ): Reason | undefined;
  /** While a request is answered, its connection is not the one that makes room. */
  busy(key: string, isBusy: boolean): void;
  /** Whoever is there has proved who they are. */
  proved(key: string): void;
  left(key: string): void;
  /** A WebSocket before its `connect`. Call what is returned once, when it has proved itself or is gone. */
  wait(limitKey: string, isProxied: boolean): (() => void) | Reason;
  /** Ends every connection that has proved nothing and waits for nothing. */
  clear(): void;
  readonly connections: number;
  readonly sockets: number;
}

interface Standing {
  readonly limitKey: string;
  readonly paced: boolean;
  readonly end: () => void;
  busy: boolean;
}

export function createDoor(limits: NetworkLimits, pacer: Pacer): Door {
  /** In the order in which they came. */
  const standing = new Map<string, Standing>();
  const perAddress = new Map<string, number>();
  const perClient = new Map<string, number>();
  let sockets = 0;

  function remove(key: string): Standing | undefined {
    const one = standing.get(key);
    if (one && standing.delete(key)) subtract(perAddress, one.limitKey);
    return one;
  }

  /** The oldest that waits for nothing. Who is honest has long been answered when its turn comes. */
  function makeRoom(): boolean {
    for (const [key, one] of standing) {
      if (one.busy) continue;
      remove(key);
      one.end();
      return true;
    }
    return false;
  }

  return {
    enter(key, { limitKey, isKnownPath }, end) {
      if (!isKnownPath) {
        if ((perAddress.get(limitKey) ?? 0) >= limits.connectionsPerAddress)
          return "network.too_many_unauthenticated";
        if (!pacer.take(limitKey)) return "network.too_fast";
      }
      if (standing.size >= limits.connections && !makeRoom()) return "network.too_many_unauthenticated";
      standing.set(key, { limitKey, paced: !isKnownPath, end, busy: false });
      perAddress.set(limitKey, (perAddress.get(limitKey) ?? 0) + 1);
      return undefined;
    },
    busy(key, isBusy) {
      const one = standing.get(key);
      if (one) one.busy = isBusy;
    },
    proved(key) {
      const one = remove(key);
      if (one?.paced) pacer.giveBack(one.limitKey);
    },
    left(key) {
      remove(key);
    },
    wait(limitKey, isProxied) {
      const open = perClient.get(limitKey) ?? 0;
      if (open >= limits.socketsPerClient || sockets >= limits.sockets)
        return "network.too_many_unauthenticated";
      // Connections from a proxy are not paced one by one, so its clients are.
      if (isProxied && !pacer.take(limitKey)) return "network.too_fast";
      perClient.set(limitKey, open + 1);
      sockets += 1;
      let counted = true;
      return () => {
        if (!counted) return;
        counted = false;
        sockets -= 1;
        subtract(perClient, limitKey);
      };
    },
    clear() {
      while (makeRoom());
    },
    get connections() {
      return standing.size;
    },
    get sockets() {
      return sockets;
    },
  };
}

/** Keys with nothing left are removed: the map is as large as what stands at the door. */
function subtract(counts: Map<string, number>, key: string): void {
  const left = Number(counts.get(key)) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
