import type { LedgerRow, Verification } from "../audit/mod.ts";
import { define, group } from "./define.ts";
import { UsageError } from "./failure.ts";
import { clockTime, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const kinds = ["verdict", "effect.start", "effect.end", "admin"];

const list = define({
  help: {
    usage: "audit list [options]",
    about: "What was decided and done, latest last. It holds no message texts, file contents or secrets.",
    options: [
      ["--limit <count>", "the last so many (50, at most 500)"],
      ["--stage <stage>", "auth, access, session, agent, policy, sandbox, delivery or operator"],
      ["--kind <kind>", kinds.join(", ")],
      ["--run <id>", "of one run"],
      ["--session <key>", "of one conversation"],
    ],
    example: "openclaw audit list --stage policy --limit 20",
  },
  options: { limit: "integer", stage: "text", kind: "text", run: "text", session: "text" },
  run: async (context) => {
    const { limit, stage, kind, run, session } = context.options;
    if (kind !== undefined && !kinds.includes(kind))
      throw new UsageError(`--kind is ${JSON.stringify(kind)}; there are: ${kinds.join(", ")}`);
    const answer = await context.ask<{ rows: readonly LedgerRow[] }>("operator.read", "audit.list", {
      limit: limit ?? 50,
      ...(stage === undefined ? {} : { stage }),
      ...(kind === undefined ? {} : { kind }),
      ...(run === undefined ? {} : { runId: run }),
      ...(session === undefined ? {} : { sessionKey: session }),
    });
    context.print(answer, () =>
      answer.rows.length === 0
        ? "No such rows in the record.\n"
        : table(
            ["SEQ", "TIME", "STAGE", "KIND", "ACTION", "OUTCOME", "ACTOR", "RUN"],
            answer.rows
              .toReversed()
              .map((row) => [
                String(row.seq),
                clockTime(row.at, context.now),
                row.stage,
                row.kind,
                row.erased ? `${row.action} (erased)` : row.action,
                row.outcome ?? "",
                row.actor ?? "",
                row.runId ?? "",
              ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const verify = define({
  help: {
    usage: "audit verify [options]",
    about: `Recomputes the hash chain of the record: a row that was changed, removed or put in is found at its place.
A cut tail shows only against a head that was kept elsewhere. Exit code 1 when the record is broken.`,
    options: [["--expect <hash>", "a head that was kept: it must still be in the record"]],
    example: "openclaw audit verify",
  },
  options: { expect: "text" },
  run: async (context) => {
    const { expect } = context.options;
    const result = await context.ask<Verification>("operator.read", "audit.verify", {
      ...(expect === undefined ? {} : { expectedHead: expect }),
    });
    const { green, red } = context.style;
    context.print(result, () =>
      result.intact
        ? `${green("intact")}: ${result.rows} rows${result.erased === 0 ? "" : ` (${result.erased} emptied by privacy erase or session.retention, each by a row that says so)`}, head ${result.head}\n`
        : `${red("broken")} at row ${result.brokenAtSeq}: ${visibleLine(result.why)}. The ${result.rows} rows before it are intact.\n`,
    );
    return result.intact ? 0 : 1;
  },
});

export const auditCommand = group(
  {
    usage: "audit list|verify",
    about: `The record of decisions and effects.

  list     the latest rows; --stage, --kind, --run, --session
  verify   proves that nothing in it was changed`,
    example: "openclaw audit verify",
  },
  { list, verify },
);
