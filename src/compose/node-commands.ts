import type { ToolRequest } from "../agent/mod.ts";
import type { NodeCommandPort } from "../control/mod.ts";
import {
  admitted,
  type Clock,
  InputError,
  type Json,
  type Log,
  type Random,
  reasonText,
  schema,
  uuid,
} from "../kernel/mod.ts";
import {
  commandText,
  createRepeats,
  type Invoked,
  type Nodes,
  type NodeView,
  nodeArgv,
} from "../nodes/mod.ts";
import {
  type Approval,
  type Approvals,
  commandPlace,
  decide,
  judgeNodeCommand,
  type NodeCommandFacts,
  type Permit,
  type PolicyContext,
  settle,
  toolAllowed,
} from "../policy/mod.ts";
import type { Commands, Outcome } from "../sandbox/mod.ts";
// Not through mod.ts: a gateway starts without the rest of the sandbox.
import { executeOnNode, type NodeRun } from "../sandbox/node.ts";
import { createNodeBackground } from "./node-background.ts";

const { array, boolean, integer, object, oneOf, open, optional, record, string, union } = schema;

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

interface Prepared {
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
const operatorSchema = open(
  object({
    command: array(string({ maxLength: 131_072 }), { minItems: 1, maxItems: 4096 }),
    rawCommand: optional(string()),
    cwd: optional(string({ minLength: 1, maxLength: 4096 })),
    env: optional(record(string())),
  }),
);
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

export function composeNodeCommands(parts: {
  readonly nodes: Nodes;
  readonly approvals: () => Pick<Approvals, "ask">;
  /** Policy for commands that an operator asks for himself. */
  readonly policyFor: () => Promise<PolicyContext>;
  readonly defaultAgentId: () => string;
  readonly timeoutSeconds: () => number;
  /** How long a call waits that does not say. */
  readonly yieldMs: number;
  readonly record: (action: "effect.start" | "effect.end", facts: Json, actor: string) => Promise<void>;
  readonly redact: (text: string) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): NodeCommands {
  const { nodes, clock, log } = parts;
  // By the request itself: what was prepared for one call can never be found by another.
  const prepared = new WeakMap<ToolRequest, Prepared>();
  const remembered = new Set<string>();
  const operating = new Map<AbortController, string>();
  const background = createNodeBackground(parts);
  const repeats = createRepeats<Invoked>({
    clock,
    sizeOf: (invoked) =>
      !invoked.sent ? undefined : invoked.outcome.ok ? (invoked.outcome.payloadJSON?.length ?? 0) : 0,
  });

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
    return nodes.invoke(nodeId, {
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

  /** The context for a call on a node: its tool says what the call does, or why it cannot be done. */
  function onNode(context: PolicyContext, made: Prepared | { readonly problem: string }): PolicyContext {
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
      const made = prepared.get(request);
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
      if (remembered.size >= 1000) remembered.clear();
      remembered.add(callKey(runId, toolCallId));
      return true;
    },
    commandsOf: (agentId, sessionKey) => background.of(sessionOf({ agentId, sessionKey })),
    close: background.close,
    cancelOf(isOver) {
      for (const [end, owner] of operating) if (isOver(owner)) end.abort();
    },
    port: {
      run: async (nodeId, params, asked) => {
        const refused = nodes.whyNot(nodeId, "system.run") ?? nodes.whyNot(nodeId, "system.run.prepare");
        if (refused) return { sent: false, ...refused };
        const key = JSON.stringify([asked.owner, nodeId, asked.idempotencyKey]);
        const done = await repeats.once(key, JSON.stringify(params ?? null), () =>
          operatorRun(nodeId, params, asked),
        );
        return typeof done === "string" ? { sent: false, why: done } : done;
      },
    },
  };

  async function operatorRun(
    nodeId: string,
    params: unknown,
    asked: Parameters<NodeCommandPort["run"]>[2],
  ): Promise<Invoked> {
    const no = (reason: string, message: string): Invoked => ({
      sent: false,
      why: "refused",
      reason,
      message,
    });
    const [problem] = schema.check(operatorSchema, params);
    if (problem) return no("invalid-params", `invalid system.run params: ${schema.problemText(problem)}`);
    // Of what came only this counts; approved, approvalId, security and the like are decided here (CVE-2026-28466).
    const { command: argv, cwd, env = {}, rawCommand } = params as schema.Static<typeof operatorSchema>;
    if (rawCommand !== undefined && rawCommand !== commandText(argv))
      return no("command-mismatch", "rawCommand does not say what command would run");
    const context = await parts.policyFor();
    const node = nodes.find(nodeId);
    if (!node) return { sent: false, why: "pairing-changed" };
    const runId = uuid(parts.random);
    const request: ToolRequest = {
      id: `node-${runId}`,
      tool: "exec",
      arguments: { command: commandText(argv), host: "node" },
      agentId: parts.defaultAgentId(),
      sessionKey: asked.sessionKey,
      runId,
    };
    const end = new AbortController();
    operating.set(end, asked.owner);
    const cancel = clock.after(asked.timeoutMs, () => end.abort());
    try {
      const { mode } = context.settings.exec;
      const made = await prepare(node, request, {
        ...{ argv, cwd, env, mode },
        timeoutMs: asked.timeoutMs,
        waitMs: asked.timeoutMs,
      });
      const decision = decide(request, onNode(context, made));
      const verdict =
        decision.ok === "ask"
          ? settle(
              decision.question,
              (await parts.approvals().ask(runId, decision.question, end.signal)).decision,
            )
          : decision;
      if (!admitted(verdict)) return no(verdict.reason, `${reasonText(verdict.reason)} (${verdict.detail})`);
      verdict.value.spend();
      const facts = { nodeId, command: parts.redact(commandText(argv)), cwd: made.plan.cwd };
      await parts.record("effect.start", facts, asked.owner);
      const invoked = await run(made, request, end.signal, () => {});
      const isOk = invoked.sent && invoked.outcome.ok;
      await parts.record("effect.end", { nodeId, outcome: isOk ? "ok" : "error" }, asked.owner);
      return invoked;
    } catch (error) {
      if (error instanceof InputError) return no("not-prepared", error.message);
      throw error;
    } finally {
      cancel();
      operating.delete(end);
    }
  }
}

/** Word for word; only the program's name may have become the file that it names. */
function isSameCommand(said: readonly string[], asked: readonly string[]): boolean {
  const [file = "", ...words] = said;
  const [name = "", ...wanted] = asked;
  const isNamed =
    file === name || (file.startsWith("/") && file.endsWith(`/${name.slice(name.lastIndexOf("/") + 1)}`));
  return isNamed && words.length === wanted.length && words.every((word, index) => word === wanted[index]);
}

function sessionOf({ agentId, sessionKey }: Pick<ToolRequest, "agentId" | "sessionKey">): string {
  return `${agentId}\n${sessionKey}`;
}

function ownerOf(request: ToolRequest): string {
  return `run:${request.runId}`;
}

function callKey(runId: string, callId: string): string {
  return `${runId}\n${callId}`;
}

function nameOf(node: NodeView): string {
  return node.displayName ?? node.nodeId.slice(0, 12);
}

/** Throws an InputError that says why there is none. */
function payloadOf(invoked: Invoked): unknown {
  if (!invoked.sent) throw new InputError(`The node was not asked (${invoked.why}).`);
  const { outcome } = invoked;
  if (!outcome.ok) throw new InputError(`The node refused: ${outcome.message}`);
  return outcome.payload;
}

function nodeRun(invoked: Invoked): NodeRun {
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
