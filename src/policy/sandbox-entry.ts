import { type Refusal, refuse } from "../kernel/mod.ts";
import type { ExecSettings } from "./settings.ts";

/** What is known of the sandbox that a session must run in. */
export type SandboxFacts =
  | {
      readonly usable: true;
      readonly id: string;
      /** What a lasting yes is for: how it is isolated, whom it is shared with, what it sees of the workspace. */
      readonly entry: string;
      /** The same in words, to complete "It runs in ...". */
      readonly description: string;
      /** A lasting yes to this entry is there, for this agent. */
      readonly granted: boolean;
    }
  /** It failed its proof, or cannot be made. Nothing runs on the host instead. */
  | { readonly usable: false; readonly why: string };

interface Entry {
  readonly sandboxId: string;
  readonly name: string;
  /** What to tell whoever is asked; undefined: the command may enter without a question. */
  readonly ask: string | undefined;
  readonly canRemember: boolean;
}

/** May a command of this session enter its sandbox? Never out of it, whatever the call or the config asks for. */
export function entryTo(
  sandbox: SandboxFacts,
  { mode, asksAlways }: Pick<ExecSettings, "mode" | "asksAlways">,
  host: "sandbox" | "gateway" | undefined,
): Refusal | Entry {
  if (mode === "deny") return refuse("policy.exec_denied", "");
  if (host === "gateway") return refuse("policy.sandbox_required", "host: gateway");
  if (!sandbox.usable) return refuse("policy.sandbox_unavailable", sandbox.why);
  const entry = { sandboxId: sandbox.id, name: sandbox.entry, canRemember: !asksAlways };
  if (!asksAlways && (mode === "full" || sandbox.granted)) return { ...entry, ask: undefined };
  if (mode === "allowlist" && !sandbox.granted)
    return refuse("policy.exec_not_allowlisted", `entry to ${sandbox.description}`);
  return {
    ...entry,
    ask: asksAlways
      ? `It runs in ${sandbox.description}. Each command asks here (ask: "always").`
      : `It runs in ${sandbox.description}. "Always" lets this agent run any command there without asking.`,
  };
}
