import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { type Duplex, Readable } from "node:stream";
import type { Clock } from "../kernel/mod.ts";

/**
 * The HTTP API of a container engine on its unix socket: Docker's own, which Podman speaks too.
 * Source: https://docs.docker.com/reference/api/engine/version/v1.41/
 */
export interface ContainerEngine {
  readonly socketPath: string;
  /**
   * Asks one thing. Gives the parsed answer of a 2xx; a body of bytes is a tar archive. Rejects with
   * an EngineError.
   */
  call(method: "GET" | "POST" | "DELETE", path: string, body?: Body | Buffer | Readable): Promise<unknown>;
  /** Asks for a two-way stream of bytes. Rejects with an EngineError. */
  open(path: string, body?: Body): Promise<Duplex>;
  /** Ends what is still asked, and all streams. */
  close(): void;
}

type Body = Readonly<Record<string, unknown>>;

/** Why an engine did not do what it was asked, for the operator. */
export class EngineError extends Error {
  /** Of its answer; undefined: it gave none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

const version = "/v1.41";
const answerTimeoutMs = 30_000;
/** Whether it is there at all is asked first. */
const pingTimeoutMs = 3000;
const importTimeoutMs = 600_000;
const maxAnswerBytes = 8 * 1024 * 1024;

export function connectEngine(deps: {
  readonly clock: Clock;
  /** Absolute. */
  readonly socketPath: string;
}): ContainerEngine {
  const { socketPath, clock } = deps;
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const opened = new Set<Duplex>();

  function begin(
    method: string,
    path: string,
    body: Body | Buffer | Readable | undefined,
    headers: Record<string, string>,
    settle: { reject(error: EngineError): void },
  ): { readonly call: ClientRequest; readonly inTime: () => void } {
    const isArchive = Buffer.isBuffer(body) || body instanceof Readable;
    const type = isArchive ? "application/x-tar" : "application/json";
    const call = request({
      socketPath,
      method,
      path: `${version}${path}`,
      headers: { host: "engine", ...headers, ...(body ? { "content-type": type } : {}) },
      ...(headers.upgrade === undefined ? { agent } : {}),
    });
    const inTime = clock.after(
      isArchive ? importTimeoutMs : path === "/_ping" ? pingTimeoutMs : answerTimeoutMs,
      () => call.destroy(new Error("it did not answer in time")),
    );
    call.once("error", (error) => {
      inTime();
      settle.reject(
        new EngineError(`The container engine at ${socketPath} does not answer (${error.message}).`),
      );
    });
    if (body instanceof Readable) body.pipe(call);
    else call.end(isArchive || body === undefined ? body : JSON.stringify(body));
    return { call, inTime };
  }

  return {
    socketPath,
    call: (method, path, body) =>
      new Promise((resolve, reject) => {
        const { call, inTime } = begin(method, path, body, {}, { reject });
        call.once("response", (response) => {
          readAnswer(response).then(
            (text) => {
              inTime();
              const { statusCode = 0 } = response;
              if (statusCode >= 200 && statusCode < 300) resolve(parsed(text));
              else reject(new EngineError(messageIn(text, statusCode), statusCode));
            },
            (error: Error) => {
              inTime();
              reject(new EngineError(`The container engine's answer broke off (${error.message}).`));
            },
          );
        });
      }),
    open: (path, body) =>
      new Promise((resolve, reject) => {
        const { call, inTime } = begin(
          "POST",
          path,
          body,
          { connection: "Upgrade", upgrade: "tcp" },
          { reject },
        );
        call.once("upgrade", (_response, socket, head) => {
          inTime();
          if (head.length > 0) socket.unshift(head);
          opened.add(socket);
          socket.once("close", () => opened.delete(socket));
          // Whoever reads it learns of its end by that; nobody must be there to hear of an error.
          socket.on("error", () => {});
          resolve(socket);
        });
        call.once("response", (response) => {
          readAnswer(response).then(
            (text) => {
              inTime();
              reject(new EngineError(messageIn(text, response.statusCode ?? 0), response.statusCode));
            },
            (error: Error) =>
              reject(new EngineError(`The container engine's answer broke off (${error.message}).`)),
          );
        });
      }),
    close() {
      agent.destroy();
      for (const socket of opened) socket.destroy();
    },
  };
}

function readAnswer(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (piece: string) => {
      text += piece;
      if (text.length > maxAnswerBytes) response.destroy(new Error("it is too long"));
    });
    response.once("end", () => resolve(text));
    response.once("error", reject);
    response.once("close", () => reject(new Error("it was closed")));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Progress, or nothing at all.
    return undefined;
  }
}

function messageIn(text: string, status: number): string {
  const answer = parsed(text) as { message?: unknown } | undefined;
  const said = typeof answer?.message === "string" ? answer.message : text;
  return `The container engine said: ${said.trim().slice(0, 500) || `status ${status}`}`;
}
