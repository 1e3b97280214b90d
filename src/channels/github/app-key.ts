import { createPrivateKey, type KeyObject } from "node:crypto";
import type { Secret } from "../../kernel/mod.ts";

/**
 * An App's private key: PEM, with line ends or with "\n" in their place, or base64 of it. Throws for what is no RSA key
 * of 2048 bits and more.
 */
export function appKey(secret: Secret): KeyObject {
  const given = secret.reveal().replaceAll("\\n", "\n").trim();
  const pem = given.startsWith("-----BEGIN") ? given : Buffer.from(given, "base64").toString("utf8");
  const key = createPrivateKey(pem);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== "rsa" || bits < 2048) throw new Error("not an RSA key of 2048 bits");
  return key;
}
