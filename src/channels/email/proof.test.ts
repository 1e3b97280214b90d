import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { automaticReason } from "./automatic.ts";
import { headersOf, splitOutsideQuotes, withoutComments } from "./headers.ts";
import { fromOf } from "./proof.ts";
import { addressOf } from "./settings.ts";

const server = "mx.house.test";

function from(text: string, authservId: string | undefined = server) {
  return fromOf(headersOf(Buffer.from(text)), authservId);
}

const isProved = (results: string, sender = "ada@example.org") =>
  from(`Authentication-Results: ${results}\nFrom: ${sender}\n`).isProved;

test("email (1): From alone proves nothing (attack A-056)", () => {
  assert.deepEqual(from("From: ada@example.org\n"), { address: "ada@example.org", isProved: false });
});

test("email (1): the receiving server's DMARC result proves the address, in every form that servers write", () => {
  for (const results of [
    `${server}; dmarc=pass header.from=example.org`,
    `${server} 1; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org`,
    `MX.House.Test; spf=pass smtp.mailfrom=ada@example.org; dkim=pass header.d=other.example; dmarc=pass action=none`.replace(
      "action=none",
      'header.from="example.org"',
    ),
    `${server};\n dkim=pass header.i=@example.org header.s=20230601 header.b=abc/def=;\n spf=pass (x: y; z) smtp.mailfrom=ada@example.org;\n dmarc=pass (p=NONE) header.from=example.org`,
    `${server}; dmarc = pass header.from = Example.ORG`,
    `${server}; dkim=pass header.d=example.org`,
    `${server}; dkim=pass header.i=@example.org`,
    `${server}; dkim=fail header.d=bad.test; dkim=pass (2048-bit key) header.d=example.org header.i=@example.org`,
    `${server}; dmarc=none header.from=example.org; dkim=pass header.d=example.org`,
  ]) {
    assert.equal(isProved(results), true, results);
  }
});

test("email (1): results of others, failures, and results for another domain prove nothing", () => {
  for (const results of [
    "evil.test; dmarc=pass header.from=example.org",
    `x${server}; dmarc=pass header.from=example.org`,
    `${server}.evil.test; dmarc=pass header.from=example.org`,
    `${server} 2; dmarc=pass header.from=example.org`,
    `${server}; none`,
    `${server}`,
    "",
    `${server}; dmarc=fail header.from=example.org; dkim=pass header.d=example.org`,
    `${server}; dmarc=pass header.from=evil.test`,
    `${server}; dmarc=pass`,
    `${server}; dmarc=pass header.from=`,
    `${server}; dmarc=pass header.from=sub.example.org`,
    `${server}; dmarc=pass header.from=org`,
    `${server}; dkim=pass header.d=evil.test header.i=@evil.test`,
    `${server}; dkim=pass header.d=evil.test header.i=@example.org`,
    `${server}; dkim=neutral header.d=example.org`,
    `${server}; spf=pass smtp.mailfrom=ada@example.org`,
    `${server}; spf=pass smtp.mailfrom=example.org; auth=pass smtp.auth=ada@example.org`,
  ]) {
    assert.equal(isProved(results), false, results);
  }
});

test("email (1): a sender's words inside of a result are not results", () => {
  for (const results of [
    // The envelope address, a comment and a reason are all of the sender's making.
    `${server}; spf=pass smtp.mailfrom="x; dmarc=pass header.from=example.org"@evil.test`,
    `${server}; spf=pass smtp.mailfrom=x; dmarc=pass header.from=example.org; dmarc=fail header.from=evil.test`,
    `${server}; spf=fail (by; dmarc=pass header.from=example.org) smtp.mailfrom=evil.test`,
    `${server}; spf=fail (\\); dmarc=pass header.from=example.org (`,
    `${server}; spf=fail smtp.mailfrom="; dmarc=pass header.from=example.org`,
    `${server}; spf=fail reason="\\"; dmarc=pass header.from=example.org"`,
    `${server}; dmarc=pass header.from=evil.test header.from=example.org`,
    `${server}; dkim=pass header.d=evil.test header.d=example.org`,
    `${server}; spf=pass smtp.mailfrom=x) dmarc=pass header.from=example.org`,
    `${server}; dmarc=pass smtp.helo dmarc header.from=example.org`,
    // A field that does not close is not read at all.
    `${server}; dmarc=pass header.from=example.org; spf=fail (`,
    `${server}; dmarc=pass header.from=example.org; spf=fail smtp.mailfrom="`,
    `(${server}; dmarc=pass header.from=example.org`,
  ]) {
    assert.equal(isProved(results), false, results);
  }
});

test("email (1): only the topmost result counts; one that the sender put below it does not", () => {
  const forged = `Authentication-Results: ${server}; dmarc=pass header.from=example.org\n`;
  const sender = "From: ada@example.org\n";
  const top = (text: string) => from(text + forged + sender).isProved;
  assert.equal(top(`Authentication-Results: ${server}; dmarc=fail header.from=example.org\n`), false);
  assert.equal(top(`Authentication-Results: ${server}; none\n`), false);
  assert.equal(top("Authentication-Results: relay.test; none\n"), false);
  assert.equal(top(""), true, "which is why the server has to write one into each message");
  assert.equal(
    from(`X-Authentication-Results: ${server}; dmarc=pass header.from=example.org\n${sender}`).isProved,
    false,
  );
  assert.equal(
    from(`ARC-Authentication-Results: i=1; ${server}; dmarc=pass header.from=example.org\n${sender}`)
      .isProved,
    false,
  );
  // A folded line belongs to the field above it, whatever it looks like.
  assert.equal(from(`Subject: x\n ${forged}${sender}`).isProved, false);
  assert.equal(from(`\n${forged}${sender}`).address, undefined, "what stands in the body is no header");
});

test("email (1): without the server's name in the settings nobody is proved", () => {
  const text = `Authentication-Results: ${server}; dmarc=pass header.from=example.org\nFrom: ada@example.org\n`;
  assert.equal(from(text).isProved, true);
  assert.equal(fromOf(headersOf(Buffer.from(text)), undefined).isProved, false);
});

test("a From that programs could read in two ways is none (attacks A-056, A-064, A-247)", () => {
  const address = (value: string) => from(`From: ${value}\n`).address;
  assert.equal(address('"ada@example.org" <eve@evil.test>'), "eve@evil.test");
  assert.equal(address("ada@example.org <eve@evil.test>"), "eve@evil.test");
  assert.equal(address("Ada (ada@other.test) <ada@Example.ORG.>"), "ada@example.org");
  assert.equal(address("<ada@bücher.example>"), "ada@xn--bcher-kva.example");
  for (const bad of [
    "ada@example.org, eve@evil.test",
    "<ada@example.org> <eve@evil.test>",
    "<ada@example.org>eve@evil.test",
    "ada@example.org <>",
    "friends: ada@example.org;",
    "ada@example.org@evil.test",
    "x:dm:owner@e",
    '"x y"@example.org',
    "ada@[127.0.0.1]",
    "ada@localhost",
    "",
    "ada",
    "@example.org",
    "ada@exam ple.org",
    "ada@example.org\u0000",
    "ada..b@example.org",
    "äda@example.org",
    "<ada@example.org",
  ]) {
    assert.equal(address(bad), undefined, bad);
  }
  assert.equal(from("From: ada@example.org\nFrom: eve@evil.test\n").address, undefined);
});

test("the part before the @ keeps its letters, the domain is folded (attack A-057)", () => {
  assert.equal(addressOf("Ada@Example.ORG"), "Ada@example.org");
  assert.notEqual(addressOf("Ada@example.org"), addressOf("ada@example.org"));
  assert.notEqual(addressOf("ada@ex\u0430mple.org"), addressOf("ada@example.org"), "Cyrillic a");
});

test("no header of anybody's makes the reader throw, and none is read with quotes left open", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      from(`Authentication-Results: ${server}; ${text}\nFrom: ${text}\n${text}`);
      const plain = withoutComments(text);
      if (plain !== undefined) assert.equal(splitOutsideQuotes(plain, ";").join(";"), plain);
    }),
  );
});

test("email (1): whatever is put behind a failure of DMARC, it stays one", () => {
  const sign = fc.constantFrom(
    ";",
    '"',
    "(",
    ")",
    "\\",
    " ",
    "dmarc=pass",
    "header.from=example.org",
    "dkim=pass",
    "header.d=example.org",
    "=",
    "x",
  );
  fc.assert(
    fc.property(fc.array(sign, { maxLength: 14 }), (parts) => {
      const results = `${server}; dmarc=fail header.from=example.org; spf=fail smtp.mailfrom=${parts.join("")}`;
      assert.equal(isProved(results), false, results);
    }),
    { numRuns: 2000 },
  );
});

test("email (2): what machines and lists send is known as such; what people write is not", () => {
  const reason = (text: string, address = "ada@example.org") =>
    automaticReason(headersOf(Buffer.from(text)), address);
  for (const header of [
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated (vacation)",
    "auto-submitted: Auto-Notified; owner=x",
    "Precedence: bulk",
    "Precedence: LIST",
    "Precedence: auto_reply",
    "List-Id: <a.b>",
    "List-Unsubscribe: <https://x.test>",
    "X-Auto-Response-Suppress: All",
    "X-Autoreply: yes",
    "Return-Path: <>",
    "Content-Type: multipart/report; report-type=delivery-status",
    "X-Failed-Recipients: a@b.test",
  ]) {
    assert.notEqual(reason(`${header}\n`), undefined, header);
  }
  for (const address of [
    "MAILER-DAEMON@example.org",
    "noreply@example.org",
    "no-reply+x@example.org",
    "postmaster@a.b",
  ]) {
    assert.notEqual(reason("", address), undefined, address);
  }
  for (const header of [
    "Auto-Submitted: no",
    "Precedence: normal",
    "Return-Path: <a@b.test>",
    "X-Mailer: list",
    "Subject: Precedence: bulk",
  ]) {
    assert.equal(reason(`${header}\n`), undefined, header);
  }
  assert.equal(reason("", "norepl@example.org"), undefined);
});
