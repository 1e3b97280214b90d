import { type KeyObject, verify } from "node:crypto";
import { admit, type Refusal, refuse, type Verdict } from "../kernel/mod.ts";

/** A public key of the issuer. The algorithm belongs to the key: what a token says of itself only has to agree. */
export interface AssertionKey {
  readonly algorithm: "RS256" | "ES256";
  readonly key: KeyObject;
}

export interface AssertionExpectation {
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: number;
}

const maxTokenChars = 8192;
/** What two machines' clocks may differ. */
const skewSeconds = 60;

/**
 * Who a signed assertion (RFC 7519, compact form) is about: its `email`.
 *
 * Only RS256 and ES256, each with a key of its own kind: `none`, and HMAC with the public key as the secret, are no
 * algorithms here (RFC 8725, section 3.1). Issuer, audience and expiry must be there; `nbf` and `iat` count when they
 * are. `auth.assertion_key_unknown` means that the issuer may have a newer key.
 */
export function verifyAssertion(
  token: string,
  expected: AssertionExpectation,
  keyOf: (keyId: string) => AssertionKey | undefined,
): Verdict<string> {
  if (token.length > maxTokenChars) return invalid("longer than an assertion is");
  const [head = "", body = "", signature = "", ...more] = token.split(".");
  const header = objectOf(head);
  if (!header || more.length > 0) return invalid("not a signed token");
  const { alg, kid, crit } = header;
  if (crit !== undefined) return invalid("it demands what is not understood here");
  if (typeof kid !== "string" || kid === "") return invalid("it names no key");
  const key = keyOf(kid);
  if (!key) return refuse("auth.assertion_key_unknown", kid.slice(0, 100));
  // The only list of algorithms there is: none, and HMAC with a public key, are no key's.
  if (key.algorithm !== alg) return invalid("signed by an algorithm that is not that of its key");
  const bytes = bytesOf(signature);
  if (!bytes || !isSigned(`${head}.${body}`, bytes, key)) return invalid("its signature does not fit");
  const claims = objectOf(body);
  return claims ? judgeClaims(claims, expected) : invalid("its claims cannot be read");
}

function judgeClaims(claims: Record<string, unknown>, expected: AssertionExpectation): Verdict<string> {
  const { iss, aud, exp, nbf, iat, email } = claims;
  const now = expected.nowMs / 1000;
  if (iss !== expected.issuer) return invalid("another issuer");
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(expected.audience)) return invalid("it is for another audience");
  if (!isTime(exp) || now >= exp + skewSeconds) return invalid("it has expired, or never would");
  for (const from of [nbf, iat])
    if (from !== undefined && (!isTime(from) || now < from - skewSeconds)) return invalid("not valid yet");
  return typeof email === "string" && email.trim() !== ""
    ? admit(email.trim())
    : invalid("it is about no person (no email)");
}

function isSigned(text: string, signature: Buffer, { algorithm, key }: AssertionKey): boolean {
  return algorithm === "ES256"
    ? verify("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }, signature)
    : verify("sha256", Buffer.from(text), key, signature);
}

function objectOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytesOf(part)?.toString("utf8") ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Base64url without padding, in its one spelling: Node's own reader passes over what it does not know. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, "base64url");
  return part !== "" && bytes.toString("base64url") === part ? bytes : undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function invalid(detail: string): Refusal {
  return refuse("auth.assertion_invalid", detail);
}
