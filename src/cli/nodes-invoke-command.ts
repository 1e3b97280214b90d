import { uuid } from "../kernel/mod.ts";
import type { CommandContext } from "./define.ts";
import { define } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { needed, nodeHelp, nodeOf, nodeOption } from "./node-rows.ts";
import type { OptionSpec } from "./options.ts";
import { jsonText } from "./visible.ts";

const invokeOptions = {
  ...nodeOption,
  command: "text",
  params: "text",
  "invoke-timeout": "integer",
  "idempotency-key": "text",
} as const;

export const invoke = define({
  help: {
    usage: "nodes invoke --node <node> --command <command> [options]",
    about:
      "Asks a node for one of its approved commands, and prints the answer. Commands of its shell: nodes run.",
    options: [
      ...nodeHelp,
      ["--command <command>", "for example system.which"],
      ["--params <json>", "its parameters ({})"],
      ["--invoke-timeout <ms>", "how long the node may take (15000)"],
      ["--idempotency-key <key>", "the same key never runs it twice"],
    ],
    example: `openclaw nodes invoke --node workshop --command system.which --params '{"bins":["git"]}'`,
  },
  options: invokeOptions,
  run: async (context) => {
    const { options } = context;
    const command = needed(options.command, "--command");
    if (/^system\.run(?:\.|$)/.test(command))
      throw new UsageError("nodes invoke runs no commands of the shell; use: openclaw nodes run");
    const { nodeId } = await nodeOf(context, options.node);
    const admin = /^(?:browser\.proxy|fs\.listDir|terminal\.upload)/.test(command);
    const answer = await invoked(context, admin ? "operator.admin" : "operator.write", {
      nodeId,
      command,
      params: paramsOf(options.params),
      timeoutMs: options["invoke-timeout"] ?? 15_000,
      idempotencyKey: options["idempotency-key"] ?? uuid(context.cli.random),
    });
    context.print(answer, () => `${jsonText(answer.payload)}\n`);
    return 0;
  },
});

interface RunResult {
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export const run = define({
  help: {
    usage: "nodes run --node <node> [options] -- <program> [words]",
    about: `Runs one program on a node, after an operator's approval where the gateway or the node wants one: answer it
with openclaw approvals, or on the page. Ends with the program's exit code.`,
    options: [
      ...nodeHelp,
      ["--cwd <folder>", "where, on the node (its home)"],
      ["--invoke-timeout <ms>", "how long it may take, the approval included (30 minutes)"],
    ],
    example: "openclaw nodes run --node workshop -- uname -a",
  },
  options: { ...nodeOption, cwd: "text", "invoke-timeout": "integer" },
  words: [1, 4096],
  run: async (context) => {
    const { cwd, node, "invoke-timeout": timeoutMs = 30 * 60_000 } = context.options;
    const { nodeId } = await nodeOf(context, node);
    const answer = await invoked(context, "operator.admin", {
      nodeId,
      command: "system.run",
      params: { command: context.words, ...(cwd === undefined ? {} : { cwd }) },
      timeoutMs,
      idempotencyKey: uuid(context.cli.random),
    });
    const result = answer.payload as RunResult;
    context.print(answer, () => result.stdout);
    if (result.stderr !== "") context.cli.stderr(result.stderr);
    if (result.timedOut) throw new CommandFailure(1, "the command took too long, and was ended");
    return result.exitCode ?? 1;
  },
});

async function invoked(
  context: Pick<CommandContext<OptionSpec>, "connect">,
  scope: string,
  params: { readonly timeoutMs: number } & Readonly<Record<string, unknown>>,
) {
  const client = await context.connect([scope]);
  const answer = await client.request("node.invoke", params, { timeoutMs: params.timeoutMs + 5000 });
  return answer as { readonly payload: unknown };
}

function paramsOf(text: string | undefined): unknown {
  if (text === undefined) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError("--params is not JSON");
  }
}
