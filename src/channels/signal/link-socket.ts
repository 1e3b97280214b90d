import { createConnection, type NetConnectOpts } from "node:net";
import { type Clock, type Json, sleep } from "../../kernel/mod.ts";
import { LineRpc, RpcFault } from "../line-rpc.ts";
import { heartbeatMs, maxEventChars, type SignalLink } from "./link.ts";

const connectDeadlineMs = 15_000;
/** So long signal-cli has to close its side after we closed ours. */
const goodbyeMs = 2_000;

/** JSON-RPC over the unix or TCP socket of `signal-cli daemon`. */
export function socketLink(at: NetConnectOpts, clock: Clock): SignalLink {
  let rpc: LineRpc | undefined;

  return {
    call(method, params, { deadlineMs }) {
      return rpc
        ? rpc.call(method, params, deadlineMs)
        : Promise.reject(new RpcFault("there is no connection", false));
    },
    async listen(events, signal) {
      if (signal.aborted) return;
      const socket = createConnection(at);
      const own = new LineRpc(
        clock,
        (line) => {
          if (!socket.writable) return false;
          socket.write(line);
          return true;
        },
        maxEventChars * 8,
      );
      const over = new AbortController();
      const lost = new Promise<RpcFault>((resolve) => {
        let why = "the connection was closed";
        socket.on("error", (error: NodeJS.ErrnoException) => {
          why = error.code ?? "network error";
        });
        socket.on("close", () => {
          own.end();
          over.abort();
          resolve(new RpcFault(`signal-cli: ${why}`, false));
        });
      });
      // What it has written by then is on its way to us, and it will not say it again.
      const stop = () => {
        socket.end();
        const drop = clock.after(goodbyeMs, () => socket.destroy());
        socket.once("close", drop);
      };
      const cancel = clock.after(connectDeadlineMs, () => socket.destroy());
      signal.addEventListener("abort", stop, { once: true });
      socket.setEncoding("utf8").on("data", (text: string) => own.feed(text));
      const stands = () => {
        cancel();
        rpc = own;
        events.ready();
      };
      own.onNotification = (method, params) => {
        if (method !== "receive") return;
        stands();
        // One after the other comes by itself; only when too many are open is the socket left unread.
        socket.pause();
        void events.event(params as Json).finally(() => socket.resume());
      };
      const running = (async () => {
        await new Promise<void>((resolve) => socket.once("connect", resolve));
        await own.call("version", {}, connectDeadlineMs);
        stands();
        for (;;) {
          await sleep(clock, heartbeatMs, over.signal);
          await own.call("version", {}, connectDeadlineMs);
          events.ready();
        }
      })();
      const fault = await Promise.race([
        lost,
        running.then(
          () => undefined as never,
          (error: RpcFault) => error,
        ),
      ]);
      cancel();
      signal.removeEventListener("abort", stop);
      rpc = undefined;
      if (!signal.aborted) {
        socket.destroy();
        throw fault;
      }
      await lost;
    },
  };
}
