import { type Schema, type Static, schema as s } from "../../kernel/mod.ts";
import { agents, bindings } from "./agents.ts";
import { cron, hooks } from "./automation.ts";
import { channels } from "./channels.ts";
import { mcp, memory, plugins, skills } from "./extensions.ts";
import { discovery, gateway } from "./gateway.ts";
import { diagnostics, logging } from "./logging.ts";
import { broadcast, commands, messages } from "./messages.ts";
import { auth, models } from "./models.ts";
import { count, port, section, unread } from "./section.ts";
import { accessGroups, proxy, secrets, security } from "./security.ts";
import { session } from "./session.ts";
import { approvals, browser, tools } from "./tools.ts";

/** Variables for runs, used only where the process has none of that name. */
const env = {
  type: "object",
  properties: {
    vars: s.record(s.string()),
    shellEnv: section({ enabled: s.boolean(), timeoutMs: count }),
  },
  additionalProperties: s.string(),
  propertyNames: s.string({ pattern: "^[A-Z_][A-Z0-9_]*$" }),
} as Schema<{
  readonly vars?: { readonly [name: string]: string };
  readonly shellEnv?: { readonly enabled?: boolean; readonly timeoutMs?: number };
}>;

/** openclaw.json, whole. A key that it does not name is an error wherever the published format closes the object. */
export const configSchema = section(
  {
    $schema: s.string(),
    meta: unread("Written by the program: who touched the file last."),
    wizard: unread("Written by the program: what the set-up asked."),
    env,
    gateway,
    discovery,
    channels,
    accessGroups,
    commands,
    messages,
    broadcast,
    bindings,
    session,
    agents,
    models,
    auth,
    tools,
    approvals,
    browser,
    skills,
    plugins,
    mcp,
    memory,
    hooks,
    cron,
    secrets,
    security,
    proxy,
    logging,
    diagnostics,
    canvasHost: section({
      enabled: s.boolean(),
      root: s.string(),
      port,
      liveReload: s.boolean(),
    }),
    attachments: section({ ttlHours: s.number({ minimum: 0 }) }),
    ui: unread("Look of the web pages."),
    talk: unread("Speech."),
    audio: unread("Transcription."),
    media: unread("Media store."),
    web: unread("Web channel."),
    update: unread("Update channel and checks."),
    telemetry: unread("Usage statistics."),
    acp: unread("Agent Client Protocol."),
    nodeHost: unread("Settings of this host as a node."),
    worktrees: unread("Work trees of agents."),
    fleet: unread("Cells of a fleet."),
  },
  { description: "Configuration of the gateway (openclaw.json)." },
);

export type OpenClawConfig = Static<typeof configSchema>;
