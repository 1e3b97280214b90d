import { hash } from "node:crypto";
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { lockForWrite } from "../config/mod.ts";
import { type Clock, canonicalJson, InputError, type Json, type Random } from "../kernel/mod.ts";
import type { ExecWords, StandingRule } from "../policy/mod.ts";
import { ensureFolder, readJsonFile, writeJsonFile } from "../store/mod.ts";

export type StoredRule = CommandRule | ProgramRule;

/** One exact command in one folder. */
export interface CommandRule {
  readonly command: readonly string[];
  /** Relative to the agent's workspace ("." is the workspace itself); absolute: inside a sandbox. */
  readonly workdir: string;
  /** ISO 8601. */
  readonly addedAt: string;
}

/** A program, with any arguments. */
export interface ProgramRule {
  /** Its real path, absolute. */
  readonly pattern: string;
  readonly addedAt: string;
}

/** What asks on this host, beside the config: of both, the stricter counts. */
export interface HostWords extends Pick<ExecWords, "security" | "ask"> {
  readonly askFallback?: string;
  readonly autoAllowSkills?: boolean;
}

export interface AgentApprovals extends HostWords {
  readonly allowlist?: readonly StoredRule[];
}

/** exec-approvals.json of the state folder. Keys that are not ours stay as they are. */
export interface ApprovalsDocument {
  readonly version: 1;
  readonly defaults?: HostWords;
  /** By agent; "*" is for every one of them. */
  readonly agents: Readonly<Record<string, AgentApprovals>>;
}

export interface ReadApprovals {
  readonly document: ApprovalsDocument;
  readonly exists: boolean;
  /** Of what the file says; "absent" without one. */
  readonly hash: string;
}

/**
 * The one way in to the host's document, for the gateway and for commands beside it. Whoever changes it holds the
 * file's lock, reads what is there now, and replaces the whole: no writer undoes another's change.
 */
export interface ApprovalsFile {
  readonly path: string;
  /** Throws an InputError for a file that cannot be read or is none of ours: no rule holds then. */
  read(): Promise<ReadApprovals>;
  /** Which version is there: changes with every write. */
  stamp(): string;
  /** Throws an InputError when the file is not ours, when another writer does not end, or from `edit`. */
  change(edit: (now: ReadApprovals) => ApprovalsDocument): Promise<ReadApprovals>;
}

const none: ApprovalsDocument = { version: 1, agents: {} };

export function openApprovalsFile(ports: {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
}): ApprovalsFile {
  const { path } = ports;
  async function read(): Promise<ReadApprovals> {
    const stored = await readJsonFile(path);
    if (stored === undefined) return { document: none, exists: false, hash: "absent" };
    return {
      document: documentOf(stored, path),
      exists: true,
      hash: hash("sha256", canonicalJson(stored as Json)),
    };
  }

  return {
    path,
    read,
    stamp: () => stampOf(path),
    async change(edit) {
      await ensureFolder(dirname(path));
      const lock = await lockForWrite(path, ports.clock, ports.random);
      if (!lock) throw new InputError(`${path}: another program is writing it; try again in a moment`);
      try {
        const stamp = stampOf(path);
        const document = edit(await read());
        // An editor does not ask for the lock: look again right before the file is replaced.
        if (stampOf(path) !== stamp || !(await lock.held()))
          throw new InputError(`${path}: it changed while it was being written; nothing was, try again`);
        await writeJsonFile(path, document);
        return await read();
      } finally {
        await lock.release();
      }
    },
  };
}

export function documentOf(value: unknown, path: string): ApprovalsDocument {
  const document = value as Partial<ApprovalsDocument> | null;
  if (document?.version !== 1 || !isObject(document.agents))
    throw new InputError(`${path}: expected {version: 1, agents: {...}}; no rule holds until that is mended`);
  return document as ApprovalsDocument;
}

/** The rules of one agent that are rules: what else stands there allows nothing. */
export function rulesOf(document: ApprovalsDocument, agentId: string): readonly StoredRule[] {
  const list = Object.hasOwn(document.agents, agentId) ? document.agents[agentId]?.allowlist : undefined;
  return Array.isArray(list) ? list.filter(isRule) : [];
}

export function withRules(
  document: ApprovalsDocument,
  agentId: string,
  allowlist: readonly StoredRule[],
): ApprovalsDocument {
  const own = Object.hasOwn(document.agents, agentId) ? document.agents[agentId] : undefined;
  return { ...document, agents: { ...document.agents, [agentId]: { ...own, allowlist } } };
}

/** The document with what an allow-always keeps; the same one where all of it is there already. */
export function withStanding(
  document: ApprovalsDocument,
  agentId: string,
  { commands, workdir }: Pick<StandingRule, "commands" | "workdir">,
  addedAt: string,
): ApprovalsDocument {
  const rules = rulesOf(document, agentId);
  const known = new Set(rules.map(ruleId));
  const more = commands
    .map((command): CommandRule => ({ command, workdir, addedAt }))
    .filter((rule) => !known.has(ruleId(rule)));
  return more.length === 0 ? document : withRules(document, agentId, [...rules, ...more]);
}

/** A document's rules, to be asked about each command: what it costs does not grow with how many there are. */
export interface RuleIndex {
  readonly document: ApprovalsDocument;
  /** The id of the agent's rule for exactly this command in this folder. */
  command(agentId: string, words: readonly string[], workdir: string): string | undefined;
  program(agentId: string, path: string): string | undefined;
}

export function ruleIndex(document: ApprovalsDocument): RuleIndex {
  const ids = new Map<string, string>();
  const keyOf = (kind: string, agentId: string, words: readonly string[]) =>
    JSON.stringify([kind, agentId, ...words]);
  for (const agentId of Object.keys(document.agents)) {
    for (const rule of rulesOf(document, agentId)) {
      const key =
        "pattern" in rule
          ? keyOf("program", agentId, [rule.pattern])
          : keyOf("command", agentId, [rule.workdir, ...rule.command]);
      ids.set(key, ruleId(rule));
    }
  }
  return {
    document,
    command: (agentId, words, workdir) => ids.get(keyOf("command", agentId, [workdir, ...words])),
    program: (agentId, path) => ids.get(keyOf("program", agentId, [path])),
  };
}

/** What the document says of an agent's commands: the agent's own words, then those for every agent. */
export function hostWords(document: ApprovalsDocument, agentId: string): ExecWords {
  const own = Object.hasOwn(document.agents, agentId) ? document.agents[agentId] : undefined;
  const scopes = [own, document.agents["*"], document.defaults];
  const wordOf = (key: "security" | "ask") => scopes.find((scope) => scope?.[key] !== undefined)?.[key];
  return { security: wordOf("security"), ask: wordOf("ask") };
}

/** Says which rule it is, to a client that writes back only the fields that it knows. */
export function ruleId(rule: StoredRule): string {
  const words = "pattern" in rule ? ["program", rule.pattern] : [...rule.command, rule.workdir];
  return hash("sha256", canonicalJson(words)).slice(0, 16);
}

function isRule(value: unknown): value is StoredRule {
  return isCommandRule(value) || isProgramRule(value);
}

export function isProgramRule(value: unknown): value is ProgramRule {
  const rule = value as Partial<ProgramRule & CommandRule> | null;
  return typeof rule?.pattern === "string" && rule.pattern.startsWith("/") && rule.command === undefined;
}

export function isCommandRule(value: unknown): value is CommandRule {
  const rule = value as Partial<CommandRule> | null;
  return (
    Array.isArray(rule?.command) &&
    rule.command.length > 0 &&
    rule.command.every((word) => typeof word === "string") &&
    typeof rule.workdir === "string"
  );
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}` : "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
