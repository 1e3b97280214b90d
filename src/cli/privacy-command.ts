import { open } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import type { ErasureReceipt, ExportPage } from "../control/mod.ts";
import { type CommandContext, define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { visibleLine } from "./visible.ts";

type Context = Pick<CommandContext<OptionSpec>, "connect">;

/** A turn may have to be stopped, and a large database be written anew. */
const patienceMs = 300_000;

const exporting = define({
  help: {
    usage: "privacy export --peer <channel:id> [--out <file>]",
    about: `Everything that the gateway keeps of one person, as JSON: messages, conversations, deliveries, approvals, files,
pairings, rows of the record. A name of session.identityLinks stands for all of that person's accounts.`,
    options: [
      ["--peer <channel:id>", "whose"],
      ["--out <file>", "write it there (a new file, for your user only) instead of printing it"],
    ],
    example: "openclaw privacy export --peer telegram:42 --out person.json",
  },
  options: { peer: "text", out: "text" },
  run: async (context) => {
    const peer = peerOf(context.options.peer);
    const { accounts, items } = await exported(context, peer);
    const { out } = context.options;
    const text = `${JSON.stringify({ accounts, items }, null, 2)}\n`;
    if (out === undefined) {
      context.cli.stdout(text);
      return 0;
    }
    await writeNew(out, text);
    context.print({ accounts, items: items.length, file: out }, () => `${items.length} item(s) in ${out}\n`);
    return 0;
  },
});

async function exported(context: Context, peer: string): Promise<Pick<ExportPage, "accounts" | "items">> {
  const items: ExportPage["items"][number][] = [];
  for (let cursor: number | undefined = 0; ; ) {
    const page: ExportPage = await ask(context, "privacy.export", { peer, cursor });
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === undefined) return { accounts: page.accounts, items };
  }
}

/** The answers are our own gateway's: their shapes are in control/methods. */
async function ask<T>(context: Context, name: string, params: object): Promise<T> {
  const client = await context.connect(["operator.admin"]);
  return (await client.request(name, params, { timeoutMs: patienceMs })) as T;
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, "wx", 0o600);
    await handle.writeFile(text).finally(() => handle.close());
  } catch (error) {
    throw new CommandFailure(1, `${file} could not be written: ${(error as Error).message}`);
  }
}

const erase = define({
  help: {
    usage: "privacy erase --peer <channel:id> [options]",
    about: `Takes everything that the gateway keeps of one person off this machine, for good; there is no way back.
Shows what will go and asks first. What stays, and why, is in the receipt. Exit code 1 when nothing is known of the person.`,
    options: [
      ["--peer <channel:id>", "whose"],
      ["--dry-run", "only show what would go"],
      ["--files", "also delete files that agents wrote for this person alone"],
      ["--yes", "do not ask"],
    ],
    example: "openclaw privacy erase --peer telegram:42",
  },
  options: { peer: "text", "dry-run": "flag", files: "flag", yes: "flag" },
  run: async (context) => {
    const peer = peerOf(context.options.peer);
    const { cli, options } = context;
    const files = options.files === true;
    const order = (dryRun: boolean) => ask<ErasureReceipt>(context, "privacy.erase", { peer, dryRun, files });
    if (options["dry-run"] || !options.yes) {
      const plan = await order(true);
      if (!plan.found || options["dry-run"]) {
        context.print(plan, () => receiptText(plan));
        return plan.found ? 0 : 1;
      }
      if (!cli.input.isTTY)
        throw new UsageError("this cannot be undone, and there is nobody to ask; say --yes if you mean it");
      cli.stderr(receiptText(plan));
      const reader = createInterface({ input: cli.input, output: cli.output });
      const said = await reader.question(`Erase all of this? Type ${peer} to go on: `);
      reader.close();
      if (said.trim() !== peer) throw new CommandFailure(1, "nothing was erased");
    }
    const receipt = await order(false);
    context.print(receipt, () => receiptText(receipt));
    return receipt.found ? 0 : 1;
  },
});

/** Pure. */
export function receiptText(receipt: ErasureReceipt): string {
  const who = receipt.accounts.map(visibleLine).join(", ");
  if (!receipt.found) return `Nothing is known of ${who}; nothing was changed.\n`;
  const { removed } = receipt;
  const lines = [
    `${removed.messages} message(s), ${removed.conversations} whole conversation(s), parts of ${removed.conversationsWithOthers} more`,
    `${removed.deliveries} deliver(ies), ${removed.approvals} approval(s), ${removed.pairings} pairing(s), ${removed.attachments} attachment(s), ${removed.channelState} file(s) of channels, ${removed.fileLabels} file label(s)`,
    `${removed.recordRows} row(s) of the record emptied`,
  ];
  return [
    `${receipt.dryRun ? "Would be erased" : "Erased"} of ${who}, ${new Date(receipt.at).toISOString()}:`,
    ...lines.map((line) => `  ${line}`),
    ...receipt.files.map((file) => `  the file ${visibleLine(file)}`),
    "What stays:",
    ...receipt.left.map(({ what, why }) => `  ${visibleLine(what)}: ${visibleLine(why)}`),
    ...(receipt.seq === undefined
      ? []
      : [`Row ${receipt.seq} of the record says so, without a name.`, proofText(receipt)]),
    "",
  ].join("\n");
}

function proofText({ proof }: ErasureReceipt): string {
  return `Its digest ${proof?.digest} is SHA-256 over the salt ${proof?.salt} and the accounts: keep this to prove it.`;
}

function peerOf(peer: string | undefined): string {
  if (peer === undefined) throw new UsageError("--peer is missing: say whose data, as in --peer telegram:42");
  return peer;
}

export const privacyCommand = group(
  {
    usage: "privacy export|erase",
    about: `One person's data.

  export --peer <channel:id>   all of it, as JSON
  erase --peer <channel:id>    off this machine, for good, with a receipt`,
    example: "openclaw privacy erase --peer telegram:42 --dry-run",
  },
  { export: exporting, erase },
);
