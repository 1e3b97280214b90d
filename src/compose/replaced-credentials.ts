import type { AuthSettings, BrowserSessions, Principal, SetupCodes } from "../auth/mod.ts";
import type { Revocation } from "./revocation.ts";

/** What a reload may have put in the place of something else. */
export interface Replaced {
  readonly auth: { readonly before: AuthSettings; readonly after: AuthSettings };
  readonly hooksToken: { readonly before: unknown; readonly after: unknown };
  /** Of those whom a proxy or Tailscale signed in: who is still who he was. */
  readonly staysSignedIn: (who: Pick<Principal, "method" | "user">) => boolean;
}

/** Ends what credentials let in that are no more: connections, sessions, tickets, codes, and runs. */
export async function endReplaced(
  { auth, hooksToken, staysSignedIn }: Replaced,
  parts: {
    /** Ends the connections of these principals; gives their ids. */
    readonly operator: {
      revoke(isOver: (principal: Principal) => boolean, reason: string): readonly string[];
    };
    readonly revocation: Pick<Revocation, "cancelOf" | "review">;
    readonly browserSessions: Pick<BrowserSessions, "closeAll">;
    readonly setupCodes: Pick<SetupCodes, "revokeAll">;
  },
): Promise<void> {
  const { operator, revocation } = parts;
  const over = new Set(
    operator.revoke(
      (who) => ["trusted-proxy", "tailscale"].includes(who.method) && !staysSignedIn(who),
      "gateway auth changed",
    ),
  );
  const isReplaced =
    auth.before.mode !== auth.after.mode || auth.before.secret?.reveal() !== auth.after.secret?.reveal();
  if (isReplaced) {
    // Whoever came in with the old secret must prove the new one, and so must what was opened with it.
    parts.setupCodes.revokeAll();
    await parts.browserSessions.closeAll();
    const methods = ["none", "token", "password", "browser-session"];
    const ended = operator.revoke(({ method }) => methods.includes(method), "gateway auth changed");
    for (const id of ended) over.add(id);
  }
  const hooksOver = hooksToken.before !== hooksToken.after;
  revocation.cancelOf((author) => {
    if (over.has(author)) return true;
    if (author === "operator" || author.startsWith("browser:")) return isReplaced;
    if (author.startsWith("hook:")) return hooksOver;
    const user = author.startsWith("user:") ? author.slice("user:".length) : undefined;
    return user !== undefined && !staysSignedIn({ method: "trusted-proxy", user });
  });
  // Who may talk on a channel stands in the same file.
  await revocation.review();
}
