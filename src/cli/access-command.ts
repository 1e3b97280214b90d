import { dirname, relative } from "node:path";
import { type Access, createAccess } from "../compose/access.ts";
import { composePairings } from "../compose/pairings.ts";
import { configProblemText, type LoadedConfig, loadConfig } from "../config/mod.ts";
import type { AccessAnswer, AccessChange, AccessQuery, AccessStep, ToolReach } from "../control/mod.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import type { Style } from "./style.ts";
import { table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const kinds = ["direct", "group", "channel"] as const;

const explain = define({
  help: {
    usage: "access explain --channel <channel> --sender <id> --text <text> [options]",
    about:
      "Would this message reach an agent? Prints each rule that it meets, the line of the config that decided, and\nwhat would change the answer. Reads the config file; no gateway need run.",
    options: [
      ["--channel <channel>", "telegram, whatsapp ..."],
      ["--sender <id>", "the sender's stable id on it"],
      ["--alias <id>", "another id that the platform proves with it: a Signal account's number"],
      ["--text <text>", "what is written"],
      ["--chat <id>", "the group; the direct chat with the sender when absent"],
      ["--kind <kind>", "direct, group or channel"],
      ["--thread <id>", "the topic or thread"],
      ["--mention", "the message mentions the agent"],
      ["--reply", "it is a reply to the agent"],
      ["--bot", "the sender is a bot"],
      ["--account <id>", "the channel's account (default)"],
      ["--agent <id>", "the agent whose name may be called (the bound one)"],
      ["--json", "print JSON, for scripts"],
    ],
    example: 'openclaw access explain --channel telegram --sender 123456789 --chat -1001 --text "hi"',
  },
  options: {
    channel: "text",
    account: "text",
    sender: "text",
    alias: "text",
    chat: "text",
    kind: "text",
    thread: "text",
    text: "text",
    mention: "flag",
    reply: "flag",
    bot: "flag",
    agent: "text",
  },
  offline: true,
  run: async (context) => {
    const { rest: _, json: __, help: ___, channel, sender, text, kind, ...more } = context.options;
    if (channel === undefined || sender === undefined || text === undefined) {
      throw new UsageError("--channel, --sender and --text are needed\nTry: openclaw access explain --help");
    }
    const known = kinds.find((item) => item === kind);
    if (kind !== undefined && !known) throw new UsageError(`--kind must be one of ${kinds.join(", ")}`);
    const query: AccessQuery = { channel, sender, text, ...more, ...(known ? { kind: known } : {}) };
    const { access } = await open(context.cli);
    const answer = await access.explain(query);
    const folder = dirname(context.cli.paths.configFile);
    context.print(answer, () => answerText(query, answer, folder, context.columns, context.style));
    return 0;
  },
});

const whoCan = define({
  help: {
    usage: "access who-can <tool> [--json]",
    about:
      "Everybody who could make an agent use this tool, and what lets them: found by asking the rules themselves for\neach sender and group that the config or a pairing names, and for those that nobody names.",
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw access who-can exec",
  },
  words: [1, 1],
  offline: true,
  run: async (context) => {
    const [tool = ""] = context.words;
    const { access } = await open(context.cli);
    const rows = await access.whoCan(tool);
    const folder = dirname(context.cli.paths.configFile);
    context.print({ tool, rows }, () => reachText(tool, rows, folder, context.columns, context.style));
    return 0;
  },
});

export const accessCommand = group(
  {
    usage: "access explain|who-can",
    about: `Who may talk to an agent, and what they could make it do. Both read the config file and the pairings.

  explain           one message's way through every rule, and what would change the answer
  who-can <tool>    everybody who could reach a tool, and by which rule`,
    example: "openclaw access who-can exec",
  },
  { explain, "who-can": whoCan },
);

async function open(cli: Cli): Promise<{ readonly access: Access; readonly loaded: LoadedConfig }> {
  const { configFile, credentials } = cli.paths;
  const loaded = await loadConfig({ file: configFile, env: cli.env, allowUnresolved: true });
  if (!loaded.ok) {
    const lines = loaded.problems.map((problem) => configProblemText(problem, dirname(configFile)));
    throw new CommandFailure(1, `the configuration is not valid\n${lines.join("\n")}`);
  }
  const pairings = composePairings(credentials, cli.clock, cli.random);
  const access = createAccess({
    loaded: () => loaded,
    pairings,
    onProblem: ({ path, message }) =>
      cli.stderr(`warning: ${visibleLine(path.join("."))} must ${visibleLine(message)}\n`),
  });
  return { access, loaded };
}

/** The answer, its steps as a table, and what would change it. Pure. */
export function answerText(
  query: AccessQuery,
  answer: AccessAnswer,
  folder: string,
  columns: number,
  style: Style,
): string {
  const who = visibleLine(`${query.channel}:${query.sender}`);
  const head = answer.admitted
    ? `${style.green("admitted")}: ${who} reaches ${answer.agentId === undefined ? "no agent (none is bound here)" : `agent ${visibleLine(answer.agentId)}`}`
    : `${style.red("refused")}: ${who}, ${answer.reason ?? ""}\n${answer.sentence ?? ""}`;
  const steps = table(
    ["", "RULE", "WHAT IT SAW", "DECIDED BY"],
    answer.steps.map((step) => [mark(step), step.rule, step.facts, placeText(step, folder)]),
    columns,
    style.dim,
  );
  const title = answer.admitted ? "Each of these alone would end it:" : "What it takes, all of it:";
  const changes = answer.admitted ? answer.losses : answer.needs;
  const none = answer.admitted ? "" : "Nothing in the config would let this message in.\n";
  return `${head}\n\n${steps}\n${changes.length === 0 ? none : `${title}\n${changesText(changes, folder)}`}`;
}

function mark(step: AccessStep): string {
  return step.outcome === "pass" ? "ok" : step.outcome === "refuse" ? "NO" : "--";
}

function changesText(changes: readonly AccessChange[], folder: string): string {
  return changes
    .map((change) => {
      const place = placeText({ ...change, isSet: true }, folder);
      return `  - ${visibleLine(change.text)}${place === "" ? "" : `  (${place})`}\n`;
    })
    .join("");
}

function placeText(place: Pick<AccessStep, "path" | "file" | "line" | "isSet">, folder: string): string {
  if (place.path === undefined || place.path === "") return "";
  const file =
    place.file === undefined ? "" : `${visibleLine(relative(folder, place.file))}:${place.line ?? 0} `;
  return `${file}${visibleLine(place.path)}${place.isSet ? "" : " (default)"}`;
}

/** One line for each way to the tool. Pure. */
export function reachText(
  tool: string,
  rows: readonly ToolReach[],
  folder: string,
  columns: number,
  style: Style,
): string {
  if (rows.length === 0) return `Nobody can reach ${visibleLine(tool)}.\n`;
  return table(
    ["WHO", "WHERE", "AGENT", "BECAUSE", "DECIDED BY"],
    rows.map((row) => [
      row.isOwner ? `${row.sender} (owner)` : row.sender,
      whereText(row),
      row.agentId,
      [row.because ?? "holds operator.write", ...row.needs].join("; "),
      placeText({ ...row, isSet: true }, folder),
    ]),
    columns,
    style.dim,
  );
}

function whereText(row: ToolReach): string {
  if (row.kind === undefined) return "page, terminal, API";
  const account = row.account === "default" ? row.channel : `${row.channel} (${row.account})`;
  const chat = row.kind === "direct" ? "direct" : `${row.kind} ${row.chat ?? ""}`;
  return `${account} ${chat}${row.threadId === undefined ? "" : ` topic ${row.threadId}`}`;
}
