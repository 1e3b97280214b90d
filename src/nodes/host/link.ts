import type { Cancel, Clock, Log, Secret } from "../../kernel/mod.ts";
import { commandFailure, type NodeCommands } from "./commands.ts";
import type { NodeIdentity } from "./identity.ts";

/** A WebSocket to the gateway: text in, text out. */
export interface LinkSocket {
  send(text: string): void;
  close(): void;
}

export interface LinkSocketEvents {
  message(text: string): void;
  /** Also when it could not be opened; then `problem` says why. */
  closed(problem: string): void;
}

export interface LinkCredentials {
  /** What this node got when it was paired, for this very gateway. */
  readonly deviceToken?: Secret;
  readonly token?: Secret;
  readonly password?: Secret;
  readonly bootstrapToken?: Secret;
}

export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "connected"; readonly version: string }
  /** The gateway's operator has to say yes: `openclaw devices approve <requestId>` there. */
  | { readonly kind: "waiting"; readonly requestId: string }
  | { readonly kind: "lost"; readonly problem: string; readonly retryInMs: number }
  /** Trying again would not help. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface LinkPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: NodeIdentity;
  readonly open: (events: LinkSocketEvents) => LinkSocket;
  /** Read anew for each try. */
  readonly credentials: () => LinkCredentials;
  readonly commands: NodeCommands;
  readonly client: {
    readonly version: string;
    readonly platform: string;
    readonly displayName: string;
    readonly deviceFamily: string;
  };
  readonly pathEnv: string;
  /** The text of the connect frame that a device signs. */
  readonly signedText: (facts: {
    readonly signedAt: number;
    readonly nonce: string;
    readonly token: string;
  }) => string;
  readonly gotToken: (token: Secret) => void;
  /** The token was refused: it is worth nothing any more. */
  readonly lostToken: () => void;
  readonly stats: () => Readonly<Record<string, unknown>>;
  readonly secret: (value: string) => Secret;
  readonly changed: (state: LinkState) => void;
}

export interface NodeLink {
  close(): void;
}

interface Frame {
  readonly type?: string;
  readonly id?: string;
  readonly ok?: boolean;
  readonly event?: string;
  readonly payload?: unknown;
  readonly error?: { readonly message?: string; readonly details?: Readonly<Record<string, unknown>> };
}

const firstRetryMs = 1000;
const longestRetryMs = 30_000;
const waitingRetryMs = 5000;
const statsEveryMs = 60_000;
const silenceMs = 60_000;
const maxChunkChars = 16_384;
const maxRunning = 32;

/** What no later try can change: somebody has to do something here or at the gateway. */
const hopeless = new Set([
  "AUTH_TOKEN_MISSING",
  "AUTH_TOKEN_MISMATCH",
  "AUTH_PASSWORD_MISSING",
  "AUTH_PASSWORD_MISMATCH",
  "AUTH_BOOTSTRAP_TOKEN_INVALID",
  "DEVICE_AUTH_DEVICE_ID_MISMATCH",
  "DEVICE_AUTH_SIGNATURE_EXPIRED",
  "DEVICE_AUTH_SIGNATURE_INVALID",
  "PROTOCOL_MISMATCH",
]);

/** Keeps a node connected: signs in, answers what it is asked, and comes back when the connection is lost. */
export function startLink(ports: LinkPorts): NodeLink {
  const { clock, identity, log } = ports;
  let socket: LinkSocket | undefined;
  let cancelRetry: Cancel = () => {};
  let retryMs = firstRetryMs;
  let closed = false;

  function retry(inMs: number): void {
    if (closed) return;
    cancelRetry = clock.after(inMs, connect);
  }

  function connect(): void {
    ports.changed({ kind: "connecting" });
    const running = new Map<string, AbortController>();
    let live = false;
    let over = false;
    let used: keyof LinkCredentials | undefined;
    let lastId = 0;
    let cancelStats: Cancel = () => {};
    let cancelSilence: Cancel = () => {};

    const own = ports.open({
      message(text) {
        if (over) return;
        watchSilence();
        const frame = parsed(text);
        if (frame?.type === "event") takeEvent(frame);
        else if (frame?.type === "res" && frame.id === "connect") void answered(frame);
      },
      closed(problem) {
        if (over) return;
        end();
        ports.changed({ kind: "lost", problem, retryInMs: retryMs });
        retry(retryMs);
        retryMs = Math.min(retryMs * 2, longestRetryMs);
      },
    });
    socket = own;

    /** Nothing of this connection counts from here on; what it was running has nobody to answer to. */
    function end(): void {
      over = true;
      cancelStats();
      cancelSilence();
      for (const abort of running.values()) abort.abort();
      running.clear();
    }

    // The gateway speaks every 30 s; a connection on which nothing comes is one that nobody told us is gone.
    function watchSilence(): void {
      cancelSilence();
      cancelSilence = clock.after(silenceMs, () => own.close());
    }

    function request(method: string, params: unknown, id = `${++lastId}`): void {
      own.send(JSON.stringify({ type: "req", id, method, params }));
    }

    function takeEvent({ event, payload }: Frame): void {
      if (event === "connect.challenge") signIn((payload as { nonce?: unknown }).nonce);
      if (!live) return;
      if (event === "node.invoke.request") void invoked(payload as InvokeRequest);
      if (event === "node.invoke.cancel") running.get((payload as { invokeId: string }).invokeId)?.abort();
    }

    function signIn(nonce: unknown): void {
      if (typeof nonce !== "string" || live) return;
      const credentials = ports.credentials();
      const names = ["bootstrapToken", "deviceToken", "token", "password"] as const;
      used = names.find((item) => credentials[item] !== undefined);
      const secret = used === undefined ? "" : (credentials[used]?.reveal() ?? "");
      const signedAt = clock.now();
      // A password is no part of what is signed.
      const text = ports.signedText({ signedAt, nonce, token: used === "password" ? "" : secret });
      const { deviceId, publicKey } = identity;
      request(
        "connect",
        {
          minProtocol: 4,
          maxProtocol: 4,
          client: { id: "node-host", mode: "node", ...ports.client },
          caps: ["system"],
          commands: [...ports.commands.keys()].sort(),
          pathEnv: ports.pathEnv,
          auth: used === undefined ? {} : { [used]: secret },
          role: "node",
          scopes: [],
          device: { id: deviceId, publicKey, signature: identity.sign(text), signedAt, nonce },
        },
        "connect",
      );
    }

    async function answered({ ok, payload, error }: Frame): Promise<void> {
      if (!ok) return refused(error);
      live = true;
      retryMs = firstRetryMs;
      const { auth, server } = payload as {
        readonly auth?: { readonly deviceToken?: string };
        readonly server?: { readonly version?: string };
      };
      if (auth?.deviceToken !== undefined) ports.gotToken(ports.secret(auth.deviceToken));
      ports.changed({ kind: "connected", version: server?.version ?? "" });
      const report = () => {
        event("node.host.stats", ports.stats());
        cancelStats = clock.after(statsEveryMs, report);
      };
      report();
      request("node.skills.update", { skills: [] });
      request("node.pluginTools.update", { tools: [] });
    }

    function refused(error: Frame["error"]): void {
      const { code, requestId } = (error?.details ?? {}) as { code?: string; requestId?: string };
      const message = error?.message ?? "refused";
      end();
      own.close();
      if (code === "PAIRING_REQUIRED") {
        ports.changed({ kind: "waiting", requestId: requestId ?? "" });
        retry(waitingRetryMs);
        return;
      }
      if (code === "AUTH_DEVICE_TOKEN_MISMATCH" && used === "deviceToken") {
        ports.lostToken();
        if (Object.keys(ports.credentials()).length > 0) {
          retry(0);
          return;
        }
      }
      if (code !== undefined && (hopeless.has(code) || code === "AUTH_DEVICE_TOKEN_MISMATCH")) {
        ports.changed({ kind: "refused", code, message });
        return;
      }
      ports.changed({ kind: "lost", problem: message, retryInMs: retryMs });
      retry(retryMs);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }

    function event(name: string, payload: unknown): void {
      request("node.event", { event: name, payloadJSON: JSON.stringify(payload) });
    }

    async function invoked(asked: InvokeRequest): Promise<void> {
      const { id, command } = asked;
      const answer = (result: Readonly<Record<string, unknown>>) => {
        if (!over) request("node.invoke.result", { id, nodeId: identity.deviceId, ...result });
      };
      const run = ports.commands.get(command);
      if (!run)
        return answer({
          ok: false,
          error: { code: "UNAVAILABLE", message: `this node has no command ${command.slice(0, 128)}` },
        });
      if (running.size >= maxRunning)
        return answer({ ok: false, error: { code: "UNAVAILABLE", message: "this node is busy" } });
      const abort = new AbortController();
      running.set(id, abort);
      let seq = 0;
      const output = (text: string) => {
        for (let at = 0; at < text.length && !over; at += maxChunkChars)
          request("node.invoke.progress", {
            invokeId: id,
            nodeId: identity.deviceId,
            seq: seq++,
            chunk: text.slice(at, at + maxChunkChars),
          });
      };
      try {
        const params = asked.paramsJSON === undefined ? {} : (JSON.parse(asked.paramsJSON) as unknown);
        const payload = await run(params, { signal: abort.signal, output, event });
        answer({ ok: true, payloadJSON: JSON.stringify(payload) });
      } catch (error) {
        const failure = commandFailure(error);
        log("warn", "a command was not done", { command, ...failure, cause: causeOf(error) });
        answer({ ok: false, error: failure });
      } finally {
        running.delete(id);
      }
    }
  }

  connect();
  return {
    close() {
      closed = true;
      cancelRetry();
      socket?.close();
    },
  };
}

interface InvokeRequest {
  readonly id: string;
  readonly command: string;
  readonly paramsJSON?: string;
}

function parsed(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
