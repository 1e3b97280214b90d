import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";
import { admit, refuse, type Verdict } from "../kernel/mod.ts";

/** What a client says of itself in `connect.device`; nothing of it is proved yet. */
export interface ClaimedDevice {
  readonly id: string;
  /** Raw 32 bytes in base64url (or base64), or a PEM of the public key. */
  readonly publicKey: string;
  /** 64 bytes in base64url or base64. */
  readonly signature: string;
  /** Unix ms. */
  readonly signedAt: number;
  readonly nonce: string;
}

/** What else of the `connect` frame the signature covers. */
export interface SignedFacts {
  readonly clientId: string;
  readonly clientMode: string;
  readonly role: string;
  /** In the order of the frame. */
  readonly scopes: readonly string[];
  /** auth.token, else auth.deviceToken, else auth.bootstrapToken, else "". */
  readonly token: string;
  readonly platform: string | undefined;
  readonly deviceFamily: string | undefined;
}

/** A device that holds the private key behind its id, proved for this connection only. */
export interface ProvedDevice {
  /** Lower-case hex SHA-256 of the raw public key. */
  readonly deviceId: string;
  /** Raw 32 bytes in base64url without padding: one spelling for each key. */
  readonly publicKey: string;
}

export const maxClockSkewMs = 120_000;

/**
 * Checks a device's identity: the id belongs to the key, the signature is fresh, made for this very challenge, and
 * covers what the frame asks for. Version 3 of the signed text is tried first, then version 2.
 */
export function verifyDevice(
  claimed: ClaimedDevice,
  facts: SignedFacts,
  expected: { readonly nonce: string; readonly nowMs: number },
): Verdict<ProvedDevice> {
  const known = publicKeyOf(claimed.publicKey);
  // Without this an attacker could sign with a key of his own under the id of a paired device.
  if (!known || hash("sha256", known.raw) !== claimed.id) return refuse("auth.device_identity_mismatch");
  if (Math.abs(expected.nowMs - claimed.signedAt) > maxClockSkewMs)
    return refuse("auth.device_signature_expired");
  if (claimed.nonce.trim() === "") return refuse("auth.device_nonce_missing");
  // A signature that was overheard on another connection answers another challenge.
  if (claimed.nonce !== expected.nonce) return refuse("auth.device_nonce_mismatch");
  const signature = decodeBase64(claimed.signature);
  if (signature?.length !== 64) return refuse("auth.device_signature_invalid");
  const proved = signedTexts(claimed, facts).some((text) =>
    verify(null, Buffer.from(text, "utf8"), known.key, signature),
  );
  if (!proved) return refuse("auth.device_signature_invalid");
  return admit({ deviceId: claimed.id, publicKey: known.raw.toString("base64url") });
}

/** The texts whose signature counts, newest version first. */
export function signedTexts(
  claimed: Pick<ClaimedDevice, "id" | "signedAt" | "nonce">,
  facts: SignedFacts,
): readonly string[] {
  const shared = [
    claimed.id,
    facts.clientId,
    facts.clientMode,
    facts.role,
    facts.scopes.join(","),
    String(claimed.signedAt),
    facts.token,
    claimed.nonce,
  ];
  return [
    ["v3", ...shared, deviceWord(facts.platform), deviceWord(facts.deviceFamily)].join("|"),
    ["v2", ...shared].join("|"),
  ];
}

/** A platform or device family as it is signed, pinned and compared: trimmed, ASCII lower case, "" when absent. */
export function deviceWord(text: string | undefined): string {
  return (text ?? "").trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** An Ed25519 key in one of the accepted spellings, with its raw 32 bytes; undefined for anything else. */
function publicKeyOf(text: string): { readonly raw: Buffer; readonly key: KeyObject } | undefined {
  const isPem = text.includes("-----BEGIN PUBLIC KEY-----");
  try {
    const key = createPublicKey(isPem ? text : { key: spkiOf(text), format: "der", type: "spki" });
    const der = key.export({ type: "spki", format: "der" });
    const isEd25519 = der.length === 44 && der.subarray(0, 12).equals(spkiPrefix);
    return isEd25519 ? { raw: der.subarray(12), key } : undefined;
  } catch {
    return undefined;
  }
}

/** Empty, which is no key, for anything but 32 bytes: a parser may overlook what comes after them. */
function spkiOf(text: string): Buffer {
  const raw = decodeBase64(text);
  return raw?.length === 32 ? Buffer.concat([spkiPrefix, raw]) : Buffer.alloc(0);
}

/** Buffer skips what is not base64; only text that is nothing else counts. */
function decodeBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  return Buffer.from(text.replaceAll("+", "-").replaceAll("/", "_"), "base64url");
}
