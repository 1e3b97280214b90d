import { InputError, schema } from "../../kernel/mod.ts";
import { invalid, MethodError } from "../frames.ts";
import { type Call, type Method, method } from "../method.ts";
import type { WireError } from "../protocol.ts";

const { any, array, object, open, optional, record, string } = schema;

/** Methods that answer with what others answer: chat.startup, chat.metadata, sessions.patchMany. */
export function combinedMethods(rows: readonly Method[]): Method[] {
  const row = (name: string): Method => {
    const found = rows.find((item) => item.name === name);
    if (!found) throw new Error(`no row ${name}`);
    return found;
  };
  const history = row("chat.history");
  const models = row("models.list");
  const commands = row("commands.list");
  const patch = row("sessions.patch");
  const patchOf = (params: { readonly patch: object }, target: object) => ({ ...params.patch, ...target });

  return [
    { ...history, name: "chat.startup" },
    method({
      name: "chat.metadata",
      scope: "operator.read",
      params: open(object({ agentId: optional(string()), sessionKey: optional(string()) })),
      run: async (_params, call) => ({
        ...((await models.run({}, call)) as object),
        ...((await commands.run({}, call)) as object),
        swarmEnabled: false,
        accountSelection: null,
      }),
    }),
    method({
      name: "sessions.patchMany",
      scope: "operator.write",
      // What one patch needs more scope for, many need too; the fields are the same for all.
      scopeFor: (params) => patch.scopeFor?.(patchOf(params, { key: "" })),
      params: object({
        targets: array(
          open(
            object({
              key: string({ minLength: 1, maxLength: 512 }),
              agentId: optional(string()),
              expectedSessionId: optional(string()),
            }),
          ),
          { minItems: 1, maxItems: 100 },
        ),
        patch: record(any()),
      }),
      run: async (params, call) => {
        const outcomes = [];
        for (const target of params.targets)
          outcomes.push(await patchOne(patch, patchOf(params, target), target, call));
        return { outcomes };
      },
    }),
  ];
}

async function patchOne(
  patch: Method,
  params: object,
  target: { readonly key: string; readonly agentId?: string },
  call: Call,
) {
  const about = { key: target.key, ...(target.agentId === undefined ? {} : { agentId: target.agentId }) };
  const failed = (error: WireError) => ({ ok: false, ...about, error });
  const problems = schema.check(patch.params, params);
  if (problems.length > 0)
    return failed(invalid(`invalid patch: ${problems.map(schema.problemText).join("; ")}`));
  try {
    await patch.run(params, call);
    return { ok: true, ...about };
  } catch (error) {
    if (error instanceof MethodError) return failed(error.wire);
    if (error instanceof InputError) return failed(invalid(error.message));
    throw error;
  }
}
