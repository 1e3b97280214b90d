import type { SandboxSummary } from "../control/mod.ts";
import type { SessionInfo } from "../control/protocol.ts";
import { define } from "./define.ts";
import { modelName, sessionRows } from "./sessions-command.ts";
import { facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

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
    const [status, { sandboxes }] = (await Promise.all([
      client.request("status"),
      client.request("sandbox.list"),
    ])) as [Status, { sandboxes: readonly SandboxSummary[] }];
    context.print({ ...status, sandboxes }, () => {
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
          ...(sandboxes.length === 0 ? [] : [["sandboxes", sandboxText(sandboxes)] as const]),
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

/** How many of each kind were proved; and one that cannot be used, by its reason. */
function sandboxText(sandboxes: readonly SandboxSummary[]): string {
  const proofs = sandboxes.flatMap(({ proof }) => (proof ? [proof] : []));
  const kinds = Map.groupBy(
    proofs.filter((proof) => proof.ok),
    ({ kind }) => kind,
  );
  const failed = proofs.find((proof) => !proof.ok);
  return [
    ...[...kinds].map(([kind, all]) => `${all.length} proved (${kind})`),
    ...(failed ? [`cannot be used: ${visibleLine(failed.why)} See: openclaw sandbox list`] : []),
  ].join("; ");
}
