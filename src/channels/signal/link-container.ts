import { type Clock, type Json, sleep } from "../../kernel/mod.ts";
import type { HttpAnswer, HttpCalls } from "../http-calls.ts";
import { openJsonSocket } from "../json-socket.ts";
import { RpcFault } from "../line-rpc.ts";
import { isObject } from "../settings-reader.ts";
import { callDeadlineMs, faultOf, heartbeatMs, maxEventChars, type SignalLink } from "./link.ts";

type Params = Readonly<Record<string, unknown>>;

/**
 * The REST interface of the signal-cli-rest-api container (in its json-rpc mode), with signal-cli's commands in front:
 * https://bbernhard.github.io/signal-cli-rest-api/
 */
export function containerLink(url: string, number: string, clock: Clock, http: HttpCalls): SignalLink {
  const self = encodeURIComponent(number);
  const ask = async (
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    json?: object,
    maxBytes?: number,
    deadlineMs = callDeadlineMs,
  ): Promise<HttpAnswer> => {
    let answer: HttpAnswer;
    try {
      answer = await http(`${url}${path}`, {
        method,
        deadlineMs,
        ...(json === undefined
          ? {}
          : { headers: { "content-type": "application/json" }, body: JSON.stringify(json) }),
        ...(maxBytes === undefined ? {} : { maxBytes }),
      });
    } catch (error) {
      throw faultOf(error);
    }
    if (answer.status < 300) return answer;
    throw faultOfAnswer(answer);
  };

  return {
    async call(method, params, { deadlineMs, maxBytes }) {
      const whom = recipients(params);
      switch (method) {
        case "send": {
          const answer = await ask("POST", "/v2/send", sendBody(number, params), maxBytes, deadlineMs);
          const sent = jsonOf(answer.body.toString("utf8"));
          return { timestamp: isObject(sent) ? Number(sent.timestamp) : undefined };
        }
        case "sendReaction":
          return ask(params.remove ? "DELETE" : "POST", `/v1/reactions/${self}`, {
            recipient: whom[0],
            reaction: params.emoji,
            target_author: params.targetAuthor,
            timestamp: params.targetTimestamp,
          });
        case "sendTyping":
          return ask("PUT", `/v1/typing-indicator/${self}`, { recipient: whom[0] });
        case "sendReceipt":
          return ask("POST", `/v1/receipts/${self}`, {
            recipient: whom[0],
            receipt_type: "read",
            timestamp: params.targetTimestamp,
          });
        case "getAttachment": {
          const path = `/v1/attachments/${encodeURIComponent(String(params.id))}`;
          const { body } = await ask("GET", path, undefined, maxBytes, deadlineMs);
          return { data: body.toString("base64") };
        }
        default:
          return ask("GET", "/v1/about");
      }
    },
    async listen(events, signal) {
      await ask("GET", "/v1/about");
      if (signal.aborted) return;
      const over = new AbortController();
      let last: Promise<void> = Promise.resolve();
      let isAlive = true;
      const fault = await new Promise<RpcFault | undefined>((resolve) => {
        const socket = openJsonSocket(`${url.replace(/^http/, "ws")}/v1/receive/${self}`, clock, {
          maxBytes: maxEventChars,
          // The first pong is what says that the socket stands.
          onOpen: () => socket.ping(),
          onJson: (value) => {
            last = last.then(() => events.event(value as Json));
          },
          onPong: () => {
            isAlive = true;
            events.ready();
          },
          onEnd: ({ httpStatus }) =>
            resolve(new RpcFault(httpStatus ? `HTTP ${httpStatus}` : "the event stream ended", false)),
        });
        signal.addEventListener("abort", () => resolve(undefined), { once: true });
        void (async () => {
          while (!over.signal.aborted) {
            await sleep(clock, heartbeatMs, over.signal);
            if (!isAlive) resolve(new RpcFault("the event stream is silent", false));
            isAlive = false;
            socket.ping();
          }
          socket.close(1000);
        })();
      });
      over.abort();
      await last;
      if (fault) throw fault;
    },
  };
}

function recipients(params: Params): readonly unknown[] {
  if (typeof params.groupId === "string") {
    // The container names a group by "group." and its id once more in base64.
    return [`group.${Buffer.from(params.groupId).toString("base64")}`];
  }
  return Array.isArray(params.recipient) ? params.recipient : [params.recipient];
}

function sendBody(number: string, params: Params): object {
  return {
    number,
    recipients: recipients(params),
    message: params.message,
    ...(params.attachments === undefined ? {} : { base64_attachments: params.attachments }),
    ...(params.quoteTimestamp === undefined
      ? {}
      : {
          quote_timestamp: params.quoteTimestamp,
          quote_author: params.quoteAuthor,
          quote_message: params.quoteMessage,
        }),
  };
}

/** The container tells signal-cli's refusals in words alone. */
function faultOfAnswer({ status, body }: HttpAnswer): RpcFault {
  const value = jsonOf(body.toString("utf8"));
  const message = isObject(value) && typeof value.error === "string" ? value.error.slice(0, 300) : "";
  if (status === 429 || /rate ?limit|\[429\]/i.test(message)) {
    return new RpcFault("rate limit", true, { code: -5, message, data: undefined });
  }
  if (status === 400) return new RpcFault("refused (400)", true, { code: -1, message, data: undefined });
  return new RpcFault(`HTTP ${status}`, status >= 500);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
