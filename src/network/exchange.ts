import type { IncomingMessage, ServerResponse } from "node:http";
import { admitted, type Log, type Reason, type Refusal } from "../kernel/mod.ts";
import { type HttpAnswer, problem, refusal } from "./answer.ts";
import type { Entrance } from "./arrival.ts";
import { readBody } from "./body.ts";
import { arrivingOf, type Judge } from "./judge.ts";
import { judgeTarget } from "./request-shape.ts";
import { cookieOf, type Route, routesFor } from "./route.ts";
import { type SendPorts, send, sendStream } from "./send.ts";

export interface ExchangePorts extends SendPorts {
  readonly routes: readonly Route[];
  readonly judge: Judge;
  readonly isEncrypted: boolean;
  readonly entrance: Entrance;
  readonly log: Log;
  readonly logRefusal: (refusal: Refusal, peer: string) => void;
  /** Called with true when a handler begins to work, and with false when the answer is out. */
  readonly busy: (request: IncomingMessage, isBusy: boolean) => void;
}

/** One HTTP request to its answer: judged, routed, read, handled, sent. */
export function createExchange(
  ports: ExchangePorts,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const closed = new AbortController();
    response.once("close", () => {
      ports.busy(request, false);
      if (!response.writableFinished) closed.abort();
    });
    try {
      const result = await answer(request, ports, closed.signal);
      if (result.stream) await sendStream(response, result, ports);
      else await send(request, response, result, ports);
    } catch (error) {
      // The caller went away in the middle of the body.
      if (request.destroyed && !request.complete) return;
      ports.log("error", "a request handler failed", {
        path: String(request.url).slice(0, 100),
        error: String(error),
      });
      // What was half sent cannot be taken back; cut off it is at least seen to be broken.
      if (response.headersSent) request.socket.destroy();
      else
        await send(
          request,
          response,
          problem(500, "internal", "The gateway failed on this request; see its log."),
          ports,
        );
    }
  };
}

async function answer(
  request: IncomingMessage,
  ports: ExchangePorts,
  closed: AbortSignal,
): Promise<HttpAnswer> {
  const verdict = ports.judge(
    arrivingOf(request, { isUpgrade: false, isEncrypted: ports.isEncrypted, entrance: ports.entrance }),
  );
  const target = judgeTarget(request.url);
  const path = admitted(target) ? target.value : "";
  const { route, allowed } = routesFor(ports.routes, request.method, path);
  if (!admitted(verdict) && !(route && excuses(route, verdict.reason, request))) {
    ports.logRefusal(verdict, String(request.socket.remoteAddress));
    return refusal(verdict.reason);
  }
  if (!route) return noRoute(allowed);
  const head = {
    path,
    query: String(request.url).slice(path.length + 1),
    headers: request.headers as Record<string, string | undefined>,
    arrival: admitted(verdict) ? verdict.value : undefined,
    cookie: cookieOf(request.headers.cookie),
  };
  const early = await route.before?.(head);
  if (early) return early;
  const body = request.method === "POST" ? await readBody(request, route.maxBodyBytes) : Buffer.alloc(0);
  if (body === undefined)
    return problem(413, "too_large", `The body may have at most ${route.maxBodyBytes} bytes.`);
  ports.busy(request, true);
  return route.handle({ ...head, body, closed });
}

function noRoute(allowed: readonly string[]): HttpAnswer {
  if (allowed.length === 0) return problem(404, "not_found", "There is nothing at this path.");
  const answer = problem(405, "method_not_allowed", "Use another method.");
  return { ...answer, headers: { ...answer.headers, allow: allowed.join(", ") } };
}

/** Which refusals a route may overlook: those about the way, never those about the page or the request's shape. */
function excuses(route: Route, reason: Reason, request: IncomingMessage): boolean {
  const aboutTheWay = reason === "network.host_refused" || reason === "network.proxy_attribution_required";
  if (route.anyHost === true) return aboutTheWay || reason === "network.origin_refused";
  return route.auth === "webhook" && aboutTheWay && request.headers.origin === undefined;
}
