import { dirname, relative } from "node:path";
import { type ApprovalsDocument, type HostWords, hostWords } from "../compose/approvals-file.ts";
import {
  type ConfigPath,
  configProblemText,
  formatPath,
  loadConfig,
  type OpenClawConfig,
  placeOf,
  valueAt,
  writeConfig,
} from "../config/mod.ts";
import { type ExecRule, execRule, execWords, policySettings, stricter } from "../policy/mod.ts";
import { sessionSettings } from "../session/mod.ts";
import { approvalsFileOf } from "./allowlist.ts";
import { type CommandContext, define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import type { Cli } from "./mod.ts";
import type { OptionSpec } from "./options.ts";
import { table } from "./table.ts";

/** What becomes of commands: the config's words, the host document's, and the stricter of both. */
interface Row {
  readonly agent: string;
  readonly config: string;
  /** Where the config says so; absent: nowhere, the default holds. */
  readonly at?: string;
  readonly document: string;
  readonly holds: string;
}

const presets: Readonly<
  Record<string, { readonly mode: string; readonly host: Required<Pick<HostWords, "security" | "ask">> }>
> = {
  "deny-all": { mode: "deny", host: { security: "deny", ask: "off" } },
  cautious: { mode: "ask", host: { security: "allowlist", ask: "on-miss" } },
  yolo: { mode: "full", host: { security: "full", ask: "off" } },
};

const show = define({
  help: {
    usage: "exec-policy show [--json]",
    about:
      "What becomes of an agent's commands: what the config says, what exec-approvals.json says, and what holds, which is\nthe stricter of both. No gateway need run.",
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw exec-policy show",
  },
  offline: true,
  run: async (context) => {
    await print(context);
    return 0;
  },
});

const preset = define({
  help: {
    usage: `exec-policy preset <${Object.keys(presets).join("|")}> [--json]`,
    about: `Sets both, the config and exec-approvals.json.

  deny-all   no command runs
  cautious   what is not listed or safe by itself asks
  yolo       in turns that the owner wrote everything runs; what others wrote asks`,
    options: [["--json", "print JSON, for scripts"]],
    example: "openclaw exec-policy preset cautious",
  },
  offline: true,
  words: [1, 1],
  run: async (context) => {
    const [name = ""] = context.words;
    const chosen = Object.hasOwn(presets, name) ? presets[name] : undefined;
    if (!chosen)
      throw new UsageError(
        `there is no preset ${JSON.stringify(name)}; there are: ${Object.keys(presets).join(", ")}`,
      );
    await write(context.cli, { mode: chosen.mode }, chosen.host);
    await print(context);
    return 0;
  },
});

const words = {
  security: ["deny", "allowlist", "full"],
  ask: ["off", "on-miss", "always"],
  host: ["auto", "sandbox", "gateway", "node"],
  "ask-fallback": ["deny"],
} as const;

const set = define({
  help: {
    usage: "exec-policy set --security <word> --ask <word> [options]",
    about: "Sets the pair of keys in the config and in exec-approvals.json.",
    options: [
      ["--security <word>", words.security.join(", ")],
      ["--ask <word>", words.ask.join(", ")],
      ["--host <word>", `where commands run: ${words.host.join(", ")}`],
      ["--ask-fallback <word>", "without an answer: deny, and nothing else is available"],
      ["--json", "print JSON, for scripts"],
    ],
    example: "openclaw exec-policy set --security allowlist --ask always",
  },
  options: { security: "text", ask: "text", host: "text", "ask-fallback": "text" },
  offline: true,
  run: async (context) => {
    const { security, ask, host } = context.options;
    if (security === undefined || ask === undefined)
      throw new UsageError("--security and --ask are needed\nTry: openclaw exec-policy set --help");
    for (const [name, known] of Object.entries(words)) {
      const word = context.options[name as keyof typeof words];
      if (word !== undefined && !(known as readonly string[]).includes(word))
        throw new UsageError(`--${name} may be ${known.join(", ")}`);
    }
    await write(context.cli, { security, ask, ...(host === undefined ? {} : { host }) }, { security, ask });
    await print(context);
    return 0;
  },
});

export const execPolicyCommand = group(
  {
    usage: "exec-policy show|preset|set",
    about: `What becomes of the commands that agents want to run.

  show             what the config and exec-approvals.json say, and what holds
  preset <name>    ${Object.keys(presets).join(", ")}
  set              security, ask and host one by one`,
    example: "openclaw exec-policy preset cautious",
  },
  { show, preset, set },
  "show",
);

/** One way to say it in a scope: `mode`, or the older pair. What is not named here goes. */
async function write(
  cli: Cli,
  config: {
    readonly mode?: string;
    readonly security?: string;
    readonly ask?: string;
    readonly host?: string;
  },
  host: Pick<HostWords, "security" | "ask">,
): Promise<void> {
  const keys = ["mode", "security", "ask", ...(config.host === undefined ? [] : ["host"])] as const;
  const edits = keys.map((key) => ({
    path: ["tools", "exec", key],
    value: config[key as keyof typeof config],
  }));
  // The stricter one counts, so the order in which they change opens nothing for a moment that was not open before.
  const result = await writeConfig({
    file: cli.paths.configFile,
    env: cli.env,
    edits,
    clock: cli.clock,
    random: cli.random,
  });
  if (!result.ok) throw new CommandFailure(1, result.message);
  await approvalsFileOf(cli).change(({ document }) => ({
    ...document,
    defaults: { ...document.defaults, ...host, askFallback: "deny" },
  }));
}

async function print(
  context: Pick<CommandContext<OptionSpec>, "cli" | "print" | "columns" | "style">,
): Promise<void> {
  const rows = await rowsOf(context.cli);
  context.print({ agents: rows }, () =>
    table(
      ["AGENT", "CONFIG", "SAID BY", "EXEC-APPROVALS.JSON", "HOLDS"],
      rows.map((row) => [row.agent, row.config, row.at ?? "(default)", row.document, row.holds]),
      context.columns,
      context.style.dim,
    ),
  );
}

async function rowsOf(cli: Cli): Promise<readonly Row[]> {
  const { configFile } = cli.paths;
  const loaded = await loadConfig({ file: configFile, env: cli.env, allowUnresolved: true });
  if (!loaded.ok) {
    const lines = loaded.problems.map((problem) => configProblemText(problem, dirname(configFile)));
    throw new CommandFailure(1, `the configuration is not valid\n${lines.join("\n")}`);
  }
  const { document } = await approvalsFileOf(cli).read();
  const { config, origin, unsubstituted } = loaded;
  return Promise.all(
    sessionSettings(config).agentIds.map(async (agent): Promise<Row> => {
      const { exec } = policySettings(config, agent, "");
      const found = execPaths(config, agent).find((path) => valueAt(unsubstituted, path) !== undefined);
      const place = found && (await placeOf(origin, found, true));
      return {
        agent,
        config: ruleText(exec),
        ...(found && place
          ? { at: `${relative(dirname(configFile), place.file)}:${place.line} ${formatPath(found)}` }
          : {}),
        document: documentText(document, agent),
        holds: ruleText(stricter(exec, execRule(hostWords(document, agent), exec))),
      };
    }),
  );
}

/** Where the config could say so, the one that counts first. */
function execPaths({ agents }: OpenClawConfig, agent: string): ConfigPath[] {
  const index = agents?.list?.findIndex(({ id }) => id === agent) ?? -1;
  const own = index < 0 ? ["agents", "entries", agent] : ["agents", "list", index];
  return [[...own, "tools"], ["tools"]].flatMap((at) =>
    ["mode", "security", "ask"].map((key) => [...at, "exec", key]),
  );
}

function ruleText({ mode, asksAlways }: ExecRule): string {
  const { security, ask } = execWords(asksAlways === undefined ? { mode } : { mode, asksAlways });
  return asksAlways ? `${mode}, asks always` : `${mode} (${security}, ${ask})`;
}

function documentText(document: ApprovalsDocument, agent: string): string {
  const { security, ask } = hostWords(document, agent);
  return security === undefined && ask === undefined
    ? "says nothing"
    : [security, ask].filter(Boolean).join(", ");
}
