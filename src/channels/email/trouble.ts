import { InputError } from "../../kernel/mod.ts";
import { LoginRefused, LoginUnreachable } from "./login.ts";

const revokedWaitMs = 300_000;

/** What a failed connection means, in words for the operator, and how long to wait. */
export function troubleOf(
  error: unknown,
  backoffMs: number,
): {
  readonly state: "reconnecting" | "failed";
  readonly detail: string;
  readonly waitMs: number;
  readonly isOurs: boolean;
} {
  const again = `trying again in ${Math.ceil(backoffMs / 1000)} s`;
  const facts = error as {
    readonly authenticationFailed?: unknown;
    readonly code?: unknown;
    readonly responseStatus?: unknown;
    readonly tlsFailed?: unknown;
  };
  if (error instanceof LoginRefused || facts.authenticationFailed === true) {
    const why = error instanceof LoginRefused ? error.message : "the mail server refused the login";
    const detail = `${why}; correct password or oauth2 of channels.email and restart the channel`;
    return { state: "failed", detail, waitMs: revokedWaitMs, isOurs: false };
  }
  if (error instanceof InputError) {
    return { state: "failed", detail: `${error.message}; ${again}`, waitMs: backoffMs, isOurs: false };
  }
  const code =
    typeof facts.code === "string" && /^[A-Z0-9_]{1,60}$/i.test(facts.code) ? facts.code : undefined;
  if (/CERT|ALTNAME|SIGNATURE/.test(code ?? "") || facts.tlsFailed === true) {
    const detail = `the mail server's certificate cannot be trusted (${code ?? "TLS"}): check host, or name its authority in tlsCaFile; ${again}`;
    return { state: "failed", detail, waitMs: backoffMs, isOurs: false };
  }
  if (facts.responseStatus === "NO" || facts.responseStatus === "BAD") {
    const detail = `the mail server refused a command: check the name of mailbox; ${again}`;
    return { state: "failed", detail, waitMs: backoffMs, isOurs: false };
  }
  const isOurs = error instanceof TypeError || error instanceof RangeError;
  const why = error instanceof LoginUnreachable ? error.message : (code ?? "the connection was lost");
  const detail = `no connection to the mail server: ${why}; check the network, host and port; ${again}`;
  return { state: "reconnecting", detail, waitMs: backoffMs, isOurs };
}
