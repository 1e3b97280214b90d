import { define, group } from "./define.ts";
import { modelName } from "./sessions-command.ts";
import { amount, table } from "./table.ts";

/** models, agents, usage: one question, one table. */

interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly provider: string;
  readonly contextWindow?: number;
  readonly available: boolean;
}

const models = define({
  help: {
    usage: "models [list] [options]",
    about: "The models that the gateway knows, and whether it has what it takes to call them.",
    options: [["--provider <id>", "only this provider's"]],
    example: "openclaw models list --provider anthropic",
  },
  options: { provider: "text" },
  run: async (context) => {
    const { provider } = context.options;
    const answer = await context.ask<{ models: readonly ModelRow[] }>("operator.read", "models.list", {
      ...(provider === undefined ? {} : { provider }),
    });
    context.print(answer, () =>
      answer.models.length === 0
        ? "No models. Choose one: openclaw config set agents.defaults.model.primary <provider>/<model>\n"
        : table(
            ["MODEL", "CONTEXT", "READY"],
            answer.models.map((model) => [
              modelName(model.provider, model.id),
              model.contextWindow === undefined ? "" : amount(model.contextWindow),
              model.available ? "yes" : "no key",
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

export const modelsCommand = group(
  {
    usage: "models [list] [options]",
    about: "The models that the gateway knows. Options: openclaw models list --help",
    example: "openclaw models list",
  },
  { list: models },
  "list",
);

interface Agents {
  readonly defaultId: string;
  readonly agents: readonly {
    readonly id: string;
    readonly name?: string;
    readonly model?: { readonly primary: string };
  }[];
}

const agents = define({
  help: {
    usage: "agents [list] [options]",
    about: "The agents of this gateway.",
    example: "openclaw agents list",
  },
  run: async (context) => {
    const answer = await context.ask<Agents>("operator.read", "agents.list");
    context.print(answer, () =>
      table(
        ["AGENT", "NAME", "MODEL", ""],
        answer.agents.map((agent) => [
          agent.id,
          agent.name ?? "",
          agent.model?.primary ?? "",
          agent.id === answer.defaultId ? "default" : "",
        ]),
        context.columns,
        context.style.dim,
      ),
    );
    return 0;
  },
});

export const agentsCommand = group(
  {
    usage: "agents [list] [options]",
    about: "The agents of this gateway. Options: openclaw agents list --help",
    example: "openclaw agents list",
  },
  { list: agents },
  "list",
);

interface UsageTotals {
  readonly turns: number;
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly totalCost: number;
}

export const usageCommand = define({
  help: {
    usage: "usage [options]",
    about: "Turns, tokens and cost by day (UTC).",
    options: [["--days <count>", "the last days (30)"]],
    example: "openclaw usage --days 7",
  },
  options: { days: "integer" },
  run: async (context) => {
    const answer = await context.ask<{
      days: number;
      daily: readonly (UsageTotals & { readonly date: string })[];
      totals: UsageTotals;
    }>("operator.read", "usage.cost", { days: context.options.days ?? 30 });
    const row = (label: string, day: UsageTotals) => [
      label,
      String(day.turns),
      amount(day.input),
      amount(day.output),
      amount(day.cacheRead),
      amount(day.cacheWrite),
      `$${day.totalCost.toFixed(4)}`,
    ];
    context.print(answer, () =>
      answer.daily.length === 0
        ? `Nothing was used in the last ${answer.days} days.\n`
        : table(
            ["DAY", "TURNS", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "COST"],
            [...answer.daily.map((day) => row(day.date, day)), row("total", answer.totals)],
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});
