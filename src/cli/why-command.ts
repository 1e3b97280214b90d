import type { LedgerRow } from "../audit/mod.ts";
import type { InboxRow, OutboxRow } from "../delivery/mod.ts";
import type { Json } from "../kernel/mod.ts";
import { define } from "./define.ts";
import { reasonSentence } from "./reason.ts";
import type { Style } from "./style.ts";
import { facts } from "./table.ts";
import { visibleLine } from "./visible.ts";

export interface Why {
  readonly message: Omit<InboxRow, "text" | "digest">;
  /** Oldest first. */
  readonly steps: readonly LedgerRow[];
  readonly deliveries: readonly Omit<OutboxRow, "message">[];
}

export const whyCommand = define({
  help: {
    usage: "why <message id | run id | channel:account:event>",
    about: "What happened to one message: each stage it came to, what was decided, and why.",
    example: "openclaw why telegram:default:871204",
  },
  words: [1, 1],
  run: async (context) => {
    const [id = ""] = context.words;
    const why = await context.ask<Why>("operator.read", "message.why", { id });
    context.print(why, () => whyText(why, context.style));
    return 0;
  },
});

/** The message's way, one line for each step, with its time since the arrival. Pure. */
export function whyText(why: Why, style: Style): string {
  const { message, steps, deliveries } = why;
  const head: (readonly [string, string])[] = [
    ["message", message.messageId],
    ["from", `${message.source.author} (proved by ${message.source.proof}, trust: ${message.source.trust})`],
    ["came by", cameBy(message)],
    ["received", new Date(message.receivedAt).toISOString()],
    ...(message.sessionKey === ""
      ? []
      : [["conversation", message.sessionKey] as const, ["run", message.runId] as const]),
    ["state", message.detail === undefined ? message.state : `${message.state}: ${message.detail}`],
  ];
  const sentence = reasonSentence(message.detail);
  const lines = steps.flatMap((step) => stepLines(step, message.receivedAt, style));
  const sent = deliveries.flatMap((delivery) => {
    const paint =
      delivery.state === "sent" ? style.green : delivery.state === "rejected" ? style.red : style.yellow;
    const where =
      delivery.platformId === undefined ? "" : `, platform id ${visibleLine(delivery.platformId)}`;
    const detail = delivery.detail === undefined ? "" : `: ${visibleLine(delivery.detail)}`;
    const line = `${offset(delivery.updatedAt, message.receivedAt)}  ${"delivery".padEnd(9)} ${paint(delivery.state)} to ${visibleLine(`${delivery.channel}:${delivery.account}`)} ${tries(delivery.attempts)}${where}${detail}`;
    return [line, ...nextStep(delivery)];
  });
  return [
    facts(head).trimEnd(),
    ...(sentence === "" ? [] : [`        ${sentence}`]),
    "",
    ...(lines.length === 0 ? ["No step of it is in the record."] : lines),
    ...sent,
    "",
  ].join("\n");
}

function cameBy({ channel, account, eventId }: Why["message"]): string {
  if (channel !== "control") return `${channel}:${account}, event ${eventId}`;
  return account === "send"
    ? "an operator's own message (openclaw message send)"
    : "a control client (page, terminal or API)";
}

/** What a person can do about a message that did not surely arrive. */
function nextStep({ state, id }: Why["deliveries"][number]): string[] {
  const again = {
    rejected: `openclaw deliveries resubmit ${id}`,
    unknown: `openclaw deliveries resubmit ${id} --even-if-seen (look at the chat first: it may be there)`,
  }[state as string];
  return again === undefined
    ? []
    : [`${hanging}It is not sent again by itself. Send it: ${visibleLine(again)}`];
}

function stepLines(step: LedgerRow, fromMs: number, style: Style): string[] {
  const isNo = step.action === "refuse" || /denied|refuse|error|fail|rejected/.test(step.outcome ?? "");
  const isYes = /^(?:admit|permit|route|sent|ok|done)$/.test(step.action) || step.outcome === "ok";
  const paint = isNo ? style.red : isYes ? style.green : (text: string) => text;
  const arrow = { "effect.start": "begins ", "effect.end": "ended " }[step.kind as string] ?? "";
  const outcome = step.outcome === undefined ? "" : `  ${paint(visibleLine(step.outcome))}`;
  const sentence = reasonSentence(step.outcome);
  return [
    `${style.dim(offset(step.at, fromMs))}  ${step.stage.padEnd(9)} ${arrow}${paint(visibleLine(step.action))}${outcome}${factsOf(step, style)}`,
    ...(sentence === "" ? [] : [`${hanging}${sentence}`]),
  ];
}

function factsOf(step: LedgerRow, style: Style): string {
  const { facts: known } = step;
  if (typeof known !== "object" || known === null || Array.isArray(known)) return "";
  const text = Object.entries(known)
    // Which row of the outbox it was is said at the end, with the platform's id.
    .filter(([name, value]) => value !== "" && value !== null && name !== "outbox")
    .map(([name, value]) => (name === "effects" ? effectsText(value) : `${name}=${plain(value)}`))
    .join(" ");
  return text === "" ? "" : `  ${style.dim(visibleLine(text))}`;
}

/** What a tool call was allowed to do: "command `date` in .", "file.write notes.md". */
function effectsText(value: Json | undefined): string {
  if (!Array.isArray(value)) return plain(value);
  return value
    .map((effect) => {
      const { kind, command, workdir, cwd, path, url, ...more } = effect as Readonly<Record<string, Json>>;
      const place = workdir ?? cwd;
      const what = command === undefined ? (path ?? url ?? plain(more)) : `\`${command}\``;
      return `${kind} ${what}${place === undefined ? "" : ` in ${place}`}`;
    })
    .join("; ");
}

function plain(value: Json | undefined): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function tries(attempts: number): string {
  return attempts === 1 ? "at the first try" : `after ${attempts} tries`;
}

/** Under the text of a step: behind its time and its stage. */
const hanging = " ".repeat(22);

/** "+    12 ms", "+  3.4 s": always ten characters. */
function offset(atMs: number, fromMs: number): string {
  const ms = Math.max(0, atMs - fromMs);
  if (ms < 10_000) return `+${String(ms).padStart(6)} ms`;
  return `+${(ms / 1000).toFixed(1).padStart(7)} s`;
}
