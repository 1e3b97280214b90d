import { InputError, type Static, schema as s } from "../../kernel/mod.ts";
import type { RunningCommand, Tool, ToolOutput } from "../../sandbox/tool.ts";
import type { ToolSettings } from "../settings.ts";
import { outputText } from "./output.ts";

/** A week. Longer would not fit the timers of the system. */
const maxTimeoutSeconds = 604_800;
const progressEveryMs = 1000;

const parameters = s.object({
  command: s.string({ description: "The command line.", minLength: 1, maxLength: 100_000 }),
  workdir: s.optional(
    s.string({
      description: "Folder to run it in, relative to the workspace.",
      minLength: 1,
      maxLength: 4096,
    }),
  ),
  env: s.optional(s.record(s.string(), { description: "Variables to add to its environment." })),
  yieldMs: s.optional(
    s.integer({
      description: "How long to wait before it goes on in the background (default 10000).",
      minimum: 0,
      maximum: 600_000,
    }),
  ),
  background: s.optional(s.boolean({ description: "Do not wait at all; look after it with process." })),
  timeoutSeconds: s.optional(
    s.integer({ description: "End it after this time; 0: never.", minimum: 0, maximum: maxTimeoutSeconds }),
  ),
  pty: s.optional(
    s.boolean({
      description: "Run one program in a terminal, when it asks questions or draws on the screen.",
    }),
  ),
  host: s.optional(s.oneOf(["auto", "sandbox", "gateway", "node"], { description: "Where to run it." })),
  ask: s.optional(
    s.oneOf(["off", "on-miss", "always"], { description: "Asks more often than configured, never less." }),
  ),
  node: s.optional(s.string({ description: "Not available yet." })),
  elevated: s.optional(
    s.boolean({ description: "Leave the sandbox: where the config allows it, a person is asked." }),
  ),
});
type Args = Static<typeof parameters>;

/** Runs a command in the workspace. */
export function openExec(settings: Pick<ToolSettings, "exec">): Tool {
  return {
    spec: {
      name: "exec",
      description:
        "Runs a command line in the workspace: programs with literal arguments, pipelines, &&, ||, ;, redirections to files of the workspace, here-documents, file patterns. Substitutions ($(...)), variables, loops and & need a person's approval each time. What still runs after yieldMs goes on in the background: use process with its sessionId. What a command leaves behind is ended with it, so start servers with background instead of &.",
      parameters,
    },
    plan(args) {
      const asked = args as Args;
      refuseUnavailable(asked);
      return [
        {
          kind: "command",
          command: asked.command,
          workdir: asked.workdir ?? ".",
          env: asked.env ?? {},
          background: asked.background ?? false,
          ...(asked.pty ? { pty: true as const } : {}),
          ...(asked.host === "sandbox" || asked.host === "gateway" ? { host: asked.host } : {}),
          ...(asked.elevated ? { elevated: true as const } : {}),
          ...(asked.ask === "on-miss" || asked.ask === "always" ? { ask: asked.ask } : {}),
        },
      ];
    },
    async run(args, powers) {
      const asked = args as Args;
      refuseUnavailable(asked);
      const command = await powers.commands.start({
        command: asked.command,
        workdir: asked.workdir ?? ".",
        env: asked.env ?? {},
        timeoutMs: (asked.timeoutSeconds ?? settings.exec.timeoutSeconds) * 1000,
        ...(asked.pty ? { pty: true as const } : {}),
      });
      if (!asked.background) {
        // Outside its sandbox a command is out of this session's sight once nobody waits for it.
        const waitMs = asked.elevated ? Number.POSITIVE_INFINITY : (asked.yieldMs ?? settings.exec.yieldMs);
        await waitShowing(command, waitMs, powers.signal, powers.progress);
        // A turn that is stopped stops what it waits for; what runs in the background belongs to the session.
        if (powers.signal.aborted && !command.exit) {
          await command.kill();
          return {
            ...ended(command),
            text: `The call was cancelled, and the command ended.\n${outputText(command)}`,
            isError: true,
          };
        }
      }
      return command.exit ? ended(command) : stillRunning(command);
    },
  };
}

function refuseUnavailable(asked: Args): void {
  if (asked.command.includes("\0"))
    throw new InputError("The command holds a NUL character, which no program can be given. Leave it out.");
  const notYet = (what: string) => new InputError(`${what} is not available yet. Leave it out.`);
  if (asked.node !== undefined) throw notYet("node");
  if (asked.host === "node") throw notYet(`host "${asked.host}"`);
}

async function waitShowing(
  command: RunningCommand,
  ms: number,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<void> {
  for (let left = ms; left > 0 && !command.exit && !signal.aborted; left -= progressEveryMs) {
    await command.wait(Math.min(left, progressEveryMs), signal);
    if (!command.exit && !signal.aborted) progress(command.output().text);
  }
}

function ended(command: RunningCommand): ToolOutput {
  const { code, signal, timedOut } = command.exit ?? { code: null, signal: null, timedOut: false };
  command.poll();
  const how = timedOut
    ? "[ended: it took too long]"
    : code === null
      ? `[ended by ${signal ?? "a fault"}]`
      : `[exit code ${code}]`;
  const isError = timedOut || code !== 0;
  const output = outputText(command);
  return {
    text: isError
      ? `${output}${output === "" || output.endsWith("\n") ? "" : "\n"}${how}`
      : output || "(no output)",
    isError,
    origin: "command",
    details: {
      status: isError ? "failed" : "completed",
      sessionId: command.id,
      exitCode: code,
      signal,
      timedOut,
    },
  };
}

function stillRunning(command: RunningCommand): ToolOutput {
  const output = command.poll();
  return {
    text: `[still running as sessionId ${command.id}: use process to poll, write to, or kill it]${output === "" ? "" : `\n${output}`}`,
    isError: false,
    origin: "command",
    details: { status: "running", sessionId: command.id },
  };
}
