import { fields, text } from "./untrusted.ts";
import { sessionPath, signInPath, signOutPath } from "./wire.ts";

export type SignInResult = { readonly ok: true } | { readonly ok: false; readonly message: string };

type Credential = { readonly ticket: string } | { readonly token: string };

/**
 * Takes the one-time ticket out of `#signin=...` and out of the address bar and the history, before anything
 * else can copy it. A query string is never looked at: no link can point this page at another gateway.
 */
export function takeTicket(location: Location, history: History): string | undefined {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("signin");
  if (ticket === null) return undefined;
  history.replaceState(null, "", location.pathname);
  return ticket;
}

/** Trades a ticket or the gateway's token for the session cookie, which no script can read. */
export async function signIn(credential: Credential): Promise<SignInResult> {
  const answer = await post(signInPath, credential);
  if (answer === undefined) return { ok: false, message: unreachable };
  if (answer.ok) return { ok: true };
  return { ok: false, message: await refusalText(answer) };
}

export async function signOut(): Promise<void> {
  await post(signOutPath, {});
}

/** "unknown" when the gateway could not be reached. */
export async function askSignedIn(): Promise<"yes" | "no" | "unknown"> {
  try {
    const answer = await fetch(sessionPath, { cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) return "no";
    return answer.ok ? "yes" : "unknown";
  } catch {
    return "unknown";
  }
}

const unreachable = "The gateway did not answer. Check that it is running, then try again.";

async function post(path: string, body: unknown): Promise<Response | undefined> {
  try {
    return await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      redirect: "error",
    });
  } catch {
    return undefined;
  }
}

async function refusalText(answer: Response): Promise<string> {
  try {
    const error = fields(fields(await answer.json()).error);
    if (text(error.message) !== "") return text(error.message);
  } catch {
    // Not JSON; the status says enough.
  }
  return `The gateway refused the sign-in (HTTP ${answer.status}). Ask it for a new sign-in link.`;
}
