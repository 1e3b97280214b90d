/** A chat command as the gate sees it: a whole message that begins with a slash and a name that the system has. */
export interface CommandFact {
  readonly name: string;
  readonly isOwnerOnly: boolean;
}

/** The documented commands that any authorised sender may give. */
const open = `help commands tools status whoami id context tasks usage goal new reset compact stop name model models
  think t verbose v trace fast reasoning queue steer tell skill btw learn subagents agents session tts approve
  elevated elev exec`;
/** Those that change the system, or speak for it. */
const ownerOnly = `activation send config mcp plugins debug restart update export-session export-trajectory
  diagnostics loop login allowlist bash openclaw dreaming pair`;

const known: ReadonlyMap<string, boolean> = new Map([
  ...open.split(/\s+/).map((name) => [name, false] as const),
  ...ownerOnly.split(/\s+/).map((name) => [name, true] as const),
]);

/** Undefined for text that is no command: other words behind a slash ("/etc/hosts") are for the agent to read. */
export function commandOf(text: string): CommandFact | undefined {
  const match = /^\/([a-z][a-z-]*)(?:@\w+)?(?=\s|$)/i.exec(text.trim());
  const name = match?.[1]?.toLowerCase() ?? "";
  const isOwnerOnly = known.get(name);
  return isOwnerOnly === undefined ? undefined : { name, isOwnerOnly };
}
