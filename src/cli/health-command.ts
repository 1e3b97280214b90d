import { type CommandContext, define } from "./define.ts";
import type { OptionSpec } from "./options.ts";
import { duration, facts } from "./table.ts";

interface Health {
  readonly ok: boolean;
  readonly version: string;
  readonly uptimeMs: number;
  readonly channels: Readonly<Record<string, { readonly state?: string; readonly detail?: string }>>;
  readonly channelOrder: readonly string[];
  readonly sessions: { readonly count: number };
  readonly activeRuns: number;
  readonly pendingApprovals: number;
  readonly eventLoop: { readonly degraded: boolean; readonly delayMaxMs: number };
}

export const healthCommand = define({
  help: {
    usage: "health [options]",
    about:
      "Whether the gateway is well. Exit code 0 when it is, 1 when a channel failed, 3 when none answers.",
    example: "openclaw health --json",
  },
  run: health,
});

export async function health(context: CommandContext<OptionSpec>): Promise<number> {
  const answer = await context.ask<Health>("operator.read", "health", { probe: true });
  const failed = answer.channelOrder.filter((id) => answer.channels[id]?.state === "failed");
  const { bold, green, red } = context.style;
  context.print(answer, () => {
    const rows: (readonly [string, string])[] = [
      ["version", answer.version],
      ["up for", duration(answer.uptimeMs)],
      ["sessions", `${answer.sessions.count}, ${answer.activeRuns} running now`],
      ["approvals", answer.pendingApprovals === 0 ? "none waits" : `${answer.pendingApprovals} wait`],
      ...answer.channelOrder.map((id): [string, string] => {
        const { state = "unknown", detail } = answer.channels[id] ?? {};
        return [id, detail === undefined ? state : `${state}: ${detail}`];
      }),
      [
        "event loop",
        `${answer.eventLoop.degraded ? "slow" : "fluent"}, longest stall ${answer.eventLoop.delayMaxMs} ms`,
      ],
    ];
    const title = failed.length === 0 ? green("The gateway is well.") : red(`Failed: ${failed.join(", ")}.`);
    return `${bold(title)}\n${facts(rows)}`;
  });
  return failed.length === 0 ? 0 : 1;
}
