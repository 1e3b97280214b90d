import type { ApprovalsDocumentPort } from "../control/mod.ts";
import { InputError } from "../kernel/mod.ts";
import { execRule, execWords, houseRule, isInterpreter, runsWhatItIsTold } from "../policy/mod.ts";
import {
  type AgentApprovals,
  type ApprovalsDocument,
  type ApprovalsFile,
  type CommandRule,
  type HostWords,
  isCommandRule,
  isProgramRule,
  type ProgramRule,
  ruleId,
  rulesOf,
  type StoredRule,
} from "./approvals-file.ts";

/**
 * The host's document of standing rules, as clients read and replace it. What it says is what holds: a setting or an
 * entry that this gateway would not follow is refused, so that nobody takes it for a rule.
 */
export function createApprovalsDocument(
  file: ApprovalsFile,
  lastUsedAt: (ruleId: string) => number | undefined,
): ApprovalsDocumentPort {
  function shown(rule: StoredRule) {
    const usedAt = lastUsedAt(ruleId(rule));
    return { ...shownRule(rule), ...(usedAt === undefined ? {} : { lastUsedAt: usedAt }) };
  }

  async function get() {
    const { exists, hash, document } = await file.read();
    const agents = Object.entries(document.agents).map(([agentId, { allowlist: _, ...words }]) => [
      agentId,
      { ...wordsOf(words), allowlist: rulesOf(document, agentId).map(shown) },
    ]);
    const { defaults } = document;
    return {
      path: file.path,
      exists,
      file: {
        version: 1,
        ...(defaults ? { defaults: wordsOf(defaults) } : {}),
        agents: Object.fromEntries(agents),
      },
      hash,
      // By the document alone; of this and tools.exec in the config the stricter counts.
      resolvedDefaults: {
        ...execWords(execRule(defaults ?? {}, houseRule)),
        askFallback: "deny",
        autoAllowSkills: false,
      },
    };
  }

  return {
    get,
    async set(wanted, baseHash) {
      await file.change((now) => {
        if (now.exists && baseHash === undefined)
          throw new InputError(
            "exec approvals base hash required; re-run exec.approvals.get and retry with baseHash",
          );
        if (baseHash !== undefined && baseHash !== now.hash)
          throw new InputError("exec approvals changed since last load; re-run exec.approvals.get and retry");
        return wantedDocument(wanted, now.document);
      });
      return get();
    },
  };
}

function shownRule(rule: StoredRule) {
  if ("pattern" in rule) return { id: ruleId(rule), source: "manual", ...rule };
  const commandText = rule.command.join(" ");
  return { id: ruleId(rule), pattern: commandText, source: "allow-always", commandText, ...rule };
}

/** A document that a client wants in the place of this one; throws an InputError that names what would not be followed. */
export function wantedDocument(
  file: Readonly<Record<string, unknown>>,
  now: ApprovalsDocument,
): ApprovalsDocument {
  if (file.version !== 1) throw new InputError("exec approvals file: version must be 1");
  const known = new Map(
    Object.keys(now.agents).flatMap((id) => rulesOf(now, id).map((rule) => [ruleId(rule), rule] as const)),
  );
  const defaults = file.defaults === undefined ? undefined : hostWordsOf("defaults", file.defaults);
  const agents = file.agents ?? {};
  if (!isObject(agents)) throw new InputError("exec approvals file: agents must be an object");
  const entries = Object.entries(agents).map(([agentId, agent]): [string, AgentApprovals] => {
    const at = `agents.${agentId}`;
    const { allowlist = [], ...words } = isObject(agent) ? agent : {};
    if (!Array.isArray(allowlist))
      throw new InputError(`exec approvals file: ${at}.allowlist must be an array`);
    const rules = allowlist.map((entry, index) => ruleOf(entry, known, `${at}.allowlist[${index}]`));
    return [agentId, { ...hostWordsOf(at, words), allowlist: rules }];
  });
  return { version: 1, ...(defaults ? { defaults } : {}), agents: Object.fromEntries(entries) };
}

const words: Readonly<Record<keyof HostWords, readonly unknown[]>> = {
  security: ["deny", "allowlist", "full"],
  ask: ["off", "on-miss", "always"],
  // Without an answer nothing runs, whoever would have it otherwise (attack A-118).
  askFallback: ["deny"],
  autoAllowSkills: [false],
};

/** A stricter setting that is stored and not followed would be worse than none. */
function hostWordsOf(at: string, value: unknown): HostWords {
  const found: [string, unknown][] = Object.entries(isObject(value) ? value : { [String(value)]: true });
  for (const [name, word] of found) {
    const allowed = Object.hasOwn(words, name) ? words[name as keyof HostWords] : undefined;
    if (!allowed) throw new InputError(`exec approvals file: ${at}.${name} is not available here`);
    if (!allowed.includes(word))
      throw new InputError(
        `exec approvals file: ${at}.${name}: ${JSON.stringify(word)} is not available; it may be ${allowed.map((item) => JSON.stringify(item)).join(", ")}`,
      );
  }
  return Object.fromEntries(found);
}

/** Of what stands in the file, the words that mean something. */
function wordsOf(value: HostWords): HostWords {
  return Object.fromEntries(Object.entries(value).filter(([name]) => Object.hasOwn(words, name)));
}

function ruleOf(entry: unknown, known: ReadonlyMap<string, StoredRule>, at: string): StoredRule {
  const { id } = (isObject(entry) ? entry : {}) as { readonly id?: unknown };
  const same = typeof id === "string" ? known.get(id) : undefined;
  if (same) return same;
  const addedAt = (value: CommandRule | ProgramRule) =>
    typeof value.addedAt === "string" ? value.addedAt : "";
  if (isCommandRule(entry)) {
    const why = runsWhatItIsTold(entry.command);
    if (why !== undefined)
      throw new InputError(`exec approvals file: ${at}: no rule covers this command. ${why}`);
    return { command: entry.command, workdir: entry.workdir, addedAt: addedAt(entry) };
  }
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

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
