import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { createParser } from "eventsource-parser";
import { type Clock, type Json, sleep } from "../../kernel/mod.ts";
import type { HttpCalls } from "../http-calls.ts";
import { RpcFault, refused } from "../line-rpc.ts";
import { isObject } from "../settings-reader.ts";
import {
  callDeadlineMs,
  faultOf,
  heartbeatMs,
  type LinkEvents,
  maxEventChars,
  type SignalLink,
} from "./link.ts";

const connectDeadlineMs = 15_000;

/** `POST /api/v1/rpc` and the event stream `GET /api/v1/events` of `signal-cli daemon --http`. */
export function httpLink(url: string, clock: Clock, http: HttpCalls): SignalLink {
  let count = 0;
  const call: SignalLink["call"] = async (method, params, { deadlineMs, maxBytes }) => {
    count += 1;
    const body = JSON.stringify({ jsonrpc: "2.0", id: String(count), method, params });
    let text: string;
    try {
      const headers = { "content-type": "application/json" };
      const answer = await http(`${url}/api/v1/rpc`, {
        method: "POST",
        headers,
        body,
        deadlineMs,
        ...(maxBytes === undefined ? {} : { maxBytes }),
      });
      if (answer.status >= 300) throw new RpcFault(`HTTP ${answer.status}`, answer.status >= 500);
      text = answer.body.toString("utf8");
    } catch (error) {
      throw faultOf(error);
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new RpcFault("the answer is no JSON", true);
    }
    if (!isObject(value)) throw new RpcFault("the answer is no object", true);
    if (isObject(value.error)) throw refused(value.error);
    return value.result;
  };

  return {
    call,
    async listen(events, signal) {
      const over = new AbortController();
      const ended = AbortSignal.any([signal, over.signal]);
      const alive = async () => {
        await call("version", {}, { deadlineMs: connectDeadlineMs });
        if (!ended.aborted) events.ready();
      };
      try {
        const stream = await openStream(`${url}/api/v1/events`, events.mark, clock, ended);
        await alive();
        await Promise.race([
          readStream(stream, events),
          (async () => {
            while (!ended.aborted) {
              await sleep(clock, heartbeatMs, ended);
              if (!ended.aborted) await alive();
            }
          })(),
        ]);
        if (!signal.aborted) throw new RpcFault("the event stream ended", true);
      } catch (error) {
        if (!signal.aborted) throw faultOf(error);
      } finally {
        over.abort();
      }
    },
  };
}

function openStream(
  url: string,
  mark: string | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, {
      agent: false,
      signal,
      headers: { accept: "text/event-stream", ...(mark === undefined ? {} : { "last-event-id": mark }) },
    });
    const cancel = clock.after(callDeadlineMs, () => request.destroy(new Error("TIMEOUT")));
    request.on("error", (error: NodeJS.ErrnoException) => {
      cancel();
      reject(new RpcFault(error.code ?? "network error", false));
    });
    request.on("response", (response) => {
      cancel();
      response.on("error", () => {});
      if (response.statusCode === 200) return resolve(response);
      response.destroy();
      reject(new RpcFault(`HTTP ${response.statusCode}`, false));
    });
    request.end();
  });
}

/** Resolves when the stream ends. */
async function readStream(stream: IncomingMessage, events: LinkEvents): Promise<void> {
  const found: { readonly data: string; readonly id: string | undefined }[] = [];
  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent: ({ data, id }) => found.push({ data, id }),
  });
  stream.setEncoding("utf8");
  for await (const text of stream) {
    parser.feed(text as string);
    for (const { data, id } of found.splice(0)) {
      const event = jsonOf(data);
      if (event !== undefined) await events.event(event, id);
    }
  }
}

function jsonOf(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
