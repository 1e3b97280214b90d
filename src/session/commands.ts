/** A chat command: a whole message that starts with a slash. */
export interface ChatCommand {
  readonly name:
    | "new"
    | "reset"
    | "compact"
    | "stop"
    | "status"
    | "help"
    | "approve"
    | "whoami"
    | "activation";
  /** Words after the name. */
  readonly args: readonly string[];
  /** Text after `/new` or `/reset`: the first message of the fresh conversation. */
  readonly rest: string;
}

const noTriggers: ReadonlySet<string> = new Set();
const names = new Set<string>([
  "new",
  "reset",
  "compact",
  "stop",
  "status",
  "help",
  "approve",
  "whoami",
  "activation",
]);

/**
 * Undefined for text that is no command we know: the agent reads it as it is. `resetTriggers` are further whole
 * messages, in lower case, that mean `/reset`.
 */
export function parseChatCommand(
  text: string,
  resetTriggers: ReadonlySet<string> = noTriggers,
): ChatCommand | undefined {
  if (resetTriggers.has(text.trim().toLowerCase())) return { name: "reset", args: [], rest: "" };
  const match = /^\/([a-z]+)(?:@\w+)?(?:\s+([\s\S]*))?$/i.exec(text.trim());
  const name = match?.[1]?.toLowerCase() ?? "";
  if (!names.has(name)) return undefined;
  const rest = (match?.[2] ?? "").trim();
  return { name: name as ChatCommand["name"], args: rest === "" ? [] : rest.split(/\s+/), rest };
}

export const chatHelp = [
  "/new or /reset - start a fresh conversation",
  "/compact [focus] - condense what was said so far",
  "/stop - stop the reply that is being written",
  "/status - model, session and tokens",
  "/whoami - your id on this channel",
  "/approve <id> allow-once|allow-always|deny - answer an approval (owner only)",
  "/activation mention|always - in a group: when the agent answers (owner only)",
  "/help - this list",
].join("\n");
