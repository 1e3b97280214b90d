import type { ControlParts } from "./parts.ts";

export type Health = Readonly<Record<string, unknown>> & { readonly ok: true };

export interface HealthReports {
  /** For who may read: channels, agents, sessions, where they are kept, and figures of our own. */
  full(): Health;
  /** The same, at most a quarter of a second old, shared by everybody who asks within it. */
  recent(): Health;
  /** The part of it that hello-ok has room for. */
  forHello(): Health;
  /** For everybody else: that the gateway answers, and nothing of what it does, for whom, or where. */
  reduced(): Health;
}

const shareForMs = 250;

export function createHealth(parts: ControlParts): HealthReports {
  function documented(): Health {
    const started = parts.clock.monotonic();
    const { defaultAgentId, agentIds } = parts.sessionSettings();
    const channels = parts.channels();
    const count = parts.sessions.count();
    return {
      ok: true,
      ts: parts.clock.now(),
      durationMs: Math.round(parts.clock.monotonic() - started),
      plugins: { loaded: [], errors: [], unavailable: [] },
      channels: Object.fromEntries(
        channels.map((channel) => [channel.id, { configured: true, ...channel.status }]),
      ),
      channelOrder: [...new Set(channels.map((channel) => channel.id))],
      channelLabels: Object.fromEntries(channels.map((channel) => [channel.id, channel.label])),
      heartbeatSeconds: 0,
      defaultAgentId,
      agents: agentIds.map((agentId) => ({
        agentId,
        isDefault: agentId === defaultAgentId,
        heartbeat: {
          enabled: false,
          every: "0m",
          everyMs: null,
          prompt: "",
          target: "none",
          ackMaxChars: 0,
        },
        sessions: { path: parts.sessionsPath(agentId), count, recent: [] },
      })),
      sessions: { path: parts.sessionsPath(defaultAgentId), count, recent: [] },
      eventLoop: eventLoop(parts),
    };
  }

  function report() {
    const hello = documented();
    return { hello, full: { ...hello, ...figures() } };
  }

  const figures = () => ({
    version: parts.version,
    uptimeMs: parts.clock.now() - parts.startedAtMs,
    activeRuns: parts.runs.activeRuns,
    pendingApprovals: parts.approvals.pending().length,
  });

  let cached: ReturnType<typeof report> | undefined;
  let cachedAt = Number.NEGATIVE_INFINITY;
  function recent() {
    const now = parts.clock.monotonic();
    if (!cached || now - cachedAt > shareForMs) {
      cached = report();
      cachedAt = now;
    }
    return cached;
  }

  return {
    full: () => report().full,
    recent: () => recent().full,
    forHello: () => recent().hello,
    // Clients read these lists without looking whether they are there: empty, not absent.
    reduced: () => ({
      ok: true,
      ts: parts.clock.now(),
      durationMs: 0,
      plugins: { loaded: [], errors: [] },
      channels: {},
      channelOrder: [],
      channelLabels: {},
      heartbeatSeconds: 0,
      agents: [],
      sessions: { path: "", count: 0, recent: [] },
    }),
  };
}

/** How fluently the event loop turns, in the wire's words. */
export function eventLoop(parts: Pick<ControlParts, "eventLoop">) {
  const figures = parts.eventLoop();
  const degraded = figures.delayMaxMs > 50;
  return {
    degraded,
    reasons: degraded ? ["event_loop_delay"] : [],
    ...figures,
    // Turns have no other thread of ours: what keeps the loop busy is what keeps a core busy.
    cpuCoreRatio: figures.utilization,
  };
}
