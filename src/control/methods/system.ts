import { schema } from "../../kernel/mod.ts";
import { eventLoop, type HealthReports } from "../health.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";
import { sessionInfo } from "../session-info.ts";
import type { Snapshots } from "../snapshot.ts";

const { boolean, integer, object, open, optional, string } = schema;

/** health, status, models.list, agents.list, channels.status, logs.tail and what every client asks at its start. */
export function systemMethods(parts: ControlParts, health: HealthReports, snapshots: Snapshots): Method[] {
  const agentIds = () => parts.sessionSettings().agentIds;

  return [
    method({
      name: "health",
      role: "both",
      scope: undefined,
      params: open(object({ probe: optional(boolean()) })),
      run: (params, call) => {
        if (!parts.hub.mayRead(call.principal)) return health.reduced();
        if (!params.probe) return health.recent();
        // What was looked at afresh is news for everybody.
        snapshots.healthChanged();
        return health.full();
      },
    }),
    method({ name: "status", scope: "operator.read", params: open(object({})), run: () => status(parts) }),
    method({
      name: "system-presence",
      scope: "operator.read",
      params: open(object({})),
      run: () => snapshots.presence(),
    }),
    method({
      name: "system.info",
      scope: "operator.read",
      params: open(object({})),
      run: () => ({ ...parts.machine(), uptimeMs: parts.clock.now() - parts.startedAtMs }),
    }),
    method({ name: "last-heartbeat", scope: "operator.read", params: open(object({})), run: () => null }),
    method({
      name: "models.list",
      scope: "operator.read",
      params: open(object({ provider: optional(string()) })),
      run: (params) => ({
        models: parts
          .models()
          .filter((row) => params.provider === undefined || row.provider === params.provider),
      }),
    }),
    method({
      name: "agents.list",
      scope: "operator.read",
      params: open(object({})),
      run: () => ({
        defaultId: parts.sessionSettings().defaultAgentId,
        mainKey: "main",
        scope: "per-sender",
        agents: agentIds().map((id) => {
          const settings = parts.agentSettings(id);
          return {
            id,
            name: settings.name,
            ...(settings.model === undefined ? {} : { model: { primary: settings.model } }),
          };
        }),
      }),
    }),
    method({
      name: "channels.status",
      scope: "operator.read",
      params: open(object({ channel: optional(string()), probe: optional(boolean()) })),
      run: (params, call) =>
        channelStatus(parts, params.channel, call.principal.scopes.includes("operator.admin")),
    }),
    method({
      name: "logs.tail",
      scope: "operator.read",
      params: open(
        object({
          cursor: optional(integer({ minimum: 0 })),
          limit: optional(integer({ minimum: 1, maximum: 5000 })),
          maxBytes: optional(integer({ minimum: 1, maximum: 1_000_000 })),
        }),
      ),
      run: (params) => parts.logs.tail(params.cursor, params.limit ?? 500, params.maxBytes ?? 500_000),
    }),
    method({
      name: "usage.cost",
      scope: "operator.read",
      params: open(object({ days: optional(integer({ minimum: 1, maximum: 3650 })) })),
      run: (params) => usageCost(parts, params.days ?? 30),
    }),
    method({
      name: "dashboard.ticket",
      scope: "operator.admin",
      params: open(object({})),
      admin: () => ({ action: "dashboard.ticket" }),
      run: () => ({ url: parts.newTicketUrl() }),
    }),
  ];
}

function status(parts: ControlParts) {
  const { defaultAgentId, agentIds } = parts.sessionSettings();
  const choice = parts.modelChoice(defaultAgentId, undefined);
  const { rows } = parts.sessions.list({ limit: 10, offset: 0 });
  const now = parts.clock.now();
  return {
    runtimeVersion: parts.version,
    heartbeat: {
      defaultAgentId,
      agents: agentIds.map((agentId) => ({ agentId, enabled: false, every: "0m", everyMs: null })),
    },
    channelSummary: parts.channels().map((channel) => `${channel.label}: ${channel.status.state}`),
    queuedSystemEvents: [],
    sessions: {
      paths: agentIds.map((agentId) => parts.sessionsPath(agentId)),
      count: parts.sessions.count(),
      defaults: { model: choice.model, modelProvider: choice.provider, contextTokens: choice.contextTokens },
      recent: rows.map((row) => ({ ...sessionInfo(parts, row), age: now - row.updatedAt })),
      byAgent: [],
    },
    tasks: { total: 0, active: 0, terminal: 0, failures: 0, byStatus: {}, byRuntime: {} },
    taskAudit: { total: 0, warnings: 0, errors: 0, byCode: {} },
    deliveries: {
      unknown: parts.outbox.inDoubt("unknown", 100).length,
      rejected: parts.outbox.inDoubt("rejected", 100).length,
    },
    eventLoop: eventLoop(parts),
  };
}

/** `isAdmin`: shown what links a device, too. Whoever scans it decides whose account the gateway speaks for. */
function channelStatus(parts: ControlParts, only: string | undefined, isAdmin: boolean) {
  const rows = parts.channels().filter((row) => only === undefined || row.id === only);
  const ids = [...new Set(rows.map((row) => row.id))];
  return {
    ts: parts.clock.now(),
    channelOrder: ids,
    channelLabels: Object.fromEntries(rows.map((row) => [row.id, row.label])),
    channels: Object.fromEntries(
      ids.map((id) => [
        id,
        { configured: true, running: rows.some((row) => row.id === id && row.status.state === "connected") },
      ]),
    ),
    channelAccounts: Object.fromEntries(
      ids.map((id) => [
        id,
        rows
          .filter((row) => row.id === id)
          .map((row) => ({
            accountId: row.account,
            enabled: true,
            configured: true,
            running: row.status.state === "connected",
            ...row.status,
            ...(isAdmin && row.linkCode !== undefined ? { linkCode: row.linkCode } : {}),
          })),
      ]),
    ),
    channelDefaultAccountId: Object.fromEntries(rows.map((row) => [row.id, row.account])),
  };
}

function usageCost(parts: ControlParts, days: number) {
  const fromDay = new Date(parts.clock.now() - (days - 1) * 86_400_000).toISOString().slice(0, 10);
  const daily = parts.usageByDay(fromDay).map((day) => ({
    date: day.day,
    turns: day.turns,
    input: day.input,
    output: day.output,
    cacheRead: day.cacheRead,
    cacheWrite: day.cacheWrite,
    totalTokens: day.input + day.output + day.cacheRead + day.cacheWrite,
    totalCost: day.costUsd,
    missingCostEntries: 0,
  }));
  const totals = {
    turns: 0,
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheWrite: 0,
    totalTokens: 0,
    totalCost: 0,
    missingCostEntries: 0,
  };
  for (const day of daily) {
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += day[key];
  }
  return { updatedAt: parts.clock.now(), days, daily, totals };
}
