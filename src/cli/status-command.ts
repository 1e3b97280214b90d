import type { SessionInfo } from "../control/protocol.ts";
import { define } from "./define.ts";
import { modelName, sessionRows } from "./sessions-command.ts";
import { facts } from "./table.ts";

interface Status {
  readonly runtimeVersion: string;
  readonly channelSummary: readonly string[];
  readonly heartbeat: { readonly defaultAgentId: string };
  readonly sessions: {
    readonly count: number;
    readonly defaults: { readonly model: string; readonly modelProvider: string };
    readonly recent: readonly SessionInfo[];
  };
  readonly deliveries: { readonly unknown: number; readonly rejected: number };
}

export const statusCommand = define({
  help: {
    usage: "status [options]",
    about: "What the gateway is doing: model, channels, the latest sessions, deliveries in doubt.",
    example: "openclaw status",
  },
  run: async (context) => {
    const client = await context.connect(["operator.read"]);
    const status = (await client.request("status")) as Status;
    context.print(status, () => {
      const { unknown, rejected } = status.deliveries;
      const { modelProvider, model } = status.sessions.defaults;
      const parts = [
        facts([
          ["gateway", `openclaw ${status.runtimeVersion}`],
          ["model", modelName(modelProvider, model)],
          ["agent", status.heartbeat.defaultAgentId],
          [
            "channels",
            status.channelSummary.length === 0 ? "none is configured" : status.channelSummary.join(", "),
          ],
          ["sessions", String(status.sessions.count)],
        ]),
      ];
      if (unknown + rejected > 0)
        parts.push(
          context.style.yellow(
            `${unknown} deliveries are in doubt and ${rejected} were rejected by their platform: openclaw deliveries list\n`,
          ),
        );
      if (status.sessions.recent.length > 0) parts.push(`\n${sessionRows(status.sessions.recent, context)}`);
      return parts.join("");
    });
    return 0;
  },
});
