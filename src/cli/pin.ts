import { timingSafeEqual } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ClientOptions } from "ws";
import { UsageError } from "./failure.ts";

/** The gateway's certificate is another one than the one that was pinned. */
export class CertificateMismatch extends Error {
  /** As a person compares it: colon-separated capitals. */
  readonly found: string;
  constructor(found: string) {
    super(`the certificate has the SHA-256 fingerprint ${found}`);
    this.name = "CertificateMismatch";
    this.found = found;
  }
}

/**
 * A SHA-256 fingerprint as people write it: hex, with or without colons and "sha256:" before it. Gives 64 lower-case
 * digits. `name` is the setting, for the error.
 */
export function parseFingerprint(text: string, name: string): string {
  const digits = text
    .trim()
    .replace(/^sha-?256[:/=]?/i, "")
    .replaceAll(":", "")
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw new UsageError(
    `${name} is no SHA-256 fingerprint: it has 64 hexadecimal digits, as the gateway's log and openclaw gateway status show them`,
  );
}

/**
 * Options for a WebSocket that talks to the certificate with this fingerprint only, whoever signed it; without one the
 * system's authorities decide. The certificate is looked at before a byte of the request goes out. `seen` gets the
 * fingerprint of the certificate that was accepted.
 */
export function pinning(fingerprint: string | undefined, seen: (fingerprint: string) => void): ClientOptions {
  return {
    ...(fingerprint === undefined ? {} : { rejectUnauthorized: false }),
    finishRequest(request) {
      request.once("socket", (socket) => {
        if (!("getPeerCertificate" in socket)) return void request.end();
        const stream = socket as TLSSocket;
        stream.once("secureConnect", () => {
          const { fingerprint256 } = stream.getPeerCertificate();
          if (fingerprint !== undefined && !isSame(fingerprint256, fingerprint)) {
            request.destroy(new CertificateMismatch(fingerprint256));
            return;
          }
          seen(fingerprint256);
          request.end();
        });
      });
    },
  };
}

function isSame(found: string | undefined, pinned: string): boolean {
  const bytes = Buffer.from((found ?? "").replaceAll(":", ""), "hex");
  const wanted = Buffer.from(pinned, "hex");
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}
