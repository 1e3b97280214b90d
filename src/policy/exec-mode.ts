/**
 * deny: nothing runs. allowlist: listed commands run, the rest is refused. ask: the rest asks a person. auto: of the
 * rest, a second model may let through what it can judge, once; everything else asks a person. full: all runs.
 */
export type ExecMode = (typeof execModes)[number];

/** Strictest first. */
const execModes = ["deny", "allowlist", "ask", "auto", "full"] as const;

export interface ExecRule {
  readonly mode: ExecMode;
  /** Standing rules and safe programs count for nothing: whatever may run at all is asked about, each time. */
  readonly asksAlways?: boolean;
}

/** The keys as a scope of the config or of the host's document has them; `mode` says what the older pair says. */
export interface ExecWords {
  readonly mode?: string | undefined;
  readonly security?: string | undefined;
  readonly ask?: string | undefined;
}

/** Without a word the answer is to ask: an unset key never means "run anything". */
export const houseRule: ExecRule = Object.freeze({ mode: "ask", asksAlways: false });

/** What a scope's words come to, what they leave out being said by `base`. */
export function execRule(words: ExecWords, base: ExecRule): ExecRule {
  const mode = execModes.find((known) => known === words.mode);
  if (mode) return { mode, asksAlways: false };
  const { security } = words;
  if (security === "deny") return { mode: "deny", asksAlways: false };
  const ask = words.ask ?? (security === undefined ? undefined : askOf(base));
  if (ask === "always") return { mode: base.mode === "deny" ? "deny" : "ask", asksAlways: true };
  if (security !== undefined && ask === "off")
    return { mode: security === "full" ? "full" : "allowlist", asksAlways: false };
  // "off" alone takes nothing away: of what is not listed it does not say whether it runs or is refused.
  if (ask === undefined || (security === undefined && (ask === "off" || base.mode === "deny"))) return base;
  return { mode: "ask", asksAlways: false };
}

/** Of two rules, for each of their parts the one that lets less happen. */
export function stricter(a: ExecRule, b: ExecRule): ExecRule {
  const mode = execModes.indexOf(a.mode) <= execModes.indexOf(b.mode) ? a.mode : b.mode;
  return { mode, asksAlways: a.asksAlways === true || b.asksAlways === true };
}

/** The older pair of keys that says the same. */
export function execWords({ mode, asksAlways }: ExecRule): {
  readonly security: "deny" | "allowlist" | "full";
  readonly ask: "off" | "on-miss" | "always";
} {
  const security = mode === "deny" || mode === "full" ? mode : "allowlist";
  return { security, ask: asksAlways ? "always" : mode === "ask" || mode === "auto" ? "on-miss" : "off" };
}

function askOf(base: ExecRule): string {
  return execWords(base).ask;
}
