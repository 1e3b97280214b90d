import { hash } from "node:crypto";
import type { ApprovalsDocumentPort } from "../control/mod.ts";
import { canonicalJson, InputError, type Json } from "../kernel/mod.ts";
import { isInterpreter } from "../policy/mod.ts";
import { ensureFolder, readJsonFile, writeJsonFile } from "../store/mod.ts";

type StoredRule = CommandRule | ProgramRule;

/** One exact command in one folder. */
interface CommandRule {
  readonly command: readonly string[];
  readonly workdir: string;
  readonly addedAt: string;
}

/** A program, with any arguments. */
interface ProgramRule {
  /** Its real path, absolute. */
  readonly pattern: string;
  readonly addedAt: string;
}

/**
 * The host's document of standing rules, as clients read and replace it. What it says is what holds: a setting or an
 * entry that this gateway would not follow is refused, so that nobody takes it for a rule.
 */
export function createApprovalsDocument(ports: {
  readonly file: string;
  readonly folder: string;
}): ApprovalsDocumentPort {
  async function read() {
    const stored = await readJsonFile(ports.file);
    if (stored !== undefined && !(isObject(stored) && stored.version === 1 && isObject(stored.agents)))
      throw new InputError(
        `${ports.file}: expected {version: 1, agents: {...}}; no rule holds until that is mended`,
      );
    const agents = agentsOf(stored);
    return {
      exists: stored !== undefined,
      hash: stored === undefined ? "absent" : hash("sha256", canonicalJson(stored as Json)),
      agents,
    };
  }

  async function get() {
    const { exists, hash: current, agents } = await read();
    const shown = Object.entries(agents).map(([agentId, rules]) => [
      agentId,
      { allowlist: rules.map(shownRule) },
    ]);
    return {
      path: ports.file,
      exists,
      file: { version: 1, agents: Object.fromEntries(shown) },
      hash: current,
      // What asks and what does not comes from the config; this is what it comes to for a turn that others wrote.
      resolvedDefaults: {
        security: "allowlist",
        ask: "on-miss",
        askFallback: "deny",
        autoAllowSkills: false,
      },
    };
  }

  return {
    get,
    async set(file, baseHash) {
      const before = await read();
      if (before.exists && baseHash === undefined)
        throw new InputError(
          "exec approvals base hash required; re-run exec.approvals.get and retry with baseHash",
        );
      if (baseHash !== undefined && baseHash !== before.hash)
        throw new InputError("exec approvals changed since last load; re-run exec.approvals.get and retry");
      const known = new Map(
        Object.values(before.agents).flatMap((rules) => rules.map((rule) => [ruleId(rule), rule] as const)),
      );
      const agents = wantedAgents(file, known);
      await ensureFolder(ports.folder);
      await writeJsonFile(ports.file, { version: 1, agents });
      return get();
    },
  };
}

function shownRule(rule: StoredRule) {
  if ("pattern" in rule) return { id: ruleId(rule), source: "manual", ...rule };
  const commandText = rule.command.join(" ");
  return { id: ruleId(rule), pattern: commandText, source: "allow-always", commandText, ...rule };
}

/** Says which rule it is to a client that writes back only the fields that it knows. */
function ruleId(rule: StoredRule): string {
  const words = "pattern" in rule ? ["program", rule.pattern] : [...rule.command, rule.workdir];
  return hash("sha256", canonicalJson(words)).slice(0, 16);
}

function agentsOf(stored: unknown): Record<string, readonly StoredRule[]> {
  if (stored === undefined) return {};
  const { agents } = stored as {
    readonly agents?: Readonly<Record<string, { allowlist?: readonly unknown[] }>>;
  };
  return Object.fromEntries(
    Object.entries(agents ?? {}).map(([agentId, agent]) => [
      agentId,
      (agent?.allowlist ?? []).filter(isRule),
    ]),
  );
}

function isRule(value: unknown): value is StoredRule {
  return isCommandRule(value) || isProgramRule(value);
}

function isProgramRule(value: unknown): value is ProgramRule {
  const rule = value as Partial<ProgramRule & CommandRule> | null;
  return typeof rule?.pattern === "string" && rule.pattern.startsWith("/") && rule.command === undefined;
}

function isCommandRule(value: unknown): value is CommandRule {
  const rule = value as Partial<CommandRule> | null;
  return (
    Array.isArray(rule?.command) &&
    rule.command.length > 0 &&
    rule.command.every((word) => typeof word === "string") &&
    typeof rule.workdir === "string"
  );
}

function wantedAgents(
  file: Readonly<Record<string, unknown>>,
  known: ReadonlyMap<string, StoredRule>,
): Record<string, { readonly allowlist: readonly StoredRule[] }> {
  if (file.version !== 1) throw new InputError("exec approvals file: version must be 1");
  refuseSettings("defaults", file.defaults);
  const agents = file.agents ?? {};
  if (!isObject(agents)) throw new InputError("exec approvals file: agents must be an object");
  return Object.fromEntries(
    Object.entries(agents).map(([agentId, agent]) => {
      const at = `agents.${agentId}`;
      const { allowlist = [], ...settings } = isObject(agent) ? agent : {};
      refuseSettings(at, settings);
      if (!Array.isArray(allowlist))
        throw new InputError(`exec approvals file: ${at}.allowlist must be an array`);
      return [
        agentId,
        { allowlist: allowlist.map((entry, index) => ruleOf(entry, known, `${at}.allowlist[${index}]`)) },
      ];
    }),
  );
}

function ruleOf(entry: unknown, known: ReadonlyMap<string, StoredRule>, at: string): StoredRule {
  const { id } = (isObject(entry) ? entry : {}) as { readonly id?: unknown };
  const same = typeof id === "string" ? known.get(id) : undefined;
  if (same) return same;
  const addedAt = (value: CommandRule | ProgramRule) =>
    typeof value.addedAt === "string" ? value.addedAt : "";
  if (isCommandRule(entry))
    return { command: entry.command, workdir: entry.workdir, addedAt: addedAt(entry) };
  if (isProgramRule(entry) && !/[*?[\]]/.test(entry.pattern)) {
    if (isInterpreter(entry.pattern))
      throw new InputError(
        `exec approvals file: ${at}: ${entry.pattern} runs whatever it is given, so a rule for it would allow anything; list exact commands, or answer its questions one by one`,
      );
    return { pattern: entry.pattern, addedAt: addedAt(entry) };
  }
  throw new InputError(
    `exec approvals file: ${at}: a rule is an exact command, {command: ["git", "status"], workdir: "."}, or the absolute path of one program, {pattern: "/usr/bin/uptime"}; no wildcards`,
  );
}

/** A stricter setting that is stored and not followed would be worse than none. */
function refuseSettings(at: string, settings: unknown): void {
  if (settings === undefined) return;
  const [name] = Object.keys(isObject(settings) ? settings : { [String(settings)]: true });
  if (name !== undefined)
    throw new InputError(
      `exec approvals file: ${at}.${name} is not available here; set tools.exec in the config`,
    );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
