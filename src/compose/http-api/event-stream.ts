import type { Clock } from "../../kernel/mod.ts";
import type { HttpAnswer } from "../../network/mod.ts";

const keepAliveMs = 15_000;

/**
 * Server-sent events (WHATWG HTML, "Server-sent events"). `begin` runs before the head is sent, so that it can still
 * refuse by throwing; what it says by then is kept. It resolves with the rest of the work. A comment every 15 s keeps
 * proxies from taking a long thought for a dead connection.
 */
export async function eventStream(
  clock: Clock,
  begin: (say: (data: string, event?: string) => void) => Promise<() => Promise<void>>,
): Promise<HttpAnswer> {
  let early: string | undefined = "";
  let write = (chunk: string): unknown => {
    early += chunk;
    return true;
  };
  const say = (data: string, event?: string) =>
    void write(`${event === undefined ? "" : `event: ${event}\n`}data: ${data}\n\n`);
  const rest = await begin(say);
  return {
    status: 200,
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
    async stream(send) {
      send(early ?? "");
      early = undefined;
      write = send;
      let cancel = () => {};
      const beat = () => {
        if (send(": keep-alive\n\n")) cancel = clock.after(keepAliveMs, beat);
      };
      cancel = clock.after(keepAliveMs, beat);
      try {
        await rest();
      } finally {
        cancel();
      }
    },
  };
}
