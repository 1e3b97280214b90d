import type { SessionInfo } from "../control/protocol.ts";
import { type CommandContext, define, group } from "./define.ts";
import type { OptionSpec } from "./options.ts";
import { ago, amount, table } from "./table.ts";

const list = define({
  help: {
    usage: "sessions [list] [options]",
    about: "The conversations, latest first.",
    options: [
      ["--active <minutes>", "only those with a message in the last minutes"],
      ["--limit <count>", "at most this many (50)"],
      ["--agent <id>", "only this agent's"],
      ["--search <text>", "only those whose key or title holds the text"],
      ["--archived", "archived ones too"],
    ],
    example: "openclaw sessions --active 60",
  },
  options: { active: "integer", limit: "integer", agent: "text", search: "text", archived: "flag" },
  run: async (context) => {
    const { active, limit, agent, search, archived } = context.options;
    const answer = await context.ask<{ sessions: readonly SessionInfo[]; totalCount: number }>(
      "operator.read",
      "sessions.list",
      {
        limit: limit ?? 50,
        ...(active === undefined ? {} : { activeMinutes: active }),
        ...(agent === undefined ? {} : { agentId: agent }),
        ...(search === undefined ? {} : { search }),
        ...(archived ? { archived: "all" } : {}),
      },
    );
    context.print(answer, () => {
      const shown = answer.sessions.length;
      if (shown === 0) return "No sessions. Begin one: openclaw chat\n";
      const more = answer.totalCount > shown ? `${shown} of ${answer.totalCount}; more with --limit\n` : "";
      return sessionRows(answer.sessions, context) + more;
    });
    return 0;
  },
});

export const sessionsCommand = group(
  {
    usage: "sessions [list] [options]",
    about: "The conversations, latest first. Options: openclaw sessions list --help",
    example: "openclaw sessions --active 60",
  },
  { list },
  "list",
);

export function sessionRows(
  sessions: readonly SessionInfo[],
  context: Pick<CommandContext<OptionSpec>, "now" | "columns" | "style">,
): string {
  return table(
    ["KEY", "UPDATED", "MODEL", "TOKENS", "TITLE"],
    sessions.map((session) => [
      session.key,
      session.hasActiveRun ? "running" : ago(session.updatedAt, context.now),
      session.model ?? "",
      amount(session.totalTokens),
      session.label ?? session.derivedTitle ?? session.lastMessagePreview ?? "",
    ]),
    context.columns,
    context.style.dim,
  );
}

/** Says of the demonstration what it is, so that nobody takes its answers for a model's. */
export function modelName(provider: string, model: string): string {
  return provider === "demo"
    ? `${provider}/${model} (offline demonstration, not a real model)`
    : `${provider}/${model}`;
}
