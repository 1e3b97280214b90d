import type { Clock } from "../../kernel/mod.ts";
import { openJsonSocket } from "../json-socket.ts";
import { isNearby } from "../nearby.ts";
import { defaultApiRoot } from "./settings.ts";
import { ApiFault, type WebApi } from "./web-api.ts";
import type { Envelope } from "./wire.ts";

/** How a connection ended. */
export interface SocketEnd {
  readonly code: number;
  /** Slack asked for it, as it does every few hours, and takes us back at once. */
  readonly isAsked: boolean;
  /** Socket Mode was turned off for the app. */
  readonly isDisabled: boolean;
  readonly wasReady: boolean;
}

export interface SocketOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** `connections`: how many Slack has open for the app, ours among them. */
  onHello(hello: { readonly appId: string | undefined; readonly connections: number }): void;
  /** `acknowledge` does nothing once the connection is gone: then Slack delivers the event again. */
  onEnvelope(envelope: Envelope, acknowledge: () => void): void;
  /** Slack answered a ping: the connection is alive. */
  onAnswer(): void;
}

const maxFrameBytes = 16 * 1024 * 1024;
const helloDeadlineMs = 30_000;
const pingEveryMs = 30_000;
const deadCode = 4000;

/** One connection of Socket Mode, from its first byte to its last. Resolves with how it ended. */
export function runSocket(options: SocketOptions): Promise<SocketEnd> {
  const { url, clock, signal } = options;
  return new Promise((resolve) => {
    let wasReady = false;
    let isAsked = false;
    let isDisabled = false;
    let isAnswered = true;
    let cancel = clock.after(helloDeadlineMs, () => socket.close(deadCode));

    const socket = openJsonSocket(url, clock, {
      maxBytes: maxFrameBytes,
      onJson: (value) => onEnvelope((value ?? {}) as Envelope),
      onPong() {
        isAnswered = true;
        options.onAnswer();
      },
      onEnd({ code }) {
        cancel();
        signal.removeEventListener("abort", leave);
        resolve({ code, isAsked, isDisabled, wasReady });
      },
    });
    const leave = () => socket.close(1000);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();

    function pingLater(): void {
      cancel = clock.after(pingEveryMs, () => {
        // No answer since the last one: the connection only looks alive.
        if (!isAnswered) return socket.close(deadCode);
        isAnswered = false;
        socket.ping();
        pingLater();
      });
    }

    function onEnvelope(envelope: Envelope): void {
      if (envelope.type === "hello") {
        wasReady = true;
        cancel();
        pingLater();
        const connections = envelope.num_connections ?? 1;
        options.onHello({ appId: envelope.connection_info?.app_id, connections });
      } else if (envelope.type === "disconnect") {
        isAsked = envelope.reason !== "link_disabled";
        isDisabled = !isAsked;
        socket.close(1000);
      } else if (typeof envelope.envelope_id === "string") {
        const { envelope_id } = envelope;
        options.onEnvelope(envelope, () => socket.send({ envelope_id }));
      }
    }
  });
}

/**
 * A ticket to connect with, good for one connection. It opens the way to all events, so it must lead to one of Slack's
 * own hosts. Rejects with an ApiFault.
 */
export async function socketUrl(api: WebApi, apiRoot: string, signal: AbortSignal): Promise<string> {
  const { url } = await api.call("apps.connections.open", {}, { signal });
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : undefined;
  const isSlacks =
    parsed?.protocol === "wss:" && parsed.port === "" && /(?:^|\.)slack\.com$/.test(parsed.hostname);
  const isOurs = apiRoot !== defaultApiRoot && parsed !== undefined && isNearby(parsed.hostname);
  if (!parsed || (!isSlacks && !isOurs)) {
    throw new ApiFault("apps.connections.open", { kind: "answer", error: "foreign_socket_url" });
  }
  return parsed.href;
}
