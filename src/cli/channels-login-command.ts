import { sleep } from "../kernel/mod.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { qrText } from "./qr-symbol.ts";
import { visibleLine } from "./visible.ts";

interface Account {
  readonly accountId: string;
  readonly state: string;
  readonly detail?: string;
  readonly identity?: string;
  readonly linkCode?: string;
}

const lookEveryMs = 1000;
/** Until a channel that needs no linking has had time to say so. */
const settleMs = 15_000;

export const channelsLogin = define({
  help: {
    usage: "channels login <channel> [options]",
    about: `Links an account to a platform's app: shows what to scan, as often as the platform renews it, and waits until the
account is connected. Whoever scans it decides whose account the gateway speaks for: show it to nobody else.`,
    options: [
      ["--account <id>", "the channel's account (default)"],
      ["--timeout <seconds>", "give up after this long (180)"],
    ],
    example: "openclaw channels login whatsapp",
  },
  options: { channel: "text", account: "text" },
  words: [0, 1],
  ownTimeout: true,
  run: async (context) => {
    const { cli, options, words } = context;
    const channel = options.channel ?? words[0];
    if (channel === undefined) throw new UsageError("which channel? openclaw channels login <channel>");
    const accountId = options.account ?? "default";
    const client = await context.connect(["operator.admin"]);
    await client.request("channels.start", { channel, accountId });
    const from = cli.clock.monotonic();
    let shown: string | undefined;
    for (;;) {
      const answer = (await client.request("channels.status", { channel })) as {
        readonly channelAccounts: Readonly<Record<string, readonly Account[]>>;
      };
      const account = answer.channelAccounts[channel]?.find((item) => item.accountId === accountId);
      const passedMs = cli.clock.monotonic() - from;
      if (account?.state === "connected") {
        const who = account.identity === undefined ? "" : ` as ${visibleLine(account.identity)}`;
        context.print(
          { ok: true, channel, accountId, identity: account.identity ?? null },
          () => `${visibleLine(channel)}:${visibleLine(accountId)} is connected${who}.\n`,
        );
        return 0;
      }
      const code = account?.linkCode;
      if (code !== undefined && code !== shown) {
        // For a person only: the answer of --json is the last line, and holds no secret.
        cli.stderr(`Scan this with the app:\n${qrText(code, cli.isTTY)}`);
        shown = code;
      }
      const isOver = passedMs > (shown === undefined ? settleMs : (options.timeout ?? 180) * 1000);
      if (account?.state === "failed" || isOver) {
        const why =
          account?.detail ??
          (shown === undefined ? "it asks for nothing to be scanned" : "nobody scanned it");
        throw new CommandFailure(1, `${channel}:${accountId} is not connected: ${visibleLine(why)}`);
      }
      await sleep(cli.clock, lookEveryMs);
    }
  },
});
