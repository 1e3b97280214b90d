import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import type { Random } from "../kernel/mod.ts";
import { type Address, parseAddress } from "./address.ts";

export interface CertificatePair {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

/** What every certificate says of itself. */
interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly random: Random;
}

/**
 * A self-signed server certificate (X.509 v3, RFC 5280) with a new P-256 key, which every client can check, unlike
 * Ed25519. `names` become subject alternative names: addresses as addresses, all else as DNS names. The key comes from
 * the system's generator: a key that a seed can repeat is none; `random` gives the serial number only.
 */
export function selfSigned(options: Validity & { readonly names: readonly string[] }): CertificatePair {
  const pair = newPair();
  const key = createPrivateKey(pair.privateKey);
  const cert = certificate(options, pair.publicKey, gatewayName, { name: gatewayName, key }, [
    ...serverExtensions(pair.publicKey),
    alternativeNames(options.names),
  ]);
  return { cert, key: pair.privateKey };
}

/** A certificate authority of this gateway's own, whose only use is to sign server certificates. */
export function makeAuthority(options: Validity): CertificatePair {
  const pair = newPair();
  const key = createPrivateKey(pair.privateKey);
  const cert = certificate(options, pair.publicKey, authorityName, { name: authorityName, key }, [
    // An authority for servers alone: it can make no other one.
    extension("2.5.29.19", true, sequence(element(0x01, Buffer.from([0xff])), integer(Buffer.from([0])))),
    // keyCertSign
    extension("2.5.29.15", true, element(0x03, Buffer.from([2, 0x04]))),
    subjectKeyId(pair.publicKey),
  ]);
  return { cert, key: pair.privateKey };
}

/** A server certificate for one host, with a new key, signed by what {@link makeAuthority} made. */
export function issueCertificate(
  authority: CertificatePair,
  options: Validity & { readonly host: string },
): CertificatePair {
  const pair = newPair();
  const key = createPrivateKey(authority.key);
  const issuerKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const cert = certificate(options, pair.publicKey, gatewayName, { name: authorityName, key }, [
    ...serverExtensions(pair.publicKey),
    // The issuer's key, so that of two authorities with one name the right one is tried.
    extension("2.5.29.35", false, sequence(element(0x80, keyId(issuerKey)))),
    alternativeNames([options.host]),
  ]);
  return { cert, key: pair.privateKey };
}

function newPair() {
  return generateKeyPairSync("ec", {
    namedCurve: "prime256v1",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}

/** PEM. */
function certificate(
  { notBeforeMs, notAfterMs, random }: Validity,
  publicKey: Buffer,
  subject: string,
  issuer: { readonly name: string; readonly key: KeyObject },
  extensions: readonly Buffer[],
): string {
  const algorithm = sequence(oid(ecdsaWithSha256));
  const toSign = sequence(
    element(0xa0, integer(Buffer.from([2]))),
    integer(positive(random.bytes(16))),
    algorithm,
    distinguishedName(issuer.name),
    sequence(time(notBeforeMs), time(notAfterMs)),
    distinguishedName(subject),
    publicKey,
    element(0xa3, sequence(...extensions)),
  );
  return pem(sequence(toSign, algorithm, bitString(sign("sha256", toSign, issuer.key))));
}

const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
const commonName = "2.5.4.3";
const gatewayName = "openclaw gateway";
const authorityName = "openclaw gateway egress";

function distinguishedName(name: string): Buffer {
  return sequence(set(sequence(oid(commonName), element(0x0c, Buffer.from(name)))));
}

function serverExtensions(publicKey: Buffer): Buffer[] {
  return [
    // Not an authority: a client that was told to trust this certificate trusts this gateway and nothing else.
    extension("2.5.29.19", true, sequence()),
    // digitalSignature, the one use that TLS 1.3 makes of the key.
    extension("2.5.29.15", true, element(0x03, Buffer.from([7, 0x80]))),
    extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"))),
    subjectKeyId(publicKey),
  ];
}

function subjectKeyId(publicKey: Buffer): Buffer {
  return extension("2.5.29.14", false, element(0x04, keyId(publicKey)));
}

function keyId(publicKey: Buffer): Buffer {
  return createHash("sha1").update(publicKey).digest();
}

function alternativeNames(names: readonly string[]): Buffer {
  return extension("2.5.29.17", false, sequence(...names.map(alternativeName)));
}

function alternativeName(name: string): Buffer {
  const address = parseAddress(name);
  return address ? element(0x87, addressBytes(address)) : element(0x82, Buffer.from(name, "ascii"));
}

function addressBytes(address: Address): Buffer {
  const width = address.family === 4 ? 8 : 32;
  return Buffer.from(address.value.toString(16).padStart(width, "0"), "hex");
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [element(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, element(0x04, value));
}

// --- DER (X.690): tag, length, content -------------------------------------------------------------------------------

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

/** Below 128 one byte; above, a byte that counts the bytes of the length. */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function sequence(...parts: Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

function set(...parts: Buffer[]): Buffer {
  return element(0x31, Buffer.concat(parts));
}

function integer(bytes: Buffer): Buffer {
  return element(0x02, bytes);
}

/** Sixteen random bytes as a positive integer of fixed length: RFC 5280 wants serial numbers above zero. */
function positive(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[0] = ((copy[0] as number) & 0x3f) | 0x40;
  return copy;
}

function bitString(bytes: Buffer): Buffer {
  return element(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** Seven bits a byte, all but the last with the top bit set. */
function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

/** UTCTime up to 2049, GeneralizedTime after it, as RFC 5280 wants. */
function time(ms: number): Buffer {
  const iso = new Date(ms).toISOString();
  const digits = `${iso.slice(0, 19).replace(/\D/g, "")}Z`;
  return iso < "2050" ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits));
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) as string[];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
