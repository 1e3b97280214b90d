import { InputError } from "../../kernel/mod.ts";
import { ConnectionLost, NoAnswer } from "./connection.ts";
import { SignInFault } from "./session.ts";

/** What a failed connection means, in words for the operator, and how long to wait. */
export function troubleOf(
  error: unknown,
  backoff: number,
  wasConnected: boolean,
): { readonly state: "reconnecting" | "failed"; readonly detail: string; readonly waitMs: number } {
  const again = `trying again in ${Math.ceil(backoff / 1000)} s`;
  if (error instanceof SignInFault) {
    // After a lost connection the server holds our own nick until it notices.
    const state = wasConnected && error.waitMs === 30_000 ? "reconnecting" : error.state;
    return { state, detail: error.message, waitMs: error.waitMs ?? backoff };
  }
  if (error instanceof InputError) {
    return { state: "failed", detail: `${error.message}; ${again}`, waitMs: backoff };
  }
  if (error instanceof ConnectionLost && /CERT|ALTNAME|SIGNATURE/.test(error.message)) {
    const detail = `the server's certificate cannot be trusted (${error.message}): check host, or name its authority in tlsCaFile; ${again}`;
    return { state: "failed", detail, waitMs: backoff };
  }
  if (error instanceof ConnectionLost || error instanceof NoAnswer) {
    const detail = `no connection to the IRC server: ${error.message}; check the network, host, port and tls; ${again}`;
    return { state: "reconnecting", detail, waitMs: backoff };
  }
  return { state: "failed", detail: `an error of our own, see the log; ${again}`, waitMs: backoff };
}
