import type { Cancel, Clock } from "../kernel/mod.ts";
import type { Socket } from "../network/mod.ts";

const pingEveryMs = 25_000;

/** A ping every 25 s; a peer that answers none until the next one is gone, whatever its connection says (RFC 6455, 5.5.2). */
export function keepAlive(
  socket: Pick<Socket, "ping" | "onPong" | "onClose" | "terminate">,
  clock: Clock,
): void {
  let isAlive = true;
  socket.onPong(() => {
    isAlive = true;
  });
  const beat = () => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
    cancel = clock.after(pingEveryMs, beat);
  };
  let cancel = clock.after(pingEveryMs, beat);
  socket.onClose(() => cancel());
}

/** Closes a socket that has not connected by then: with 1000 and no word, as the existing system does. */
export function connectDeadline(socket: Pick<Socket, "close">, clock: Clock, timeoutMs: number): Cancel {
  return clock.after(timeoutMs, () => socket.close(1000, ""));
}
