import assert from "node:assert/strict";
import { createHmac, createSign, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { StandingClock } from "../../test/contracts/standing-clock.ts";
import { createAssertionKeys } from "./assertion-keys.ts";
import { type AssertionKey, verifyAssertion } from "./assertion-token.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keys = new Map<string, AssertionKey>([
  ["rsa", { algorithm: "RS256", key: rsa.publicKey }],
  ["ec", { algorithm: "ES256", key: ec.publicKey }],
]);
const nowMs = 1_800_000_000_000;
const now = nowMs / 1000;
const expected = { issuer: "https://team.example", audience: "our-audience", nowMs };
const good = {
  iss: expected.issuer,
  aud: expected.audience,
  exp: now + 300,
  nbf: now - 10,
  iat: now - 10,
  email: "me@example.com",
};

const part = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

function signed(
  claims: unknown,
  header: Record<string, unknown> = { alg: "ES256", kid: "ec" },
  privateKey: KeyObject = ec.privateKey,
): string {
  const text = `${part(header)}.${part(claims)}`;
  const signature =
    privateKey.asymmetricKeyType === "rsa"
      ? createSign("sha256").update(text).sign(privateKey)
      : sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

function outcome(token: string, more: Partial<typeof expected> = {}): string {
  const verdict = verifyAssertion(token, { ...expected, ...more }, (keyId) => keys.get(keyId));
  return verdict.ok ? verdict.value : verdict.reason;
}

const invalid = "auth.assertion_invalid";

test("auth (14): RS256 and ES256 by their own keys are believed", () => {
  assert.equal(outcome(signed(good)), "me@example.com");
  assert.equal(outcome(signed(good, { alg: "RS256", kid: "rsa" }, rsa.privateKey)), "me@example.com");
  assert.equal(outcome(signed({ ...good, aud: ["another", expected.audience] })), "me@example.com");
  assert.equal(outcome(signed({ ...good, nbf: undefined, iat: undefined })), "me@example.com");
  assert.equal(outcome(signed({ ...good, exp: now - 59 })), "me@example.com", "clocks differ by a minute");
});

test("auth (14): no other algorithm, no key of another kind, no unsigned token", () => {
  const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" });
  const hmac = (text: string) => createHmac("sha256", publicPem).update(text).digest("base64url");
  const head = part({ alg: "HS256", kid: "rsa" });
  const table: readonly (readonly [string, string])[] = [
    ["none", `${part({ alg: "none", kid: "ec" })}.${part(good)}.`],
    ["none, without a dot", `${part({ alg: "none", kid: "ec" })}.${part(good)}`],
    ["None with a signature", signed(good, { alg: "None", kid: "ec" })],
    ["HMAC with the public key", `${head}.${part(good)}.${hmac(`${head}.${part(good)}`)}`],
    ["RS256 said of an EC key", signed(good, { alg: "RS256", kid: "ec" }, rsa.privateKey)],
    ["ES256 said of an RSA key", signed(good, { alg: "ES256", kid: "rsa" })],
    ["RS256 said of a signature of the EC key", signed(good, { alg: "RS256", kid: "ec" })],
    ["no algorithm", signed(good, { kid: "ec" })],
    ["PS256", signed(good, { alg: "PS256", kid: "rsa" }, rsa.privateKey)],
    ["another key", signed(good, { alg: "ES256", kid: "ec" }, other.privateKey)],
    [
      "a key that the token brings",
      signed(good, { alg: "ES256", jwk: other.publicKey.export({ format: "jwk" }) }, other.privateKey),
    ],
    ["no kid", signed(good, { alg: "ES256" })],
    ["an empty kid", signed(good, { alg: "ES256", kid: "" })],
    ["a critical extension", signed(good, { alg: "ES256", kid: "ec", crit: ["b64"], b64: false })],
    ["a header that is a list", signed(good, ["ES256"] as unknown as Record<string, unknown>)],
    ["claims that are a list", signed([good])],
    ["claims that are no JSON", signed("{")],
    ["nothing", ""],
    ["dots", ".."],
    ["five parts", `${signed(good)}.a.b`],
    ["padding", `${signed(good)}=`],
    ["something huge", `${signed({ ...good, more: "x".repeat(9000) })}`],
  ];
  for (const [name, token] of table) assert.equal(outcome(token), invalid, name);
  assert.equal(outcome(signed(good, { alg: "ES256", kid: "new" })), "auth.assertion_key_unknown");
  assert.equal(outcome(signed(good, { alg: "ES256", kid: "__proto__" })), "auth.assertion_key_unknown");
});

test("auth (14): only for us, from our issuer, in its time, about a person", () => {
  const table: readonly (readonly [string, Record<string, unknown>])[] = [
    ["another issuer", { iss: "https://team.example/" }],
    ["no issuer", { iss: undefined }],
    ["another audience", { aud: "our-audience2" }],
    ["a list without ours", { aud: ["a", "b"] }],
    ["an empty list", { aud: [] }],
    ["no audience", { aud: undefined }],
    ["an audience within an object", { aud: { 0: expected.audience } }],
    ["expired", { exp: now - 60 }],
    ["no expiry", { exp: undefined }],
    ["an expiry that is text", { exp: String(now + 300) }],
    ["an expiry without end", { exp: null }],
    ["not yet", { nbf: now + 61 }],
    ["nbf that is text", { nbf: "0" }],
    ["made in the future", { iat: now + 61 }],
    ["no email", { email: undefined }],
    ["an empty email", { email: " " }],
    ["an email that is a list", { email: ["me@example.com"] }],
  ];
  for (const [name, change] of table) assert.equal(outcome(signed({ ...good, ...change })), invalid, name);
});

test("auth (14): a token in which anything was changed is not believed", () => {
  const token = signed(good);
  const at = fc.nat(token.length - 1);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n";
  fc.assert(
    fc.property(at, fc.constantFrom(...alphabet), (index, letter) => {
      const changed = token.slice(0, index) + letter + token.slice(index + 1);
      assert.equal(outcome(changed) === "me@example.com", changed === token, changed);
    }),
    { numRuns: 500 },
  );
});

function keyServer(t: { text: () => string | Promise<string> }) {
  const clock = new StandingClock();
  const logged: string[] = [];
  let fetched = 0;
  const set = createAssertionKeys({
    fetchKeys: async () => {
      fetched += 1;
      return t.text();
    },
    clock,
    log: (_level, message) => void logged.push(message),
  });
  return { clock, logged, set, fetched: () => fetched };
}

const jwk = (key: KeyObject, more: object) => ({ ...key.export({ format: "jwk" }), ...more });
const published = (...entries: unknown[]) => JSON.stringify({ keys: entries });

test("auth (14): of a key set only public keys of the two kinds count, strong ones, to sign with", async () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const curve = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const text = published(
    jwk(ec.publicKey, { kid: "ec", use: "sig" }),
    jwk(rsa.publicKey, { kid: "rsa", alg: "RS256" }),
    jwk(weak.publicKey, { kid: "weak" }),
    jwk(curve.publicKey, { kid: "curve" }),
    jwk(ec.publicKey, { kid: "to-encrypt", use: "enc" }),
    jwk(rsa.publicKey, { kid: "other-algorithm", alg: "PS256" }),
    jwk(ec.publicKey, { kid: 7 }),
    { kty: "oct", kid: "secret", k: "c2VjcmV0" },
    { kty: "RSA", kid: "broken", n: "!", e: 1 },
    { kty: "OKP", kid: "okp", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    null,
    "text",
  );
  const { set } = keyServer({ text: () => text });
  assert.equal(set.find("ec"), undefined);
  await set.refresh();
  const found = [
    "ec",
    "rsa",
    "weak",
    "curve",
    "to-encrypt",
    "other-algorithm",
    "secret",
    "broken",
    "okp",
    "7",
  ];
  assert.deepEqual(
    found.filter((keyId) => set.find(keyId)),
    ["ec", "rsa"],
  );
  assert.deepEqual([set.find("ec")?.algorithm, set.find("rsa")?.algorithm], ["ES256", "RS256"]);
});

test("auth (14): keys are asked for once in thirty seconds at most, and are worth nothing after an hour", async () => {
  let text: () => string = () => published(jwk(ec.publicKey, { kid: "a" }));
  const { clock, set, fetched, logged } = keyServer({ text: () => text() });
  assert.equal(set.isDue, true);
  await Promise.all([set.refresh(), set.refresh(), set.refresh()]);
  assert.equal(fetched(), 1, "all wait for the same answer");
  for (let index = 0; index < 100; index++) await set.refresh();
  assert.equal(fetched(), 1, "invented key ids make no requests");
  assert.equal(set.isDue, false);
  clock.advance(10 * 60_000);
  assert.equal(set.isDue, true);
  const failures: readonly (() => string)[] = [
    () => {
      throw new Error("no route");
    },
    () => "<html>",
    () => "{}",
    () => published(),
    () => `${published(jwk(ec.publicKey, { kid: "b" }))}${" ".repeat(300_000)}`,
  ];
  for (const failure of failures) {
    text = failure;
    await set.refresh();
    clock.advance(30_000);
    assert.ok(set.find("a"), "the old key goes on");
    assert.equal(set.find("b"), undefined);
  }
  assert.equal(logged.length, failures.length);
  clock.advance(47 * 60_000 + 30_000);
  assert.equal(set.find("a"), undefined, "after an hour without an answer nobody is believed");
  text = () => published(jwk(other.publicKey, { kid: "c" }));
  await set.refresh();
  assert.ok(set.find("c"));
  assert.equal(set.find("a"), undefined, "a key that was withdrawn is gone");
});
