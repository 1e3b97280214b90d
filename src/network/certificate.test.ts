import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { systemRandom } from "../kernel/mod.ts";
import { issueCertificate, makeAuthority, selfSigned } from "./certificate.ts";

const names = ["localhost", "gateway.example", "127.0.0.1", "::1", "2001:db8::a"];

function made(more: { readonly names?: readonly string[]; readonly notAfterMs?: number } = {}) {
  return selfSigned({
    names,
    notBeforeMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    notAfterMs: Date.UTC(2036, 0, 2, 3, 4, 5),
    random: systemRandom,
    ...more,
  });
}

test("network (10): a certificate that is made here is one: names, dates, purpose, and its own signature", () => {
  const pair = made();
  const certificate = new X509Certificate(pair.cert);
  assert.equal(certificate.verify(certificate.publicKey), true);
  assert.equal(certificate.checkPrivateKey(createPrivateKey(pair.key)), true);
  assert.equal(certificate.ca, false);
  assert.equal(certificate.subject, certificate.issuer);
  assert.equal(certificate.validFrom, "Jan  2 03:04:05 2026 GMT");
  assert.equal(certificate.validTo, "Jan  2 03:04:05 2036 GMT");
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  for (const name of ["localhost", "gateway.example"]) assert.equal(certificate.checkHost(name), name);
  assert.equal(certificate.checkHost("other.example"), undefined);
  for (const address of ["127.0.0.1", "::1", "2001:db8::a"])
    assert.equal(certificate.checkIP(address), address);
  assert.equal(certificate.checkIP("127.0.0.2"), undefined);
});

test("network (10): each has its own key and serial number; the number is positive", () => {
  const [first, second] = [new X509Certificate(made().cert), new X509Certificate(made().cert)];
  assert.notEqual(first.fingerprint256, second.fingerprint256);
  assert.notEqual(first.serialNumber, second.serialNumber);
  const serial = (byte: number) =>
    new X509Certificate(
      selfSigned({
        names: [],
        notBeforeMs: 0,
        notAfterMs: 1,
        random: { bytes: (length) => Buffer.alloc(length, byte) },
      }).cert,
    ).serialNumber;
  assert.equal(serial(0xff), `7F${"FF".repeat(15)}`);
  assert.equal(serial(0), `40${"00".repeat(15)}`);
});

test("network (10): dates from 2050 on, and names of any number, are written as they must be", () => {
  const late = new X509Certificate(made({ notAfterMs: Date.UTC(2050, 0, 1) }).cert);
  assert.equal(late.validTo, "Jan  1 00:00:00 2050 GMT");
  const many = Array.from({ length: 300 }, (_, index) => `host-${index}.gateway.example`);
  assert.equal(
    new X509Certificate(made({ names: many }).cert).checkHost("host-299.gateway.example"),
    "host-299.gateway.example",
  );
});

test("network (10): OpenSSL reads it, and finds nothing to complain about", (t) => {
  const { cert } = made();
  try {
    execFileSync("openssl", ["version"]);
  } catch {
    t.skip("openssl is not installed");
    return;
  }
  const text = execFileSync("openssl", ["x509", "-noout", "-text"], { input: cert, encoding: "utf8" });
  assert.match(text, /Version: 3/);
  assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
  assert.match(text, /ASN1 OID: prime256v1/);
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature/);
  assert.match(text, /X509v3 Subject Key Identifier/);
  assert.match(text, /DNS:localhost, DNS:gateway.example, IP Address:127.0.0.1/);
});

test("network (10): an authority signs certificates for one host each, which only who trusts it accepts", async (t) => {
  const validity = { notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + 60_000, random: systemRandom };
  const authority = makeAuthority(validity);
  const root = new X509Certificate(authority.cert);
  assert.equal(root.ca, true);
  assert.equal(root.verify(root.publicKey), true);
  const pair = issueCertificate(authority, { ...validity, host: "api.example" });
  const leaf = new X509Certificate(pair.cert);
  assert.deepEqual([leaf.ca, leaf.verify(root.publicKey), leaf.checkIssued(root)], [false, true, true]);
  assert.equal(leaf.checkHost("api.example"), "api.example");
  assert.equal(leaf.checkHost("gateway.example"), undefined);
  const server = createServer(pair, (socket) => socket.end("hello")).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ask = async (ca: string, servername = "api.example") => {
    const socket = connect({ host: "127.0.0.1", port, ca, servername });
    try {
      return String((await once(socket, "data"))[0]);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    } finally {
      socket.destroy();
    }
  };
  assert.equal(await ask(authority.cert), "hello");
  assert.equal(await ask(authority.cert, "other.example"), "ERR_TLS_CERT_ALTNAME_INVALID");
  // The same name, another key.
  assert.notEqual(await ask(makeAuthority(validity).cert), "hello");
});
