import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";

interface Event {
  readonly s: number;
  readonly t: string;
  readonly d: unknown;
}

/** One session: what was sent in it, and how far the bot says it has come. */
interface Session {
  readonly id: string;
  readonly events: Event[];
  socket: WebSocket | undefined;
  told: number;
  isOver: boolean;
}

export interface GatewayWorld {
  readonly token: () => string | undefined;
  readonly url: () => string;
  readonly bot: { readonly id: string; readonly username: string };
  /** Described to each new session. */
  readonly guilds: () => readonly { readonly id: string }[];
  readonly changed: () => void;
}

/** Discord's gateway: sessions that can be resumed, as the documentation describes them. */
export class FakeGateway {
  heartbeatMs = 41_250;
  /** False: heartbeats get no answer, as on a connection that only looks alive. */
  answersHeartbeats = true;
  /** Sent in place of what the next Identify or Resume asks for. */
  nextClose: number | undefined;
  readonly identifies: Readonly<Record<string, unknown>>[] = [];
  readonly resumes: Readonly<Record<string, unknown>>[] = [];
  readonly closes: number[] = [];
  readonly #world: GatewayWorld;
  readonly #server = new WebSocketServer({ noServer: true });
  readonly #sessions: Session[] = [];

  constructor(world: GatewayWorld) {
    this.#world = world;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (client) => this.#serve(client));
  }

  /** An event in every session that lives; those that are connected get it at once. */
  emit(t: string, d: unknown): void {
    for (const session of this.#sessions) if (!session.isOver) this.#send(session, t, d);
  }

  /** The bot said that all up to the newest event with this is dealt with. `holds` looks at an event's data. */
  isTold(holds: (data: unknown) => boolean): boolean {
    return this.#sessions.some(({ events, told }) => {
      const event = events.findLast((item) => holds(item.d));
      return event !== undefined && event.s <= told;
    });
  }

  /** Asks every connection for a heartbeat, which says how far the bot has come. */
  ask(): void {
    for (const { socket } of this.#sessions) socket?.send(JSON.stringify({ op: 1 }));
  }

  askToReconnect(): void {
    for (const { socket } of this.#sessions) socket?.send(JSON.stringify({ op: 7 }));
  }

  /** As after an outage: no session can be resumed. */
  forgetSessions(): void {
    for (const session of this.#sessions) session.isOver = true;
  }

  get connected(): number {
    return this.#sessions.filter((session) => session.socket !== undefined).length;
  }

  #serve(client: WebSocket): void {
    let session: Session | undefined;
    client.send(JSON.stringify({ op: 10, d: { heartbeat_interval: this.heartbeatMs } }));
    client.on("message", (data) => {
      const { op, d } = JSON.parse(String(data)) as { op: number; d: never };
      if (op === 1) {
        if (session && typeof d === "number") session.told = Math.max(session.told, d);
        if (this.answersHeartbeats) client.send(JSON.stringify({ op: 11 }));
      }
      if (op === 2 || op === 6) session = this.#open(client, op, d);
      this.#world.changed();
    });
    client.on("close", (code) => {
      this.closes.push(code);
      if (session?.socket === client) {
        session.socket = undefined;
        if (code === 1000 || code === 1001) session.isOver = true;
      }
      this.#world.changed();
    });
    client.on("error", () => {});
  }

  #open(client: WebSocket, op: number, d: Readonly<Record<string, unknown>>): Session | undefined {
    (op === 2 ? this.identifies : this.resumes).push(d);
    const code = this.nextClose ?? (d.token === this.#world.token() ? undefined : 4004);
    this.nextClose = undefined;
    if (code !== undefined) {
      client.close(code);
      return undefined;
    }
    if (op === 2) return this.#identify(client);
    const session = this.#sessions.find((item) => item.id === d.session_id && !item.isOver);
    if (!session) {
      client.send(JSON.stringify({ op: 9, d: false }));
      return undefined;
    }
    session.socket = client;
    session.told = Math.max(session.told, d.seq as number);
    for (const event of session.events) {
      if (event.s > (d.seq as number)) client.send(JSON.stringify({ op: 0, ...event }));
    }
    this.#send(session, "RESUMED", {});
    return session;
  }

  #identify(client: WebSocket): Session {
    const id = `session-${this.#sessions.length + 1}`;
    const session: Session = { id, events: [], socket: client, told: 0, isOver: false };
    this.#sessions.push(session);
    const guilds = this.#world.guilds();
    this.#send(session, "READY", {
      v: 10,
      user: { ...this.#world.bot, bot: true },
      session_id: id,
      resume_gateway_url: this.#world.url(),
      guilds: guilds.map((guild) => ({ id: guild.id, unavailable: true })),
    });
    for (const guild of guilds) this.#send(session, "GUILD_CREATE", guild);
    return session;
  }

  #send(session: Session, t: string, d: unknown): void {
    const event = { s: session.events.length + 1, t, d };
    session.events.push(event);
    session.socket?.send(JSON.stringify({ op: 0, ...event }));
  }
}
