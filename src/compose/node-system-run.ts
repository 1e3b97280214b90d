import type { ToolRequest } from "../agent/mod.ts";
import { InputError, type Random, schema, uuid } from "../kernel/mod.ts";
import { commandText, type Invoked, type Nodes, type NodeView } from "../nodes/mod.ts";
import { judgeNodeCommand, type NodeCommandFacts, type PolicyContext } from "../policy/mod.ts";
import type { NodeRun } from "../sandbox/node.ts";

const { array, boolean, integer, object, oneOf, open, optional, string, union } = schema;

/** A command as its node prepared it: what is judged, and what is sent. */
export interface Prepared {
  readonly nodeId: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** How long the call waits before the command goes on by itself. */
  readonly waitMs: number;
  /** As it came; sent back as it is. */
  readonly plan: { readonly cwd: string; readonly commandText: string };
  readonly facts: NodeCommandFacts;
  readonly mode: PolicyContext["settings"]["exec"]["mode"];
}

const preparedSchema = open(
  object({
    plan: open(object({ argv: array(string()), cwd: string({ minLength: 1 }), commandText: string() })),
    execPolicy: open(
      object({ security: oneOf(["deny", "allowlist", "full"]), ask: oneOf(["off", "on-miss", "always"]) }),
    ),
    allowlisted: optional(boolean()),
    program: optional(string()),
    fingerprint: optional(string()),
    allowAlwaysCoverage: optional(open(object({ complete: optional(boolean()) }))),
  }),
);
const resultSchema = open(
  object({
    exitCode: optional(union([integer(), { type: "null" } as schema.Schema<null>])),
    timedOut: optional(boolean()),
    stdout: optional(string()),
    stderr: optional(string()),
  }),
);

const prepareTimeoutMs = 30_000;
/** Over the command's own time, so that the node's answer about it still arrives. */
const answerMs = 5000;
const longestMs = 7 * 24 * 60 * 60 * 1000;

export type SystemRun = ReturnType<typeof createSystemRun>;

/** `system.run` as nodes speak it: prepared there first, then sent as it was judged. */
export function createSystemRun(parts: { readonly nodes: Nodes; readonly random: Random }) {
  // By the request itself: what was prepared for one call can never be found by another.
  const prepared = new WeakMap<ToolRequest, Prepared>();
  const remembered = new Set<string>();

  async function ask(
    nodeId: string,
    command: string,
    params: unknown,
    more: {
      readonly timeoutMs: number;
      readonly owner: string;
      readonly run?: { readonly runId: string; readonly sessionKey: string };
      readonly signal?: AbortSignal;
      readonly progress?: (text: string) => void;
    },
  ): Promise<Invoked> {
    return parts.nodes.invoke(nodeId, {
      command,
      paramsJSON: JSON.stringify(params),
      idempotencyKey: uuid(parts.random),
      ...more,
    });
  }

  /** Throws an InputError that says why the node cannot be asked to run this. */
  async function prepare(
    node: NodeView,
    request: ToolRequest,
    wanted: Pick<Prepared, "argv" | "env" | "timeoutMs" | "waitMs" | "mode"> & {
      readonly cwd: string | undefined;
    },
  ): Promise<Prepared> {
    const { argv, env, cwd, timeoutMs, waitMs, mode } = wanted;
    const { agentId, sessionKey } = request;
    const invoked = await ask(
      node.nodeId,
      "system.run.prepare",
      {
        command: argv,
        ...(argv[0] === "/bin/sh" ? { rawCommand: commandText(argv) } : {}),
        ...(cwd === undefined ? {} : { cwd }),
        env,
        agentId,
        sessionKey,
      },
      { timeoutMs: prepareTimeoutMs, owner: ownerOf(request) },
    );
    const answer = payloadOf(invoked);
    if (schema.check(preparedSchema, answer).length > 0)
      throw new InputError(`The node ${nameOf(node)} prepared something that cannot be understood.`);
    const said = answer as schema.Static<typeof preparedSchema>;
    // A node that shows one thing and means another is not asked.
    if (!isSameCommand(said.plan.argv, argv))
      throw new InputError(`The node ${nameOf(node)} prepared another command than was asked for.`);
    const made: Prepared = {
      nodeId: node.nodeId,
      argv: said.plan.argv,
      env,
      timeoutMs,
      waitMs,
      plan: said.plan,
      mode,
      facts: {
        nodeId: node.nodeId,
        nodeName: nameOf(node),
        program: said.program ?? null,
        fingerprint: said.fingerprint ?? "",
        policy: { security: said.execPolicy.security, ask: said.execPolicy.ask },
        listed: said.allowlisted === true,
        canRemember: said.allowAlwaysCoverage?.complete === true,
      },
    };
    prepared.set(request, made);
    return made;
  }

  async function run(
    made: Prepared,
    request: ToolRequest,
    signal: AbortSignal,
    progress: (text: string) => void,
  ): Promise<Invoked> {
    const { agentId, sessionKey, runId } = request;
    const { argv, env, plan, timeoutMs } = made;
    const judged = judgeNodeCommand(commandText(argv), { mode: made.mode }, made.facts);
    // A permit for something that was to be asked about is a yes that was given.
    const isApproved = judged !== "allow";
    const always = remembered.delete(callKey(runId, request.id));
    return ask(
      made.nodeId,
      "system.run",
      {
        command: argv,
        rawCommand: plan.commandText,
        systemRunPlan: plan,
        cwd: plan.cwd,
        env,
        timeoutMs,
        agentId,
        sessionKey,
        runId,
        ...(isApproved ? { approved: true, approvalDecision: always ? "allow-always" : "allow-once" } : {}),
      },
      {
        timeoutMs: (timeoutMs || longestMs) + answerMs,
        owner: ownerOf(request),
        run: { runId, sessionKey },
        signal,
        progress,
      },
    );
  }

  return {
    prepare,
    run,
    /** Undefined: the call was not placed on a node. */
    preparedFor: (request: ToolRequest) => prepared.get(request),
    /** The yes to this call is one that its node is to keep. */
    rememberCall(runId: string, callId: string): void {
      if (remembered.size >= 1000) remembered.clear();
      remembered.add(callKey(runId, callId));
    },
  };
}

/** The context for a call on a node: its tool says what the call does, or why it cannot be done. */
export function onNode(context: PolicyContext, made: Prepared | { readonly problem: string }): PolicyContext {
  const { tool } = context;
  if (!tool) return context;
  return {
    ...context,
    ...("problem" in made ? {} : { node: made.facts }),
    tool: {
      spec: tool.spec,
      plan: () => {
        if ("problem" in made) throw new InputError(made.problem);
        const { nodeId, argv, plan, env } = made;
        return [{ kind: "node.command", nodeId, command: commandText(argv), cwd: plan.cwd, env }];
      },
    },
  };
}

/** Word for word; only the program's name may have become the file that it names. */
function isSameCommand(said: readonly string[], asked: readonly string[]): boolean {
  const [file = "", ...words] = said;
  const [name = "", ...wanted] = asked;
  const isNamed =
    file === name || (file.startsWith("/") && file.endsWith(`/${name.slice(name.lastIndexOf("/") + 1)}`));
  return isNamed && words.length === wanted.length && words.every((word, index) => word === wanted[index]);
}

function ownerOf(request: ToolRequest): string {
  return `run:${request.runId}`;
}

function callKey(runId: string, callId: string): string {
  return `${runId}\n${callId}`;
}

export function nameOf(node: NodeView): string {
  return node.displayName ?? node.nodeId.slice(0, 12);
}

/** Throws an InputError that says why there is none. */
function payloadOf(invoked: Invoked): unknown {
  if (!invoked.sent) throw new InputError(`The node was not asked (${invoked.why}).`);
  const { outcome } = invoked;
  if (!outcome.ok) throw new InputError(`The node refused: ${outcome.message}`);
  return outcome.payload;
}

export function nodeRun(invoked: Invoked): NodeRun {
  if (!invoked.sent) return { ran: false, message: `The node was not asked (${invoked.why}).` };
  const { outcome } = invoked;
  if (!outcome.ok) return { ran: false, message: `${outcome.code}: ${outcome.message}` };
  if (schema.check(resultSchema, outcome.payload).length > 0)
    return {
      ran: false,
      message: "The node's answer cannot be understood; what the command did is not known.",
    };
  const {
    exitCode = null,
    timedOut = false,
    stdout = "",
    stderr = "",
  } = outcome.payload as schema.Static<typeof resultSchema>;
  return { ran: true, exitCode, timedOut, stdout, stderr };
}
