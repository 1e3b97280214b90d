import { type Clock, InputError, type Log } from "../kernel/mod.ts";
import type { Effect } from "../policy/effect.ts";
import { narrowCommands, narrowVersions, narrowWeb, narrowWorkspace } from "./narrow.ts";
import type { FileVersions, HostCommands, Powers, Tool, ToolOutput, Web, Workspace } from "./tool.ts";

/** What the sandbox needs to see of policy's Permit. */
export interface PermitLike {
  readonly request: { readonly id: string; readonly tool: string; readonly arguments: unknown };
  readonly effects: readonly Effect[];
  /** True the first time only. */
  spend(): boolean;
}

/** What one session's tools could touch, before a permit narrows it. */
export interface HostPowers {
  readonly workspace: Workspace;
  readonly commands: HostCommands;
  readonly web: Web;
  /** Absent: nothing is kept of what files were. */
  readonly versions?: FileVersions;
  readonly clock: Clock;
  readonly log: Log;
  progress(text: string): void;
}

export interface Outcome extends ToolOutput {
  readonly durationMs: number;
}

/**
 * Runs a permitted call with just the powers that its permit names, once. Never throws for what a tool does: a
 * refusal (of a path, a command, a URL that the permit does not name) and a fault both come back as an outcome with
 * isError. Throws when the permit was spent before or is another tool's: that is a fault of the caller.
 */
export async function execute(
  permit: PermitLike,
  tool: Tool,
  powersFactory: (permit: PermitLike) => HostPowers | Promise<HostPowers>,
  signal: AbortSignal,
): Promise<Outcome> {
  const { id, tool: name, arguments: args } = permit.request;
  if (tool.spec.name !== name) throw new Error(`permit ${id} is for ${name}, not for ${tool.spec.name}`);
  if (!permit.spend()) throw new Error(`permit ${id} was used before`);
  const host = await powersFactory(permit);
  const started = host.clock.monotonic();
  const done = (output: ToolOutput): Outcome => ({ ...output, durationMs: host.clock.monotonic() - started });
  if (signal.aborted) return done(failure("The call was cancelled before it began."));

  try {
    const powers: Powers = {
      workspace: narrowWorkspace(host.workspace, permit.effects),
      commands: narrowCommands(host.commands, permit.effects),
      web: narrowWeb(host.web, permit.effects, signal),
      ...(host.versions
        ? { versions: narrowVersions(host.versions, host.workspace.root, permit.effects) }
        : {}),
      signal,
      progress: (text) => host.progress(text),
    };
    return done(await tool.run(args, powers));
  } catch (error) {
    if (error instanceof InputError) return done(failure(error.message));
    // The cause may name what the model has no business with; it is for the log.
    host.log("error", `tool ${name} failed`, { call: id, cause: causeOf(error) });
    return done(
      failure(`The tool ${name} failed inside the gateway. Its log tells why; trying again may not help.`),
    );
  }
}

function failure(text: string): ToolOutput {
  return { text, isError: true, trust: "system" };
}

function causeOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
