import { CommandFailure } from "./failure.ts";

export type AllowRule = CommandAllowed | ProgramAllowed;

/** One exact command that an agent may run in one folder without asking. */
export interface CommandAllowed {
  readonly command: readonly string[];
  /** Relative to the agent's workspace; "." is the workspace itself. */
  readonly workdir: string;
  readonly addedAt: string;
}

/** A program that an agent may run with any arguments, by its real path. */
interface ProgramAllowed {
  readonly pattern: string;
  readonly addedAt: string;
}

/** exec-approvals.json: what the operator allowed for good. Keys that are not ours stay as they are. */
export interface AllowDocument {
  readonly version: 1;
  readonly agents: Readonly<Record<string, { readonly allowlist?: readonly AllowRule[] }>>;
}

/** Throws a CommandFailure for a document that is not of this shape: it is never overwritten. */
export function allowDocument(value: unknown, file: string): AllowDocument {
  if (value === undefined) return { version: 1, agents: {} };
  const document = value as Partial<AllowDocument> | null;
  const isOurs = document?.version === 1 && typeof document.agents === "object" && document.agents !== null;
  if (!isOurs)
    throw new CommandFailure(1, `${file}: expected {version: 1, agents: {...}}; mend or remove the file`);
  return document as AllowDocument;
}

export function rulesOf(document: AllowDocument, agent: string): readonly AllowRule[] {
  const rules = Object.hasOwn(document.agents, agent) ? document.agents[agent]?.allowlist : undefined;
  return Array.isArray(rules) ? rules : [];
}

export function withRules(
  document: AllowDocument,
  agent: string,
  allowlist: readonly AllowRule[],
): AllowDocument {
  return {
    ...document,
    agents: { ...document.agents, [agent]: { ...document.agents[agent], allowlist } },
  };
}

/** A rule for people. */
export function ruleText(rule: AllowRule): string {
  return "pattern" in rule ? `${rule.pattern} with any arguments` : commandText(rule.command);
}

/** The words as a shell would be given them; plain words stay as they are. */
export function commandText(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
