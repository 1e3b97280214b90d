import { hash } from "node:crypto";
import { canonicalJson, InputError, type Json, schema } from "../../kernel/mod.ts";

const { any, array, boolean, number, object, oneOf, optional, record, string } = schema;

const security = oneOf(["deny", "allowlist", "full"]);
const ask = oneOf(["off", "on-miss", "always"]);
const settings = {
  security: optional(security),
  ask: optional(ask),
  askFallback: optional(security),
  autoAllowSkills: optional(boolean()),
};
const entrySchema = object({
  /** The program: its real path, or its bare name where it is found in the node's PATH. */
  pattern: string({ minLength: 1, maxLength: 4096 }),
  id: optional(string({ minLength: 1, maxLength: 128 })),
  source: optional(oneOf(["allow-always"])),
  commandText: optional(string({ maxLength: 100_000 })),
  /** "sha256:..." of one exact command in one folder with one environment; absent: any arguments. */
  argPattern: optional(string({ pattern: "^sha256:[0-9a-f]{64}$" })),
  lastUsedAt: optional(number()),
  lastUsedCommand: optional(string()),
  lastResolvedPath: optional(string()),
});
const documentSchema = object({
  version: oneOf([1]),
  socket: optional(any()),
  defaults: optional(object(settings)),
  agents: optional(
    record(
      object({
        ...settings,
        allowlist: optional(array(entrySchema, { maxItems: 10_000 })),
        mcpTools: optional(any()),
      }),
    ),
  ),
});
type Document = schema.Static<typeof documentSchema>;
type Entry = schema.Static<typeof entrySchema>;

/** What the node itself wants to know of a command before it runs it. */
export interface RunPolicy {
  readonly security: "deny" | "allowlist" | "full";
  readonly ask: "off" | "on-miss" | "always";
}

/** A command as a rule can cover it. */
export interface RuleSubject {
  readonly agentId: string;
  /** The program's real path. */
  readonly program: string;
  /** Its name as it was called, when that was found in the PATH; undefined for a path. */
  readonly name: string | undefined;
  /** Of argv, folder, environment and agent. */
  readonly digest: string;
  /** False: it runs what its arguments or its input say, so no rule covers it. */
  readonly canRemember: boolean;
  readonly commandText: string;
}

export interface RulesFile {
  readonly path: string;
  read(): Promise<unknown>;
  write(value: unknown): Promise<void>;
}

/** The node's own rules for commands: exec-approvals.json in its state folder. It never runs more than they say. */
export interface NodeRules {
  policy(agentId: string): Promise<RunPolicy>;
  isListed(subject: RuleSubject): Promise<boolean>;
  remember(subject: RuleSubject, nowMs: number): Promise<void>;
  get(): Promise<Readonly<Record<string, unknown>>>;
  /** Throws an InputError for what is stale, or what this node would not follow. */
  set(file: unknown, baseHash: string | undefined): Promise<Readonly<Record<string, unknown>>>;
}

/** Without a file, or where it is silent: what is not listed takes a person's yes. */
const silent: RunPolicy = { security: "allowlist", ask: "on-miss" };

export function createNodeRules(file: RulesFile): NodeRules {
  async function read(): Promise<{ readonly stored: unknown; readonly document: Document }> {
    const stored = await file.read();
    return { stored, document: stored === undefined ? { version: 1 } : shaped(stored) };
  }

  const hashOf = (stored: unknown) =>
    stored === undefined ? "absent" : hash("sha256", canonicalJson(stored as Json));

  const entriesOf = (document: Document, agentId: string): readonly Entry[] =>
    [agentId, "*"].flatMap((id) => own(document.agents, id)?.allowlist ?? []);

  async function get() {
    const { stored, document } = await read();
    return {
      path: file.path,
      exists: stored !== undefined,
      hash: hashOf(stored),
      file: document,
      resolvedDefaults: {
        ...silent,
        ...defined(document.defaults),
        askFallback: "deny",
        autoAllowSkills: false,
      },
    };
  }

  return {
    async policy(agentId) {
      try {
        const { document } = await read();
        const layers = [document.defaults, own(document.agents, "*"), own(document.agents, agentId)];
        return Object.assign({}, silent, ...layers.map(defined)) as RunPolicy;
      } catch {
        // Rules that cannot be read allow nothing: one of them may have said "deny".
        return { security: "deny", ask: "always" };
      }
    },
    async isListed(subject) {
      if (!subject.canRemember) return false;
      const { document } = await read();
      return entriesOf(document, subject.agentId).some(
        ({ pattern, argPattern }) =>
          (pattern === subject.program || pattern === subject.name) &&
          (argPattern === undefined || argPattern === `sha256:${subject.digest}`),
      );
    },
    async remember(subject, nowMs) {
      if (!subject.canRemember) return;
      const { document } = await read();
      const agent = own(document.agents, subject.agentId);
      const entry: Entry = {
        pattern: subject.program,
        id: subject.digest.slice(0, 16),
        source: "allow-always",
        argPattern: `sha256:${subject.digest}`,
        commandText: subject.commandText,
        lastUsedAt: nowMs,
      };
      const others = (agent?.allowlist ?? []).filter((item) => item.argPattern !== entry.argPattern);
      await file.write({
        ...document,
        agents: { ...document.agents, [subject.agentId]: { ...agent, allowlist: [...others, entry] } },
      });
    },
    get,
    async set(wanted, baseHash) {
      const { stored } = await read().catch(() => ({ stored: null }));
      if (stored !== undefined && baseHash === undefined)
        throw new InputError(
          "exec approvals base hash required; re-run exec.approvals.node.get and retry with baseHash",
        );
      if (baseHash !== undefined && baseHash !== hashOf(stored))
        throw new InputError(
          "exec approvals changed since last load; re-run exec.approvals.node.get and retry",
        );
      await file.write(shaped(wanted));
      return get();
    },
  };
}

/** What is stored and not followed would be worse than none, so a rule in another form is refused. */
function shaped(value: unknown): Document {
  const [problem] = schema.check(documentSchema, value);
  if (problem)
    throw new InputError(
      `exec approvals file: ${schema.problemText(problem)}; a rule is {"pattern": "/usr/bin/uname"} (a program's path or name, no globs)`,
    );
  return value as Document;
}

function own<T>(map: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return map && Object.hasOwn(map, key) ? map[key] : undefined;
}

function defined(layer: Partial<RunPolicy> | undefined): Partial<RunPolicy> {
  return {
    ...(layer?.security === undefined ? {} : { security: layer.security }),
    ...(layer?.ask === undefined ? {} : { ask: layer.ask }),
  };
}
