import type { SandboxExplanation, SandboxProofFacts, SandboxSummary } from "../control/mod.ts";
import { define, group } from "./define.ts";
import { CommandFailure, UsageError } from "./failure.ts";
import { ago, facts, table } from "./table.ts";
import { visibleLine } from "./visible.ts";

const chosenOptions = { agent: "text", session: "text" } as const;
const chosenHelp = [
  ["--agent <id>", "the agent"],
  ["--session <key>", "the conversation"],
] as const;

const list = define({
  help: {
    usage: "sandbox [list] [options]",
    about:
      "The sandboxes that were tried since the config last changed, what their proof said, and their containers.",
    example: "openclaw sandbox list",
  },
  run: async (context) => {
    const { sandboxes } = await context.ask<{ sandboxes: readonly SandboxSummary[] }>(
      "operator.read",
      "sandbox.list",
      {},
    );
    context.print({ sandboxes }, () =>
      sandboxes.length === 0
        ? "No sandbox was used since the config last changed.\n"
        : table(
            ["SANDBOX", "FOR", "PROOF", "CONTAINER", "USED", "RUNS"],
            sandboxes.map((item) => [
              item.id,
              item.sessionKey ?? item.agentId ?? "all agents",
              proofText(item.proof),
              item.container?.name ?? "",
              item.container ? ago(item.container.lastUsedAtMs, context.now) : "",
              item.container ? String(item.container.runningCommands) : "",
            ]),
            context.columns,
            context.style.dim,
          ),
    );
    return 0;
  },
});

const explain = define({
  help: {
    usage: "sandbox explain [options]",
    about:
      "Whether a conversation is sandboxed, what makes its sandbox, what its proof said, and what changes it.",
    options: chosenHelp,
    example: "openclaw sandbox explain --session agent:main:telegram:group:-1001",
  },
  options: chosenOptions,
  run: async (context) => {
    const answer = await context.ask<SandboxExplanation>(
      "operator.read",
      "sandbox.explain",
      chosen(context.options),
    );
    context.print(answer, () => explanation(answer));
    return 0;
  },
});

const recreate = define({
  help: {
    usage: "sandbox recreate --all|--agent <id>|--session <key> [options]",
    about:
      "Ends sandboxes, with what runs in them. The next command makes and proves a new one. Files in /workspace stay.",
    options: [["--all", "every one"], ...chosenHelp],
    example: "openclaw sandbox recreate --agent family",
  },
  options: { ...chosenOptions, all: "flag" },
  run: async (context) => {
    const { all } = context.options;
    const which = chosen(context.options);
    if ((all === true) === Object.keys(which).length > 0)
      throw new UsageError(
        "say which: --all, or --agent or --session\nTry: openclaw sandbox recreate --help",
      );
    const answer = await context.ask<{ forgotten: number; removed: number }>(
      "operator.admin",
      "sandbox.recreate",
      which,
    );
    context.print(
      answer,
      () =>
        `${answer.removed} containers were ended; ${answer.forgotten} sandboxes are proved anew at their next use.\n`,
    );
    return 0;
  },
});

const image = define({
  help: {
    usage: "sandbox image [minimal|node|python|go|rust|bun] [options]",
    about: `Makes an image for containers with debootstrap, from Debian's own packages, and gives it to the engine as
openclaw-sandbox:<name>. Wants root, and some minutes. No registry of images is asked.`,
    options: [
      ["--engine <name>", "docker or podman (the one that answers)"],
      ["--mirror <url>", "of Debian's packages (debootstrap's own)"],
      ["--suite <name>", "Debian's version (bookworm)"],
    ],
    example: "openclaw sandbox image python",
  },
  options: { engine: "text", mirror: "text", suite: "text" },
  offline: true,
  words: [0, 1],
  run: async (context) => {
    const { cli, options, words } = context;
    const { makeImage } = await import("../compose/sandbox-image.ts");
    const made = await makeImage({
      name: words[0] ?? "minimal",
      engine: options.engine,
      mirror: options.mirror,
      suite: options.suite,
      env: cli.env,
      clock: cli.clock,
      say: cli.stderr,
    });
    if (typeof made === "string") throw new CommandFailure(1, made);
    context.print(made, () => `${made.image} is ready in ${made.engine}.\n`);
    return 0;
  },
});

function chosen(options: { readonly agent?: string; readonly session?: string }) {
  return {
    ...(options.agent === undefined ? {} : { agentId: options.agent }),
    ...(options.session === undefined ? {} : { sessionKey: options.session }),
  };
}

function proofText(proof: SandboxProofFacts | undefined): string {
  if (!proof) return "is being tried";
  if (!proof.ok) return `cannot be used: ${visibleLine(proof.why)}`;
  return `${proof.kind}: ${proof.held.length} promises held${proof.ended ? ", ended since" : ""}`;
}

function explanation(answer: SandboxExplanation): string {
  const { sandbox, tools } = answer;
  return facts([
    ["agent", answer.agentId],
    ["session", visibleLine(answer.sessionKey)],
    ["mode", answer.mode],
    ["sandboxed", sandbox ? `yes: ${visibleLine(sandbox.description)}` : "no"],
    ...(sandbox
      ? ([
          ["scope", answer.scope],
          ["workspace", `${answer.workspaceAccess}: ${visibleLine(sandbox.workspace)}`],
          ["made with", sandbox.kind ?? `nothing: ${visibleLine(sandbox.problem ?? "")}`],
          ...(sandbox.passedOver ?? []).map((why) => ["instead of", visibleLine(why)] as const),
          ["proof", sandbox.proof ? proofText(sandbox.proof) : "at its first use"],
          ["tools", visibleLine(tools.allow.join(" "))],
          ...(tools.deny.length > 0 ? ([["denied", visibleLine(tools.deny.join(" "))]] as const) : []),
        ] as const)
      : []),
    ["change it by", answer.change.join(", ")],
  ]);
}

export const sandboxCommand = group(
  {
    usage: "sandbox list|explain|recreate|image",
    about: `Where commands of sandboxed conversations run.

  list                those that were used, and their proof
  explain             one conversation: whether, with what, and why
  recreate            end them; the next use makes new ones
  image               make an image for containers`,
    example: "openclaw sandbox explain",
  },
  { list, explain, recreate, image },
  "list",
);
