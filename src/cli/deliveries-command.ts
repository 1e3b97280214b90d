import type { OutboxRow } from "../delivery/mod.ts";
import { define, group } from "./define.ts";
import { UsageError } from "./failure.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

type Delivery = Omit<OutboxRow, "message"> & {
  readonly conversation: { readonly kind: string; readonly id: string };
};

const states = ["unknown", "rejected"] as const;

const list = define({
  help: {
    usage: "deliveries list [options]",
    about: `Messages that did not surely arrive, newest first. unknown: the platform never answered, so it may have been seen;
rejected: the platform refused it for good. Nothing here is sent again by itself.`,
    options: [["--state <state>", "unknown or rejected (both)"]],
    example: "openclaw deliveries list --state unknown",
  },
  options: { state: "text" },
  run: async (context) => {
    const { state } = context.options;
    const wanted = states.filter((item) => state === undefined || item === state);
    if (wanted.length === 0) throw new UsageError("--state is unknown or rejected");
    const client = await context.connect(["operator.read"]);
    const answers = await Promise.all(
      wanted.map((item) => client.request("deliveries.list", { state: item })),
    );
    // Our own gateway's answers: control/methods/operations.ts.
    const deliveries = (answers as { readonly deliveries: readonly Delivery[] }[])
      .flatMap((answer) => answer.deliveries)
      .toSorted((one, other) => other.createdAt - one.createdAt);
    context.print({ deliveries }, () =>
      deliveries.length === 0
        ? "Every message arrived.\n"
        : table(
            ["DELIVERY", "STATE", "TO", "WRITTEN", "TRIES", "DETAIL"],
            deliveries.map((row) => [
              row.id,
              row.state,
              `${row.channel}:${row.account} ${row.conversation.kind} ${row.conversation.id}`,
              ago(row.createdAt, context.now),
              String(row.attempts),
              row.detail ?? "",
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const resubmit = define({
  help: {
    usage: "deliveries resubmit <delivery> [options]",
    about:
      "Sends a rejected message again. One that may have been seen is only sent again with your word for it.",
    options: [["--even-if-seen", "send one that is unknown; it may then be there twice"]],
    example: "openclaw deliveries resubmit 1b4e28ba-2fa1-4d3b-a3ef-19b5a4b8c0de:000",
  },
  options: { "even-if-seen": "flag" },
  words: [1, 1],
  run: async (context) => {
    const [id = ""] = context.words;
    const answer = await context.ask("operator.write", "deliveries.resubmit", {
      id,
      ...(context.options["even-if-seen"] ? { mayRepeat: true } : {}),
    });
    context.print(
      answer,
      () => `It is on its way again. Its story: openclaw why ${visibleLine(messageOf(id))}\n`,
    );
    return 0;
  },
});

const dismiss = define({
  help: {
    usage: "deliveries dismiss <delivery> [options]",
    about: "Takes a message off the list; it is not sent. The record keeps it.",
    example: "openclaw deliveries dismiss 1b4e28ba-2fa1-4d3b-a3ef-19b5a4b8c0de:000",
  },
  words: [1, 1],
  run: async (context) => {
    const [id = ""] = context.words;
    const answer = await context.ask("operator.write", "deliveries.dismiss", { id });
    context.print(answer, () => "It is off the list.\n");
    return 0;
  },
});

/** A delivery is a part of a message: "<message>:000". */
function messageOf(id: string): string {
  return id.replace(/:\d+$/, "");
}

export const deliveriesCommand = group(
  {
    usage: "deliveries list|resubmit|dismiss",
    about: `Messages that did not surely arrive.

  list                   those that somebody should look at
  resubmit <delivery>    send it again
  dismiss <delivery>     take it off the list`,
    example: "openclaw deliveries list",
  },
  { list, resubmit, dismiss },
  "list",
);
