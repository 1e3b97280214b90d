import { hash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { type Clock, canonicalJson, InputError, type Json, schema } from "../../kernel/mod.ts";
import { commandText, quoteArgv } from "../command-text.ts";
import type { NodeRules, RuleSubject, RunPolicy } from "./rules.ts";
import { findProgram, fingerprint } from "./snapshot.ts";

const { array, boolean, integer, object, oneOf, open, optional, record, string } = schema;

/** A refusal or failure as the gateway sees it. */
export class NodeCommandError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "NodeCommandError";
    this.code = code;
  }
}

export interface StartRequest {
  readonly file: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly cwdIdentity: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly output: (text: string) => void;
}

export interface RunnerPorts {
  readonly clock: Clock;
  readonly rules: NodeRules;
  /** Folders in which a bare name is looked for. */
  readonly folders: () => Promise<readonly string[]>;
  /** Where a command runs that does not say. */
  readonly home: string;
  /** True for a program that runs what its arguments or its input say. */
  readonly isInterpreter: (program: string) => boolean;
  /** Why these variables may not be set; undefined when they may. */
  readonly environmentProblem: (env: Readonly<Record<string, string>>) => string | undefined;
  /** Runs one program; only in the sandbox's folder do processes begin. */
  readonly start: (request: StartRequest) => Promise<{
    readonly exitCode: number | null;
    readonly timedOut: boolean;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

export interface RunCall {
  readonly signal: AbortSignal;
  readonly output: (text: string) => void;
  readonly event: (event: "exec.started" | "exec.finished" | "exec.denied", payload: unknown) => void;
}

/** Commands of this machine: prepared, judged by its own rules, and run as they were prepared, once. */
export interface NodeRunner {
  prepare(params: unknown): Promise<unknown>;
  run(params: unknown, call: RunCall): Promise<unknown>;
}

interface Plan {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly program: string;
  readonly operands: readonly string[];
  readonly fingerprint: string;
  readonly expiresAt: number;
}

const name = optional(string({ maxLength: 512 }));
const argvSchema = array(string({ maxLength: 131_072 }), { minItems: 1, maxItems: 4096 });
const commandFields = {
  command: argvSchema,
  rawCommand: optional(string({ maxLength: 131_072 })),
  cwd: optional(string({ minLength: 1, maxLength: 4096 })),
  env: optional(record(string({ maxLength: 32_768 }))),
  agentId: name,
  sessionKey: name,
};
const prepareSchema = open(object(commandFields));
const runSchema = open(
  object({
    ...commandFields,
    systemRunPlan: optional(
      open(
        object({ argv: argvSchema, cwd: string(), commandText: string(), agentId: name, sessionKey: name }),
      ),
    ),
    timeoutMs: optional(integer({ minimum: 0, maximum: 604_800_000 })),
    runId: name,
    approved: optional(boolean()),
    approvalDecision: optional(oneOf(["allow-once", "allow-always"])),
  }),
);

// Longer than an operator has to answer, so that what he allows can still run.
const planLifetimeMs = 40 * 60 * 1000;
const maxPlans = 256;

export function createRunner(ports: RunnerPorts): NodeRunner {
  const { clock, rules } = ports;
  /** Prepared commands that have not run, by what they are bound to; the same command may be prepared twice. */
  const plans = new Map<string, Plan[]>();

  function keep(plan: Plan): void {
    const now = clock.monotonic();
    for (const [key, list] of plans) {
      const left = list.filter((item) => item.expiresAt > now);
      if (left.length > 0) plans.set(key, left);
      else plans.delete(key);
    }
    if (plans.size >= maxPlans) plans.delete(plans.keys().next().value ?? "");
    const key = planKey(plan);
    plans.set(key, [...(plans.get(key) ?? []).slice(-8), plan]);
  }

  /** The plan that this is, taken out: it is good for one run. */
  function take(key: string): Plan | undefined {
    const list = plans.get(key) ?? [];
    const plan = list.findLast((item) => item.expiresAt > clock.monotonic());
    const left = list.filter((item) => item !== plan);
    if (left.length > 0) plans.set(key, left);
    else plans.delete(key);
    return plan;
  }

  async function planOf(params: schema.Static<typeof prepareSchema>): Promise<Plan> {
    const { command: argv, env = {}, agentId = "", sessionKey = "" } = params;
    checkText(argv, params.rawCommand);
    const problem = ports.environmentProblem(env);
    if (problem !== undefined) throw new NodeCommandError("INVALID_REQUEST", problem);
    const asked = params.cwd ?? ports.home;
    if (!isAbsolute(asked)) throw new NodeCommandError("INVALID_REQUEST", `cwd ${asked} is not absolute`);
    // Where a link leads may change later; the real folder is what is shown, approved and entered.
    const cwd = await realpath(asked).catch(() => {
      throw new NodeCommandError("INVALID_REQUEST", `there is no folder ${asked} on this node`);
    });
    const [word = ""] = argv;
    const program = await findProgram(word, await ports.folders(), cwd);
    if (program === undefined)
      throw new NodeCommandError(
        "INVALID_REQUEST",
        `there is no program ${JSON.stringify(word)} on this node`,
      );
    const operands = runsItsInput(word, program) ? wordsOf(argv) : [];
    const mark = await fingerprint(cwd, program, operands);
    return {
      argv,
      cwd,
      env,
      agentId,
      sessionKey,
      program,
      operands,
      fingerprint: mark.text,
      expiresAt: clock.monotonic() + planLifetimeMs,
    };
  }

  const runsItsInput = (word: string, program: string) =>
    ports.isInterpreter(word) || ports.isInterpreter(program);

  function subjectOf(plan: Plan): RuleSubject {
    const [word = ""] = plan.argv;
    const { argv, cwd, agentId } = plan;
    return {
      agentId,
      program: plan.program,
      name: word.includes("/") ? undefined : word,
      digest: hash("sha256", canonicalJson([argv, cwd, plan.env, agentId] as Json)),
      canRemember: !runsItsInput(word, plan.program) && Object.keys(plan.env).length === 0,
      commandText: commandText(argv),
    };
  }

  return {
    async prepare(value) {
      const plan = await planOf(checked(prepareSchema, value));
      keep(plan);
      const subject = subjectOf(plan);
      const { security, ask } = await rules.policy(plan.agentId);
      const text = commandText(plan.argv);
      return {
        plan: {
          argv: plan.argv,
          cwd: plan.cwd,
          commandText: text,
          commandPreview: text.slice(0, 200),
          agentId: plan.agentId,
          sessionKey: plan.sessionKey,
          policySnapshot: { security, ask, askFallback: "deny", autoAllowSkills: false, allowlistRules: [] },
        },
        execPolicy: { security, ask },
        allowAlwaysCoverage: {
          complete: subject.canRemember,
          patterns: subject.canRemember
            ? [{ pattern: subject.program, argPattern: `sha256:${subject.digest}` }]
            : [],
        },
        allowlisted: await rules.isListed(subject),
        program: plan.program,
        fingerprint: hash("sha256", plan.fingerprint),
      };
    },
    async run(value, call) {
      const params = checked(runSchema, value);
      const { command: argv, env = {}, systemRunPlan, runId = "", timeoutMs = 0 } = params;
      const about = { sessionKey: params.sessionKey ?? "", runId, host: "node", command: commandText(argv) };
      const deny = (message: string): never => {
        call.event("exec.denied", { ...about, reason: message });
        throw new NodeCommandError("SYSTEM_RUN_DENIED", message);
      };
      checkText(argv, params.rawCommand);
      if (!systemRunPlan)
        return deny("a command runs only as it was prepared (system.run.prepare); no plan came");
      const { agentId = "", sessionKey = "" } = params;
      const plan = take(planKey({ argv, cwd: params.cwd ?? systemRunPlan.cwd, env, agentId, sessionKey }));
      const isSame =
        sameWords(systemRunPlan.argv, argv) &&
        systemRunPlan.cwd === (params.cwd ?? systemRunPlan.cwd) &&
        (systemRunPlan.agentId ?? "") === agentId &&
        (systemRunPlan.sessionKey ?? "") === sessionKey;
      if (!plan || !isSame)
        return deny("this is not what was prepared, or it has run already; prepare it again");
      const subject = subjectOf(plan);
      const refused = refusal(
        await rules.policy(agentId),
        await rules.isListed(subject).catch(() => false),
        params.approved === true,
      );
      if (refused !== undefined) return deny(refused);
      const now = await fingerprint(plan.cwd, plan.program, plan.operands).catch(() => undefined);
      if (now?.text !== plan.fingerprint)
        return deny("the folder, the program or a file that it runs has changed since it was prepared");
      if (params.approvalDecision === "allow-always" && params.approved === true)
        await rules.remember(subject, clock.now());
      call.event("exec.started", about);
      try {
        const { exitCode, timedOut, stdout, stderr } = await ports.start({
          file: plan.program,
          argv,
          cwd: plan.cwd,
          cwdIdentity: now.cwdIdentity,
          env,
          timeoutMs,
          signal: call.signal,
          output: call.output,
        });
        const success = exitCode === 0 && !timedOut;
        const output = `${stdout}${stderr}`.slice(-2000);
        call.event("exec.finished", {
          ...about,
          exitCode,
          timedOut,
          success,
          output,
          suppressNotifyOnExit: true,
        });
        return { exitCode, timedOut, success, stdout, stderr, error: null };
      } catch (error) {
        if (error instanceof InputError) throw new NodeCommandError("UNAVAILABLE", error.message);
        throw error;
      }
    },
  };
}

/** Why the node's own rules refuse; undefined when they do not. Nobody but a person can turn a question into a yes. */
function refusal(policy: RunPolicy, isListed: boolean, isApproved: boolean): string | undefined {
  if (policy.security === "deny") return "this node runs no commands (exec-approvals.json: security deny)";
  const mustAsk = policy.ask === "always" || (policy.security === "allowlist" && !isListed);
  if (!mustAsk) return undefined;
  if (policy.ask === "off") return "the command is not on this node's allowlist, and nobody is asked";
  return isApproved ? undefined : "this node wants a person's approval for the command";
}

function planKey(bound: Pick<Plan, "argv" | "cwd" | "env" | "agentId" | "sessionKey">): string {
  const { argv, cwd, env, agentId, sessionKey } = bound;
  return hash("sha256", canonicalJson([argv, cwd, env, agentId, sessionKey] as Json));
}

/** What people were shown must be what runs (CVE-2026-26325). */
function checkText(argv: readonly string[], rawCommand: string | undefined): void {
  if (rawCommand === undefined || rawCommand === commandText(argv) || rawCommand === quoteArgv(argv)) return;
  throw new NodeCommandError("INVALID_REQUEST", "rawCommand does not say what command would run");
}

/** Anything in the arguments that could name a file, also inside of a script. */
function wordsOf(argv: readonly string[]): readonly string[] {
  return argv
    .slice(1)
    .flatMap((word) => [word, ...word.split(/[\s;|&<>()"'`=]+/)].filter((part) => part !== ""));
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, index) => word === b[index]);
}

function checked<T>(expected: schema.Schema<T>, value: unknown): T {
  const [problem] = schema.check(expected, value);
  if (problem)
    throw new NodeCommandError("INVALID_REQUEST", `invalid params: ${schema.problemText(problem)}`);
  return value as T;
}
