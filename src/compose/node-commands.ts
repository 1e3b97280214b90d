import type { ToolRequest } from "../agent/mod.ts";
import type { NodeCommandPort } from "../control/mod.ts";
import { InputError, type Log, schema } from "../kernel/mod.ts";
import { commandText, type NodeView, nodeArgv } from "../nodes/mod.ts";
import { type Approval, commandPlace, type Permit, type PolicyContext, toolAllowed } from "../policy/mod.ts";
import type { Commands, Outcome } from "../sandbox/mod.ts";
// Not through mod.ts: a gateway starts without the rest of the sandbox.
import { executeOnNode, type NodeRun } from "../sandbox/node.ts";
import { createNodeBackground } from "./node-background.ts";
import { createOperatorRuns, type OperatorRunParts } from "./node-operator-runs.ts";
import { createSystemRun, nameOf, nodeRun, onNode, type Prepared } from "./node-system-run.ts";

const { boolean, integer, object, open, optional, record, string } = schema;

/** Commands that run on nodes: prepared there, judged here and there, sent as they were judged. */
export interface NodeCommands {
  /** The context to judge this call in: for one that goes to a node, with what the node says of it. */
  placed(request: ToolRequest, context: PolicyContext): Promise<PolicyContext>;
  /** Undefined: the call was not placed on a node. */
  execute(
    permit: Permit,
    signal: AbortSignal,
    progress: (text: string) => void,
  ): Promise<Outcome> | undefined;
  /** True when the approval was for a node: its rule is kept there. */
  remember(approval: Approval): boolean;
  readonly port: NodeCommandPort;
  /** Commands on nodes that this session left running. */
  commandsOf(agentId: string, sessionKey: string): Pick<Commands, "list" | "get">;
  close(): Promise<void>;
  /** Ends what these operators asked for themselves; agents' commands end with their runs. */
  cancelOf(isOver: (owner: string) => boolean): void;
}

const argsSchema = open(
  object({
    command: string(),
    workdir: optional(string()),
    env: optional(record(string())),
    timeoutSeconds: optional(integer()),
    background: optional(boolean()),
    yieldMs: optional(integer()),
    pty: optional(boolean()),
    host: optional(string()),
    node: optional(string()),
  }),
);
export function composeNodeCommands(
  parts: OperatorRunParts & {
    readonly timeoutSeconds: () => number;
    /** How long a call waits that does not say. */
    readonly yieldMs: number;
    readonly log: Log;
  },
): NodeCommands {
  const { nodes, clock, log } = parts;
  const { prepare, run, preparedFor, rememberCall } = createSystemRun(parts);
  const operatorRuns = createOperatorRuns(parts, { prepare, run });
  const background = createNodeBackground(parts);

  /** Runs it, and waits as long as the call does: a turn that is stopped stops what it waits for, and nothing else. */
  async function follow(
    made: Prepared,
    request: ToolRequest,
    stop: AbortSignal,
    output: (text: string) => void,
  ): Promise<NodeRun> {
    let isWaitedFor = true;
    const command = background.start(sessionOf(request), commandText(made.argv), async (end, append) =>
      nodeRun(
        await run(made, request, end, (text) => {
          append(text);
          if (isWaitedFor) output(text);
        }),
      ),
    );
    await command.wait(made.waitMs, stop);
    isWaitedFor = false;
    if (stop.aborted) await command.kill();
    if (!command.exit) return { ran: "still", sessionId: command.id, output: command.poll() };
    command.remove();
    return command.ended;
  }

  /** Throws an InputError when no node, or more than one, is meant. */
  function nodeFor(wanted: string | undefined): NodeView {
    const able = nodes.list().filter((node) => node.commands.includes("system.run"));
    const found =
      wanted === undefined
        ? able.filter((node) => node.connected)
        : able.filter(
            (node) =>
              node.nodeId === wanted ||
              node.displayName === wanted ||
              (/^[0-9a-f]{6,}$/.test(wanted) && node.nodeId.startsWith(wanted)),
          );
    const [only, second] = found;
    if (!only)
      throw new InputError(
        wanted === undefined
          ? "No connected node may run commands."
          : `There is no node ${JSON.stringify(wanted)} that may run commands.`,
      );
    if (second) throw new InputError("More than one node is meant; name one by its id.");
    if (!only.connected) throw new InputError(`The node ${nameOf(only)} is not connected.`);
    return only;
  }

  return {
    async placed(request, context) {
      // What is to run in a sandbox is not sent anywhere else.
      if (context.sandbox || request.tool !== "exec" || !toolAllowed("exec", context.settings))
        return context;
      if (schema.check(argsSchema, request.arguments).length > 0) return context;
      const args = request.arguments as schema.Static<typeof argsSchema>;
      const { exec } = context.settings;
      const place = commandPlace(
        {
          ...(args.host === undefined ? {} : { host: args.host }),
          ...(args.node === undefined ? {} : { node: args.node }),
        },
        exec,
      );
      if ("problem" in place) return onNode(context, place);
      if (place.on === "gateway") return context;
      // A node is not even asked about a command that may run nowhere.
      if (exec.mode === "deny") return onNode(context, { problem: "Commands are turned off (tools.exec)." });
      const env = args.env ?? {};
      const problem =
        context.commands.environmentProblem(env) ??
        (args.pty === true
          ? "On a node there is no terminal (pty): nobody could type into it. Leave it out."
          : undefined);
      if (problem !== undefined) return onNode(context, { problem });
      try {
        const made = await prepare(nodeFor(place.node), request, {
          argv: nodeArgv(args.command),
          cwd: args.workdir,
          env,
          timeoutMs: (args.timeoutSeconds ?? parts.timeoutSeconds()) * 1000,
          waitMs: args.background === true ? 0 : (args.yieldMs ?? parts.yieldMs),
          mode: exec.mode,
        });
        return onNode(context, made);
      } catch (error) {
        if (error instanceof InputError) return onNode(context, { problem: error.message });
        throw error;
      }
    },
    execute(permit, signal, progress) {
      const { request } = permit;
      const made = preparedFor(request);
      if (!made) return undefined;
      return executeOnNode(
        permit,
        {
          nodeId: made.nodeId,
          command: commandText(made.argv),
          run: (stop, output) => follow(made, request, stop, output),
        },
        { clock, log, progress },
        signal,
      );
    },
    remember(approval) {
      const { nodeId, runId, toolCallId } = approval.request;
      if (nodeId === undefined) return false;
      rememberCall(runId, toolCallId);
      return true;
    },
    commandsOf: (agentId, sessionKey) => background.of(sessionOf({ agentId, sessionKey })),
    close: background.close,
    cancelOf: operatorRuns.cancelOf,
    port: operatorRuns.port,
  };
}

function sessionOf({ agentId, sessionKey }: Pick<ToolRequest, "agentId" | "sessionKey">): string {
  return `${agentId}\n${sessionKey}`;
}
