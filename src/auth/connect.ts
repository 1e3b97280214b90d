import { admit, refuse, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import { makePrincipal, type Principal } from "./principal.ts";
import { operatorScopes } from "./scopes.ts";
import type { AuthSettings } from "./settings.ts";

/** What a WebSocket client presents in `connect`, after its shape was checked. */
export interface Presented {
  readonly clientId: string;
  readonly clientMode: string;
  readonly role: string;
  readonly scopes: readonly string[];
  readonly token?: string;
  readonly password?: string;
  /** The id of the browser session whose valid cookie came with the upgrade. */
  readonly browserSession?: string;
}

/**
 * Decides who a WebSocket client is.
 *
 * A browser session stands for the operator who opened it, and gets what it asks for of the known scopes. The
 * shared secret stands for the operator too, but a client that shows no device keeps its claimed scopes only as
 * one of the two command-line kinds on direct loopback; everybody else gets none (advisory GHSA-rqpp-rjj8-7wv8:
 * scopes that a client merely declares).
 */
export function authenticateConnect(
  presented: Presented,
  arrival: Arrival,
  settings: AuthSettings,
): Verdict<Principal> {
  if (presented.role !== "operator") return refuse("auth.role_invalid", presented.role);
  const known = presented.scopes.filter((scope) => (operatorScopes as readonly string[]).includes(scope));
  if (presented.browserSession !== undefined) {
    return admit(makePrincipal(`browser:${presented.browserSession}`, known, "browser-session"));
  }
  if (isPage(presented)) return refuse("auth.device_required", presented.clientId);
  const proved = checkSecret(presented, settings);
  if (!proved.ok) return proved;
  return admit(
    makePrincipal("operator", keepsScopes(presented, arrival) ? presented.scopes : [], proved.value),
  );
}

/** Checks the shared secret of a request; the value is how it was proved. */
export function checkSecret(
  presented: { readonly token?: string; readonly password?: string },
  settings: AuthSettings,
): Verdict<"token" | "password" | "none"> {
  if (settings.mode === "none") return admit("none");
  const { secret, mode } = settings;
  // Either field may carry the secret; when both came, the one that fits the mode counts.
  const given =
    mode === "password" ? (presented.password ?? presented.token) : (presented.token ?? presented.password);
  if (secret === undefined || given === undefined || given === "") return refuse("auth.secret_missing");
  return secret.equals(given) ? admit(mode) : refuse("auth.secret_mismatch");
}

function isPage(presented: Presented): boolean {
  return presented.clientMode === "ui" || presented.clientMode === "webchat";
}

function keepsScopes(presented: Presented, arrival: Arrival): boolean {
  if (!arrival.isLocal) return false;
  const kind = `${presented.clientId}/${presented.clientMode}`;
  return kind === "cli/cli" || kind === "gateway-client/backend";
}
