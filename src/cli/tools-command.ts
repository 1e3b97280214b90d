import { dirname, relative } from "node:path";
import { createAccess } from "../compose/access.ts";
import { openApprovalsFile } from "../compose/approvals-file.ts";
import { noEgress } from "../compose/egress.ts";
import { composePairings } from "../compose/pairings.ts";
import type { ToolExplanation } from "../compose/policy-context.ts";
import { createTools } from "../compose/tools.ts";
import {
  configProblemText,
  formatPath,
  type LoadedConfig,
  loadConfig,
  placeOf,
  valueAt,
} from "../config/mod.ts";
import type { InboxRow } from "../delivery/mod.ts";
import { admitted, InputError, silentLog } from "../kernel/mod.ts";
import type { ToolStep } from "../policy/mod.ts";
import { mainKey, route, type SessionSettings, sessionSettings } from "../session/mod.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import type { Style } from "./style.ts";
import { table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const explain = define({
  help: {
    usage: "tools explain <tool> [options]",
    about: `May an agent use this tool, and which rule says so? Asks the rules themselves, each of which only narrows:
profile, model provider, tools, agent, sender and group, sandbox, subagent, owner. Reads the config file; no gateway
need run.`,
    options: [
      ["--agent <id>", "the agent (the default one)"],
      ["--session <key>", "the conversation (the agent's main one, or the sender's)"],
      ["--sender <channel:id>", "who writes: telegram:42 (you, at the page or a terminal)"],
      ["--chat <id>", "the group that the sender writes in"],
      ["--thread <id>", "the topic or thread of it"],
      ["--account <id>", "the channel's account (default)"],
      ["--provider <name>", "the model that calls it: openai, or openai/gpt-x (the agent's)"],
      ["--json", "print JSON, for scripts"],
    ],
    example: "openclaw tools explain exec --sender telegram:42 --chat -1001",
  },
  options: {
    agent: "text",
    session: "text",
    sender: "text",
    chat: "text",
    thread: "text",
    account: "text",
    provider: "text",
  },
  offline: true,
  words: [1, 1],
  run: async (context) => {
    const [tool = ""] = context.words;
    const { cli, options } = context;
    const loaded = await load(cli);
    const scene = openScene(cli, loaded, options.provider);
    const row = await rowOf(options, scene);
    const found = await scene.tools.explain(row, tool);
    const { toolNames } = await import("../tools/mod.ts");
    const { commands } = found;
    const answer: Answer = {
      tool,
      exists: toolNames.some((name) => name === tool.toLowerCase()),
      agentId: row.agentId,
      sessionKey: row.sessionKey,
      sender: row.source.author,
      allowed: found.allowed,
      steps: await locateAll(found.steps, loaded),
      ...(commands
        ? { commands: { ...commands, elevated: await locateAll(commands.elevated, loaded) } }
        : {}),
    };
    const folder = dirname(cli.paths.configFile);
    context.print(answer, () => answerText(answer, folder, context.columns, context.style));
    return 0;
  },
});

export const toolsCommand = group(
  {
    usage: "tools explain",
    about: `What agents may use.

  explain <tool>    whether a tool may be used, by every rule that it meets`,
    example: "openclaw tools explain exec --agent main",
  },
  { explain },
);

async function load(cli: Cli): Promise<LoadedConfig> {
  const { configFile } = cli.paths;
  const loaded = await loadConfig({ file: configFile, env: cli.env, allowUnresolved: true });
  if (loaded.ok) return loaded;
  const lines = loaded.problems.map((problem) => configProblemText(problem, dirname(configFile)));
  throw new CommandFailure(1, `the configuration is not valid\n${lines.join("\n")}`);
}

/** The gateway's own parts, as far as they decide: nothing is started, opened or written. */
function openScene(cli: Cli, loaded: LoadedConfig, provider: string | undefined) {
  const { clock, random, paths, sendSignal } = cli;
  const { config } = loaded;
  const pairings = composePairings(paths.credentials, clock, random);
  const access = createAccess({ loaded: () => loaded, pairings, onProblem: () => {} });
  const tools = createTools({
    config: () => config,
    defaultWorkspace: paths.workspace,
    stateFolder: paths.root,
    approvals: openApprovalsFile({ path: paths.approvalsFile, clock, random }),
    ruleUsed: () => {},
    modelOf: (agentId) => modelOf(config, agentId, provider),
    clock,
    random,
    log: silentLog,
    timeZone: undefined,
    sendSignal,
    egress: noEgress,
    recordProof: async () => {},
    agentWorkspace: () => undefined,
    toolLimitsOf: access.toolLimitsOf,
  });
  return { access, tools, sessions: sessionSettings(config) };
}

function modelOf(config: LoadedConfig["config"], agentId: string, provider: string | undefined) {
  const { entries, list, defaults } = config.agents ?? {};
  const own = entries?.[agentId]?.model ?? list?.find(({ id }) => id === agentId)?.model ?? defaults?.model;
  const reference = provider ?? (typeof own === "string" ? own : own?.primary);
  if (reference === undefined) return undefined;
  const [name = "", ...model] = reference.split("/");
  return { provider: name, model: model.join("/") };
}

interface Asked {
  readonly agent?: string;
  readonly session?: string;
  readonly sender?: string;
  readonly chat?: string;
  readonly thread?: string;
  readonly account?: string;
}

/** A message such as the question is about, as the gateway would have stored it. */
async function rowOf(
  { agent, session, sender, chat, thread, account = "default" }: Asked,
  { access, sessions }: Pick<ReturnType<typeof openScene>, "access" | "sessions">,
): Promise<InboxRow> {
  const known = agent ?? sessions.defaultAgentId;
  if (!sessions.agentIds.includes(known))
    throw new UsageError(
      `there is no agent ${JSON.stringify(known)}; there are: ${sessions.agentIds.join(", ")}`,
    );
  const row = (
    more: Pick<InboxRow, "channel" | "account" | "agentId" | "sessionKey" | "source"> &
      Partial<Pick<InboxRow, "reply">>,
  ): InboxRow => ({
    messageId: "",
    eventId: "",
    runId: "",
    state: "accepted" as const,
    receivedAt: 0,
    updatedAt: 0,
    text: "",
    digest: "",
    ...more,
  });
  if (sender === undefined) {
    const source = { author: "operator", proof: "secret", trust: "owner", sensitivity: "private" } as const;
    return row({
      channel: "control",
      account: "",
      agentId: known,
      sessionKey: session ?? mainKey(known),
      source,
    });
  }
  const [channel = "", ...rest] = sender.split(":");
  const id = rest.join(":");
  if (channel === "" || id === "") throw new UsageError("--sender must be <channel>:<id>, as telegram:42");
  const settings = await access.settingsOf(channel, account);
  const conversation = {
    kind: chat === undefined ? ("direct" as const) : ("group" as const),
    id: chat ?? id,
    ...(thread === undefined ? {} : { threadId: thread }),
  };
  const place = routed(sessions, { channel, account, id, conversation });
  const agentId = agent ?? place?.agentId ?? known;
  const isOwner = settings.owners.ids.has(id);
  return row({
    channel,
    account,
    agentId,
    sessionKey: session ?? (place?.agentId === agentId ? place.sessionKey : mainKey(agentId)),
    source: {
      author: `${channel}:${id}`,
      proof: "platform",
      trust: isOwner ? "owner" : "known",
      sensitivity: "private",
    },
    reply: { conversation },
  });
}

function routed(
  sessions: SessionSettings,
  at: {
    readonly channel: string;
    readonly account: string;
    readonly id: string;
    readonly conversation: NonNullable<InboxRow["reply"]>["conversation"];
  },
) {
  const found = route(
    {
      channel: at.channel,
      account: at.account,
      eventId: "",
      conversation: at.conversation,
      sender: { id: at.id, proof: "platform" },
      text: "",
      messageId: "",
      mentionsBot: false,
      repliesToBot: false,
      isBot: false,
    },
    sessions,
  );
  if (admitted(found)) return found.value;
  throw new InputError(`no agent answers there: ${found.detail}`);
}

interface LocatedStep extends Omit<ToolStep, "at"> {
  /** Empty: a rule of the house. */
  readonly path: string;
  readonly file?: string;
  readonly line?: number;
  readonly isSet?: boolean;
}

function locateAll(
  steps: readonly ToolStep[],
  { origin, unsubstituted }: LoadedConfig,
): Promise<LocatedStep[]> {
  return Promise.all(
    steps.map(async ({ at, ...step }) => {
      if (at.length === 0) return { ...step, path: "" };
      const { file, line } = await placeOf(origin, at, true);
      return { ...step, path: formatPath(at), file, line, isSet: valueAt(unsubstituted, at) !== undefined };
    }),
  );
}

interface Answer extends Omit<ToolExplanation, "steps" | "commands"> {
  readonly tool: string;
  readonly exists: boolean;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly sender: string;
  readonly steps: readonly LocatedStep[];
  readonly commands?: Omit<NonNullable<ToolExplanation["commands"]>, "elevated"> & {
    readonly elevated: readonly LocatedStep[];
  };
}

/** The verdict, each layer, and what becomes of commands. Pure. */
function answerText(answer: Answer, folder: string, columns: number, style: Style): string {
  const { tool, exists, agentId, sessionKey, sender, allowed, steps, commands } = answer;
  const verdict = allowed ? style.green("allowed") : style.red("refused");
  const head = `${verdict}: ${visibleLine(tool)} for agent ${visibleLine(agentId)}, ${visibleLine(sender)}, in ${visibleLine(sessionKey)}`;
  const unknown = exists ? "" : "There is no such tool here; this is what the rules say of its name.\n";
  const none = "No rule says anything about tools: all may be used.\n";
  const rules = steps.length === 0 ? none : stepsText(steps, folder, columns, style);
  return `${head}\n${unknown}\n${rules}${commands ? commandsText(commands, folder, columns, style) : ""}`;
}

function commandsText(
  { mode, asksAlways, host, isSandboxed, elevated }: NonNullable<Answer["commands"]>,
  folder: string,
  columns: number,
  style: Style,
): string {
  const asks = asksAlways ? "; each command asks" : "";
  const document = host === "unreadable" ? "it cannot be read" : `security ${host.security}, ask ${host.ask}`;
  const place = isSandboxed ? "in its sandbox" : "on the host";
  const gates =
    elevated.length === 0 ? "" : `\nLeaving the sandbox:\n${stepsText(elevated, folder, columns, style)}`;
  return `\nCommands run ${place}, mode ${mode}${asks} (exec-approvals.json: ${document}).\n${gates}`;
}

function stepsText(steps: readonly LocatedStep[], folder: string, columns: number, style: Style): string {
  return table(
    ["", "RULE", "WHAT IT SAYS", "DECIDED BY"],
    steps.map((step) => [
      step.outcome === "pass" ? "ok" : "NO",
      step.layer,
      step.because,
      step.path === ""
        ? "the house"
        : `${step.file === undefined ? "" : `${relative(folder, step.file)}:${step.line ?? 0} `}${step.path}${step.isSet ? "" : " (default)"}`,
    ]),
    columns,
    style.dim,
  );
}
