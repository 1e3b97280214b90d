import { GatewayRefusal } from "./client.ts";
import type { CommandContext } from "./define.ts";
import { CommandFailure } from "./failure.ts";
import type { Cli } from "./mod.ts";
import type { OptionSpec } from "./options.ts";
import { facts } from "./table.ts";

interface Sent {
  readonly messageId: string;
  readonly channel: string;
  readonly accountId: string;
  readonly deliveryId: string;
  readonly parts: number;
}

/** As documented: what an agent runs writes to nobody on its own. */
export function refuseAgents(cli: Cli): void {
  if (cli.env.OPENCLAW_SHELL === "exec")
    throw new CommandFailure(1, "an agent's command may not send messages; nothing was sent");
}

/** Has the gateway send what these parameters say, and tells what became of it. Gives the exit code. */
export async function deliver<S extends OptionSpec>(
  context: CommandContext<S>,
  method: "send" | "poll",
  params: Readonly<Record<string, unknown>>,
): Promise<number> {
  try {
    const sent = await context.ask<Sent>("operator.write", method, params);
    context.print({ ok: true, ...sent }, () =>
      facts([
        ["sent", `${sent.channel}:${sent.accountId}, message ${sent.messageId}${partsOf(sent)}`],
        ["its story", `openclaw why ${sent.deliveryId}`],
      ]),
    );
    return 0;
  } catch (error) {
    if (!(error instanceof GatewayRefusal)) throw error;
    if ((context.options as { json?: true }).json) context.print({ ok: false, error: error.wire }, () => "");
    throw new CommandFailure(1, `${error.message}${nextStep(error.wire.details)}`);
  }
}

function partsOf({ parts }: Sent): string {
  return parts === 1 ? "" : ` and ${parts - 1} more, as the text was too long for one`;
}

function nextStep(details: Readonly<Record<string, unknown>> | undefined): string {
  if (typeof details?.deliveryId !== "string") return "";
  const look = `\nIts story: openclaw why ${details.deliveryId}`;
  return details.code === "OUTBOUND_DELIVERY_QUEUED" ? look : `${look}\nWhat to do: openclaw deliveries list`;
}
