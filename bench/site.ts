// One subject with everything it needs for a while: a model that answers, a fresh place, a started process.

import net from "node:net";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Client } from "./client.ts";
import type { Running, Workshop } from "./processes.ts";
import { furnish, type Place, type Subject } from "./subject.ts";

export interface Model {
  readonly port: number;
  completions(): Promise<number>;
}

export interface Site {
  readonly subject: Subject;
  readonly place: Place;
  readonly running: Running;
  /** From spawn to the first 200 on /healthz. */
  readonly readyMs: number;
  connect(): Promise<Client>;
  close(): Promise<void>;
}

export async function startModel(workshop: Workshop): Promise<Model> {
  const folder = await workshop.folder("model");
  const file = path.join(import.meta.dirname, "model-server.ts");
  const running = workshop.start({ file: process.execPath, args: [file], env: {}, folder });
  const port = await poll(20_000, () => Number(/^(\d+)\n/.exec(running.output())?.[1] ?? 0) || undefined);
  const completions = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${port}/stats`);
    return ((await answer.json()) as { completions: number }).completions;
  };
  return { port, completions };
}

/** Furnishes a place, starts the subject there and waits until it answers. */
export async function openSite(
  workshop: Workshop,
  subject: Subject,
  modelPort: number,
  options: { plugins?: number } = {},
): Promise<Site> {
  const folder = await workshop.folder(subject.name);
  const place = await furnish(folder, modelPort, options.plugins);
  return await startAt(workshop, subject, place);
}

export async function startAt(workshop: Workshop, subject: Subject, place: Place): Promise<Site> {
  const running = workshop.start(subject.gateway(place));
  const readyAt = await untilReady(place.port, running);
  return {
    subject,
    place,
    running,
    readyMs: readyAt - running.startedAt,
    connect: () => connectSoon(place),
    close: async () => {
      await running.stop();
      await workshop.drop(place.folder);
    },
  };
}

/** Healthy is not yet willing: the peer refuses sockets for a moment after its health answers. */
async function connectSoon(place: Place): Promise<Client> {
  let last: unknown;
  for (let attempt = 0; attempt < 600; attempt += 1) {
    try {
      return await Client.open(place.port, place.token);
    } catch (error) {
      last = error;
      await wait(50);
    }
  }
  throw last;
}

async function untilReady(port: number, running: Running): Promise<number> {
  const giveUpAt = performance.now() + 60_000;
  while (performance.now() < giveUpAt) {
    if (running.exited())
      throw new Error(`it ended before it was ready: ${running.output().trim().slice(-300)}`);
    if (await isHealthy(port)) return performance.now();
    await wait(5);
  }
  throw new Error(`not ready within 60 s: ${running.output().trim().slice(-300)}`);
}

/** A raw socket: a whole HTTP client every 5 ms would take processor time from the process that starts. */
function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.setTimeout(5_000, () => socket.destroy());
    socket.once("connect", () =>
      socket.write("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"),
    );
    socket.once("data", (data) => {
      resolve(data.toString("latin1").startsWith("HTTP/1.1 200"));
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

export async function poll<T>(timeoutMs: number, look: () => T | undefined): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const seen = look();
    if (seen !== undefined) return seen;
    if (performance.now() > giveUpAt) throw new Error(`nothing within ${timeoutMs} ms`);
    await wait(5);
  }
}
