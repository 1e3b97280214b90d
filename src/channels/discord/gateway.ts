import type { Clock, Random, Secret } from "../../kernel/mod.ts";
import { openJsonSocket } from "../json-socket.ts";
import type { BotIdentity } from "./memory.ts";
import { type Frame, isSnowflake, opcodes, type User } from "./wire.ts";

/** How a connection ended. */
export interface GatewayEnd {
  readonly code: number;
  /** The session is gone: a new one must be made. */
  readonly isSessionOver: boolean;
  /** Discord asked for it, and takes us back at once. */
  readonly isAsked: boolean;
  /** It stood: the session was begun or taken up again. */
  readonly wasReady: boolean;
}

/** A session that has begun. */
export interface Ready {
  readonly bot: BotIdentity;
  readonly session: { readonly id: string; readonly resumeUrl: string };
  /** Ids of the guilds that Discord is about to describe. */
  readonly guilds: readonly string[];
}

export interface GatewayOptions {
  /** Without a query. */
  readonly url: string;
  readonly token: Secret;
  readonly intents: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** The session to take up again. */
  readonly resume?: { readonly sessionId: string };
  /** The number of the last event before which all is stored: told with each heartbeat, and to resume from. */
  seq(): number | null;
  onReady(ready: Ready, seq: number): void;
  onResumed(): void;
  /** Every other event, in order. */
  onEvent(name: string, data: unknown, seq: number): void;
  /** Discord answered: the connection is alive. */
  onAnswer(): void;
}

/** A guild of tens of thousands of channels and threads stays below it. */
const maxFrameBytes = 64 * 1024 * 1024;
const stepDeadlineMs = 30_000;
const leastBeatMs = 1_000;

/** Any but 1000 and 1001, which would end the session. */
const leaveCode = 4000;
const zombieCode = 4001;
/** https://docs.discord.com/developers/topics/opcodes-and-status-codes: after these a resume fails. */
const sessionEnding: ReadonlySet<number> = new Set([
  1000, 1001, 4003, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014,
]);

/** One connection to Discord's gateway, from its first byte to its last. Resolves with how it ended. */
export function runGateway(options: GatewayOptions): Promise<GatewayEnd> {
  const { url, token, clock, random, signal } = options;
  return new Promise((resolve) => {
    let wasReady = false;
    let isAsked = false;
    let isSessionOver = false;
    let isAnswered = true;
    let beat: (() => void) | undefined;
    // Hello, and then the session, come within this time or never.
    let patience = clock.after(stepDeadlineMs, () => socket.close(zombieCode));

    const socket = openJsonSocket(`${url}?v=10&encoding=json`, clock, {
      maxBytes: maxFrameBytes,
      onJson: (value) => onFrame((value ?? {}) as Frame),
      onEnd({ code }) {
        patience();
        beat?.();
        signal.removeEventListener("abort", leave);
        // A code that we chose ourselves says nothing about the session.
        const isOurs = signal.aborted || code === leaveCode || code === zombieCode;
        resolve({
          code,
          wasReady,
          isAsked,
          isSessionOver: isSessionOver || (!isOurs && sessionEnding.has(code)),
        });
      },
    });
    const leave = () => socket.close(leaveCode);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();

    function heartbeat(): void {
      socket.send({ op: opcodes.heartbeat, d: options.seq() });
    }

    function beatIn(delayMs: number, everyMs: number): void {
      beat = clock.after(delayMs, () => {
        // No answer since the last one: the connection only looks alive.
        if (!isAnswered) return socket.close(zombieCode);
        isAnswered = false;
        heartbeat();
        beatIn(everyMs, everyMs);
      });
    }

    function hello(data: unknown): void {
      const given = (data as { readonly heartbeat_interval?: unknown } | undefined)?.heartbeat_interval;
      const everyMs = Math.max(leastBeatMs, typeof given === "number" ? given : 41_250);
      const fraction = random.bytes(4).readUInt32BE(0) / 2 ** 32;
      beatIn(everyMs * fraction, everyMs);
      patience();
      patience = clock.after(stepDeadlineMs, () => socket.close(zombieCode));
      if (options.resume) {
        const d = { token: token.reveal(), session_id: options.resume.sessionId, seq: options.seq() };
        socket.send({ op: opcodes.resume, d });
        return;
      }
      const properties = { os: "linux", browser: "openclaw", device: "openclaw" };
      const d = { token: token.reveal(), intents: options.intents, properties, large_threshold: 50 };
      socket.send({ op: opcodes.identify, d });
    }

    function dispatch(name: string, data: unknown, seq: number): void {
      if (name === "READY") {
        const ready = readyOf(data);
        if (!ready) socket.close(zombieCode);
        else {
          stands();
          options.onReady(ready, seq);
        }
      } else if (name === "RESUMED") {
        stands();
        options.onEvent(name, data, seq);
        options.onResumed();
      } else options.onEvent(name, data, seq);
    }

    function stands(): void {
      wasReady = true;
      patience();
    }

    function onFrame(frame: Frame): void {
      switch (frame.op) {
        case opcodes.hello:
          hello(frame.d);
          break;
        case opcodes.dispatch:
          if (typeof frame.t === "string" && Number.isSafeInteger(frame.s)) {
            dispatch(frame.t, frame.d, frame.s as number);
          }
          break;
        case opcodes.heartbeat:
          heartbeat();
          break;
        case opcodes.heartbeatAck:
          isAnswered = true;
          options.onAnswer();
          break;
        case opcodes.reconnect:
          isAsked = true;
          socket.close(leaveCode);
          break;
        case opcodes.invalidSession:
          isSessionOver = frame.d !== true;
          socket.close(leaveCode);
      }
    }
  });
}

function readyOf(data: unknown): Ready | undefined {
  const { user, session_id, resume_gateway_url, guilds } = (data ?? {}) as {
    readonly user?: User;
    readonly session_id?: unknown;
    readonly guilds?: readonly { readonly id?: unknown }[];
    readonly resume_gateway_url?: unknown;
  };
  if (!isSnowflake(user?.id) || typeof session_id !== "string") return undefined;
  const resumeUrl = typeof resume_gateway_url === "string" ? resume_gateway_url : "";
  return {
    bot: { id: user.id, name: user.username ?? user.id },
    session: { id: session_id, resumeUrl },
    guilds: (guilds ?? []).map((guild) => guild.id).filter(isSnowflake),
  };
}
