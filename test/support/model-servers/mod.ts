/** Model providers on loopback: they speak each wire from a script, or answer at once to measure what is around them. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { isLast, type Step } from "./steps.ts";
import { type Encoder, encoderFor, type Wire } from "./wires.ts";

export type { Step } from "./steps.ts";
export { type Wire, wires } from "./wires.ts";

/** One request as it came. */
export interface ModelServerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed; undefined for a request without a body. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it at will
  readonly body: any;
}

/** Called with the parsed body and the number of the call, counted from 1. */
// biome-ignore lint/suspicious/noExplicitAny: scripts look into it at will
export type Script = (body: any, n: number) => readonly Step[] | Promise<readonly Step[]>;

export interface ModelServer {
  /** The provider's baseUrl. */
  readonly url: string;
  /** In order of arrival; lists of models included. Empty in the mode that answers at once. */
  readonly requests: readonly ModelServerRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  close(): Promise<void>;
}

/**
 * Starts on 127.0.0.1. Without a script every call gets the same prepared answer in one write, and nothing is
 * parsed or recorded.
 */
export async function startModelServer(options: {
  readonly wire: Wire;
  readonly script?: Script;
  /** Default 0: any free port. */
  readonly port?: number;
  /** The prepared answer, delta by delta. */
  readonly deltas?: readonly string[];
  /** Ids that the list of models gives. */
  readonly models?: readonly string[];
}): Promise<ModelServer> {
  const { wire, script, deltas = ["Hello", ", ", "world."], models = ["mock-1"] } = options;
  const requests: ModelServerRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let calls = 0;
  const prepared = prepare(wire, deltas);
  const list = JSON.stringify({ object: "list", data: models.map((id) => ({ id, object: "model" })) });
  const server = createServer((request, response) => {
    const { method = "", url: path = "", headers } = request;
    const chunks: Buffer[] = [];
    // A client that gave up is what some tests are about.
    request.on("error", () => {});
    response.on("error", () => {});
    request.on("data", (chunk: Buffer) => {
      if (script !== undefined) chunks.push(chunk);
    });
    request.on("end", () => {
      if (method === "GET") {
        requests.push({ method, path, headers, body: undefined });
        response.writeHead(200, { "content-type": "application/json" }).end(list);
        return;
      }
      if (script === undefined) {
        response.writeHead(200, { "content-type": "text/event-stream" }).end(prepared);
        return;
      }
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      requests.push({ method, path, headers, body });
      void play(script, body, ++calls, encoderFor(wire, String(body.model)), response);
    });
  });
  server.on("connection", (socket) => {
    connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    get connections() {
      return connections;
    },
    sockets,
    close: () => closeServer(server),
  };
}

/** A script that fails answers 599 with its error, so that the test that wrote it sees it. */
async function play(
  script: Script,
  body: unknown,
  n: number,
  encoder: Encoder,
  response: ServerResponse,
): Promise<void> {
  try {
    const steps = await script(body, n);
    const ending: Step = { end: steps.some((step) => "call" in step) ? "toolUse" : "stop" };
    for (const step of steps.some(isLast) ? steps : [...steps, ending]) await take(step, encoder, response);
  } catch (error) {
    if (!response.headersSent) response.writeHead(599);
    response.end(JSON.stringify({ error: { message: `script: ${String(error)}` } }));
  }
}

async function take(step: Step, encoder: Encoder, response: ServerResponse): Promise<void> {
  if ("status" in step) {
    const { status, body = "", headers = {} } = step;
    const isText = typeof body === "string";
    response.writeHead(status, { "content-type": isText ? "text/plain" : "application/json", ...headers });
    response.end(isText ? body : JSON.stringify(body));
    return;
  }
  if ("wait" in step) {
    await step.wait;
    return;
  }
  if ("drop" in step) {
    response.destroy();
    return;
  }
  if (!response.headersSent) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(encoder.begin());
  }
  if ("raw" in step) response.write(step.raw);
  else if ("end" in step) {
    response.write(encoder.end(step.end));
    if (!step.open) response.end();
  } else if ("close" in step) response.end();
  else if ("cut" in step) await new Promise<void>((resolve) => response.write(": cut\n", () => resolve()));
  else response.write(encoder.step(step) || ": nothing\n\n");
  if ("cut" in step) response.destroy();
}

function prepare(wire: Wire, deltas: readonly string[]): Buffer {
  const encoder = encoderFor(wire, "mock-1");
  const counted = encoder.step({ usage: { input: 10, output: deltas.length } });
  const said = deltas.map((text) => encoder.step({ text })).join("");
  return Buffer.from(encoder.begin() + counted + said + encoder.end("stop"));
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
