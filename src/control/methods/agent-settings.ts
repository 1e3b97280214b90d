import { schema } from "../../kernel/mod.ts";
import { invalid, MethodError, unknownAgent } from "../frames.ts";
import { type Method, method } from "../method.ts";
import type { ControlParts } from "../parts.ts";

const { boolean, object, optional, string } = schema;

const words = string({ minLength: 1, maxLength: 512 });
const agentId = string({ minLength: 1, maxLength: 64 });
const looks = {
  workspace: optional(words),
  model: optional(words),
  emoji: optional(string({ maxLength: 16 })),
  avatar: optional(words),
};

interface Looks {
  readonly name?: string;
  readonly workspace?: string;
  readonly model?: string;
  readonly emoji?: string;
  readonly avatar?: string;
}

type Entry = Readonly<Record<string, unknown>>;
interface Roster {
  readonly list: readonly (Entry & { readonly id: string })[];
  readonly entries: Readonly<Record<string, Entry>>;
  readonly bindings: readonly Entry[];
  readonly hash: string;
}

/** agents.create, agents.update, agents.delete: they write the config, in the form that the file already has. */
export function agentSettingsMethods(parts: ControlParts): Method[] {
  async function roster(): Promise<Roster> {
    const { parsed, hash } = (await parts.config.get()) as {
      readonly parsed:
        | { readonly agents?: Partial<Roster>; readonly bindings?: readonly Entry[] }
        | undefined;
      readonly hash: string;
    };
    const { list = [], entries = {} } = parsed?.agents ?? {};
    return { list, entries, bindings: parsed?.bindings ?? [], hash };
  }
  const write = (change: unknown, hash: string) =>
    parts.config.patch(JSON.stringify(change), hash, ["agents.list", "bindings"]);
  const known = (id: string) => {
    if (!parts.sessionSettings().agentIds.includes(id)) throw unknownAgent(id);
  };

  return [
    method({
      name: "agents.create",
      scope: "operator.admin",
      perMinute: 30,
      params: object({ name: string({ minLength: 1, maxLength: 100 }), ...looks }),
      admin: (params) => ({ action: "agents.create", facts: { name: params.name } }),
      run: async (params) => {
        const id = idOf(params.name);
        const { agentIds } = parts.sessionSettings();
        if (agentIds.includes(id))
          throw new MethodError(invalid(`agent ${JSON.stringify(id)} already exists`));
        const { list, entries, hash } = await roster();
        const fields = entryOf(params);
        // The first one that is written down would otherwise take the place of those that exist without being named.
        const unnamed =
          list.length + Object.keys(entries).length === 0 ? agentIds.map((known_) => ({ id: known_ })) : [];
        const usesEntries = Object.keys(entries).length > 0;
        const agents = usesEntries
          ? { entries: { [id]: fields } }
          : { list: [...unnamed, ...list, { id, ...fields }] };
        await write({ agents }, hash);
        const model = params.model === undefined ? {} : { model: params.model };
        return { ok: true, agentId: id, name: params.name, workspace: parts.workspacePath(id), ...model };
      },
    }),
    method({
      name: "agents.update",
      scope: "operator.admin",
      perMinute: 30,
      params: object({ agentId, name: optional(string({ minLength: 1, maxLength: 100 })), ...looks }),
      admin: (params) => ({ action: "agents.update", facts: { agentId: params.agentId } }),
      run: async ({ agentId: id, ...changes }) => {
        known(id);
        const { list, entries, hash } = await roster();
        const fields = entryOf(changes);
        const isListed = list.some((entry) => entry.id === id);
        const changed = isListed
          ? { list: list.map((entry) => (entry.id === id ? merged(entry, fields) : entry)) }
          : Object.hasOwn(entries, id)
            ? { entries: { [id]: fields } }
            : { list: [...list, { id, ...fields }] };
        await write({ agents: changed }, hash);
        return { ok: true, agentId: id };
      },
    }),
    method({
      name: "agents.delete",
      scope: "operator.admin",
      perMinute: 30,
      params: object({ agentId, deleteFiles: optional(boolean()) }),
      admin: (params) => ({ action: "agents.delete", facts: { agentId: params.agentId } }),
      run: async ({ agentId: id, deleteFiles }) => {
        known(id);
        if (id === parts.sessionSettings().defaultAgentId)
          throw new MethodError(
            invalid(`${JSON.stringify(id)} is the default agent; make another one the default first`),
          );
        if (deleteFiles)
          throw new MethodError(
            invalid(
              `files are not deleted from here; remove ${parts.workspacePath(id)} by hand when nobody needs it`,
            ),
          );
        const { list, entries, bindings, hash } = await roster();
        const kept = bindings.filter((binding) => binding.agentId !== id);
        await write(
          {
            agents: Object.hasOwn(entries, id)
              ? { entries: { [id]: null } }
              : { list: list.filter((entry) => entry.id !== id) },
            ...(kept.length < bindings.length ? { bindings: kept } : {}),
          },
          hash,
        );
        return { ok: true, agentId: id, removedBindings: bindings.length - kept.length };
      },
    }),
  ];
}

/**
 * What the config holds of these. `${NAME}` in them is text: written as it came, the next reading of the file would put
 * the variable's value there, and the agent would say it.
 */
function entryOf(fields: Looks) {
  const { name, workspace, model, emoji, avatar } = Object.fromEntries(
    Object.entries(fields).map(([key, text]) => [key, text.replaceAll(/\$\{[A-Z_]/g, "$$$&")]),
  ) as Looks;
  const identity = { ...(emoji === undefined ? {} : { emoji }), ...(avatar === undefined ? {} : { avatar }) };
  return {
    ...(name === undefined ? {} : { name }),
    ...(workspace === undefined ? {} : { workspace }),
    ...(model === undefined ? {} : { model }),
    ...(Object.keys(identity).length === 0 ? {} : { identity }),
  };
}

function merged(entry: Entry & { readonly id: string }, fields: ReturnType<typeof entryOf>) {
  const identity = fields.identity
    ? { identity: { ...(entry.identity as object | undefined), ...fields.identity } }
    : {};
  return { ...entry, ...fields, ...identity };
}

/** "My Helper" -> "my-helper", as an agent's id may be. */
function idOf(name: string): string {
  const id = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 64);
  if (id === "") throw new MethodError(invalid("the name needs at least one letter a-z or digit"));
  return id;
}
