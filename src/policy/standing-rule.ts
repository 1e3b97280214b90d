/** What a lasting yes allows one agent, and nothing else: exact commands in one folder. Never empty. */
export interface StandingRule {
  readonly commands: readonly (readonly string[])[];
  /** Relative to the agent's workspace ("." is the workspace itself); absolute: inside a sandbox. */
  readonly workdir: string;
  /** The same for whoever is asked, shown before it is kept. */
  readonly text: string;
}

const insideSandbox = "/workspace";

export function ruleForCommands(
  agentId: string,
  commands: StandingRule["commands"],
  workdir: string,
): StandingRule {
  const place = workdir === "." ? "its workspace" : `${workdir} of its workspace`;
  const shown = commands.map(shellText).join("; or ");
  return { commands, workdir, text: `Agent ${agentId} may run exactly this in ${place}: ${shown}` };
}

/** Entry to a sandbox. No command of the host stands in an absolute folder, so neither covers the other. */
export function ruleForEntry(agentId: string, entry: string): StandingRule {
  return { ...entryRule(entry), text: `Agent ${agentId} may run anything in its sandbox (${entry})` };
}

/** How entry to a sandbox stands among the rules. */
export function entryRule(entry: string): { commands: readonly [readonly string[]]; workdir: string } {
  return { commands: [["sandbox", entry]], workdir: insideSandbox };
}

/** The words as a shell would be given them; plain words stay as they are. */
export function shellText(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
