import { InputError, schema } from "../../kernel/mod.ts";
import type { NodeRules } from "./rules.ts";
import { NodeCommandError, type NodeRunner, type RunCall } from "./runner.ts";
import { findProgram } from "./snapshot.ts";

const { array, any, object, open, optional, string } = schema;

/** The commands of a headless node, by name. */
export type NodeCommands = ReadonlyMap<string, (params: unknown, call: RunCall) => Promise<unknown>>;

const whichSchema = open(
  object({ bins: array(string({ minLength: 1, maxLength: 128 }), { maxItems: 256 }) }),
);
const notifySchema = open(
  object({ title: optional(string({ maxLength: 256 })), body: optional(string({ maxLength: 4096 })) }),
);
const setSchema = open(object({ file: any(), baseHash: optional(string({ maxLength: 256 })) }));

export function nodeCommands(ports: {
  readonly runner: NodeRunner;
  readonly rules: NodeRules;
  readonly folders: () => Promise<readonly string[]>;
  /** Shows a message on this machine's desktop; undefined where there is no program for that. */
  readonly notify: ((title: string, body: string, signal: AbortSignal) => Promise<void>) | undefined;
  /** Only these are offered; undefined: all. */
  readonly only: readonly string[] | undefined;
}): NodeCommands {
  const { runner, rules, notify } = ports;
  const all: [string, (params: unknown, call: RunCall) => Promise<unknown>][] = [
    ["system.run", (params, call) => runner.run(params, call)],
    ["system.run.prepare", (params) => runner.prepare(params)],
    [
      "system.which",
      async (params) => {
        const { bins } = checked(whichSchema, params);
        const folders = await ports.folders();
        const found: [string, string][] = [];
        for (const bin of bins) {
          const path = /^[\w.+-]+$/.test(bin) ? await findProgram(bin, folders, "/") : undefined;
          if (path !== undefined) found.push([bin, path]);
        }
        return { bins: Object.fromEntries(found) };
      },
    ],
    ["system.execApprovals.get", async () => rules.get()],
    [
      "system.execApprovals.set",
      async (params) => {
        const { file, baseHash } = checked(setSchema, params);
        return rules.set(file, baseHash);
      },
    ],
  ];
  if (notify)
    all.push([
      "system.notify",
      async (params, call) => {
        const { title = "OpenClaw", body = "" } = checked(notifySchema, params);
        await notify(title, body, call.signal);
        return { ok: true };
      },
    ]);
  return new Map(all.filter(([name]) => ports.only === undefined || ports.only.includes(name)));
}

/** The error of a command as it goes over the wire; what nobody foresaw is not told. */
export function commandFailure(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof NodeCommandError) return { code: error.code, message: error.message };
  if (error instanceof InputError) return { code: "INVALID_REQUEST", message: error.message };
  return { code: "UNAVAILABLE", message: "the node failed on this command; see its log" };
}

function checked<T>(expected: schema.Schema<T>, value: unknown): T {
  const [problem] = schema.check(expected, value);
  if (problem)
    throw new NodeCommandError("INVALID_REQUEST", `invalid params: ${schema.problemText(problem)}`);
  return value as T;
}
