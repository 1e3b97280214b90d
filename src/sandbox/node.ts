import { type Clock, InputError, type Log } from "../kernel/mod.ts";
import type { Outcome, PermitLike } from "./execute.ts";
import type { ToolOutput } from "./tool.ts";

/** How a command on a node ended, as the node tells it. */
export type NodeRun =
  | {
      readonly ran: true;
      readonly exitCode: number | null;
      readonly timedOut: boolean;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly ran: false; readonly message: string }
  /** Nobody waits for it any more; the process tool knows it by this id. */
  | { readonly ran: "still"; readonly sessionId: string; readonly output: string };

/** Sends exactly the prepared command to its node, and waits for its end, or for as long as the call says. */
export type RunOnNode = (signal: AbortSignal, output: (text: string) => void) => Promise<NodeRun>;

const maxShownChars = 100_000;

/**
 * Runs a permitted call on a paired node, once. The permit must name the prepared command and its node: what was
 * judged is what is sent. Never throws for what the node does; throws when the permit was spent before.
 */
export async function executeOnNode(
  permit: PermitLike,
  prepared: { readonly nodeId: string; readonly command: string; readonly run: RunOnNode },
  ports: { readonly clock: Clock; readonly log: Log; readonly progress: (text: string) => void },
  signal: AbortSignal,
): Promise<Outcome> {
  const { id } = permit.request;
  if (!permit.spend()) throw new Error(`permit ${id} was used before`);
  const started = ports.clock.monotonic();
  const done = (output: ToolOutput): Outcome => ({
    ...output,
    durationMs: ports.clock.monotonic() - started,
  });
  const isNamed = permit.effects.some(
    (effect) =>
      effect.kind === "node.command" &&
      effect.nodeId === prepared.nodeId &&
      effect.command === prepared.command,
  );
  if (!isNamed) return done(failure("The call was not permitted for this node. Nothing was done."));
  if (signal.aborted) return done(failure("The call was cancelled before it began."));
  let shown = "";
  try {
    const run = await prepared.run(signal, (text) => {
      shown = `${shown}${text}`.slice(-maxShownChars);
      ports.progress(shown);
    });
    if (run.ran === "still") return done(stillRunning(run));
    return done(run.ran ? ended(run) : failure(run.message));
  } catch (error) {
    if (error instanceof InputError) return done(failure(error.message));
    ports.log("error", "a command on a node failed", { call: id, cause: (error as Error).message });
    return done(failure("The command could not be sent to the node. The gateway's log tells why."));
  }
}

function failure(text: string): ToolOutput {
  return { text, isError: true, trust: "system" };
}

function stillRunning({ sessionId, output }: Extract<NodeRun, { ran: "still" }>): ToolOutput {
  return {
    text: `[still running on the node as sessionId ${sessionId}: use process to poll or kill it]${output === "" ? "" : `\n${output}`}`,
    isError: false,
    origin: "command",
    details: { status: "running", host: "node", sessionId },
  };
}

function ended(run: Extract<NodeRun, { ran: true }>): ToolOutput {
  const { exitCode, timedOut } = run;
  const output = [run.stdout, run.stderr]
    .filter((text) => text !== "")
    .map((text) => (text.length > maxShownChars ? text.slice(-maxShownChars) : text))
    .join("\n");
  const isError = timedOut || exitCode !== 0;
  const how = timedOut
    ? "[ended: it took too long]"
    : exitCode === null
      ? "[ended by a signal]"
      : `[exit code ${exitCode}]`;
  return {
    text: isError
      ? `${output}${output === "" || output.endsWith("\n") ? "" : "\n"}${how}`
      : output || "(no output)",
    isError,
    origin: "command",
    details: { status: isError ? "failed" : "completed", host: "node", exitCode, timedOut },
  };
}
