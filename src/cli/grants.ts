import { ruleId, rulesOf, type StoredRule } from "../compose/approvals-file.ts";
import { approvalsFileOf, placeText, removeRule, ruleText } from "./allowlist.ts";
import { type CommandContext, define, group } from "./define.ts";
import { CommandFailure } from "./failure.ts";
import type { OptionSpec } from "./options.ts";
import { ago, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

interface Grant {
  readonly id: string;
  readonly agent: string;
  readonly rule: StoredRule;
  /** Unix ms; absent: never, or no gateway says. */
  readonly lastUsedAt?: number;
}

const list = define({
  help: {
    usage: "approvals grants [list] [options]",
    about:
      "Everything that agents may do without asking: commands, programs, entry to sandboxes; and when each was last\nused, as far as a running gateway tells. Without one the file is read.",
    example: "openclaw approvals grants",
  },
  run: async (context) => {
    const grants = await standing(context);
    context.print({ grants }, () =>
      grants.length === 0
        ? "Nothing is granted: each command that is not safe by itself asks.\n"
        : table(
            ["ID", "AGENT", "MAY", "IN", "ADDED", "LAST USED"],
            grants.map(({ id, agent, rule, lastUsedAt }) => [
              id,
              agent,
              ruleText(rule),
              placeText(rule),
              ago(Date.parse(rule.addedAt), context.now),
              lastUsedAt === undefined ? "-" : ago(lastUsedAt, context.now),
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const revoke = define({
  help: {
    usage: "approvals grants revoke <id>",
    about: "Takes one of them back, for every agent that has it. A running gateway follows at once.",
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw approvals grants revoke 3f9a0c4be1d27a55",
  },
  offline: true,
  words: [1, 1],
  run: async (context) => {
    const [id = ""] = context.words;
    const removed = await removeRule(approvalsFileOf(context.cli), (document) => {
      for (const agent of Object.keys(document.agents)) {
        const rule = rulesOf(document, agent).find((item) => ruleId(item) === id);
        if (rule) return { agent, rule };
      }
      throw new CommandFailure(1, `there is no grant ${JSON.stringify(id)}; see: openclaw approvals grants`);
    });
    context.print({ id, removed }, () => `${visibleLine(ruleText(removed))}: asks again.\n`);
    return 0;
  },
});

/** The rules are the file's; a gateway that answers says when each was last used. */
async function standing(context: Pick<CommandContext<OptionSpec>, "cli" | "ask">): Promise<readonly Grant[]> {
  const { document } = await approvalsFileOf(context.cli).read();
  const uses = await usesToldBy(context);
  return Object.keys(document.agents).flatMap((agent) =>
    rulesOf(document, agent).map((rule) => {
      const id = ruleId(rule);
      const lastUsedAt = uses.get(id);
      return { id, agent, rule, ...(lastUsedAt === undefined ? {} : { lastUsedAt }) };
    }),
  );
}

interface Told {
  readonly file: {
    readonly agents: Readonly<
      Record<string, { readonly allowlist: readonly { readonly id: string; readonly lastUsedAt?: number }[] }>
    >;
  };
}

async function usesToldBy({
  ask,
}: Pick<CommandContext<OptionSpec>, "ask">): Promise<ReadonlyMap<string, number>> {
  try {
    const { file } = await ask<Told>("operator.admin", "exec.approvals.get");
    const rules = Object.values(file.agents).flatMap(({ allowlist }) => allowlist);
    return new Map(
      rules.flatMap(({ id, lastUsedAt }) => (lastUsedAt === undefined ? [] : [[id, lastUsedAt] as const])),
    );
  } catch (error) {
    if (error instanceof CommandFailure && error.exitCode === 3) return new Map();
    throw error;
  }
}

export const grantsCommand = group(
  {
    usage: "approvals grants list|revoke",
    about: `What agents may do without asking, as it stands now.

  list            every grant, with its id and when it was last used
  revoke <id>     take one back`,
    example: "openclaw approvals grants revoke 3f9a0c4be1d27a55",
  },
  { list, revoke },
  "list",
);
