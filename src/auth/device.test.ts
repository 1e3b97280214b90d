import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { type ClaimedDevice, deviceWord, type SignedFacts, signedTexts, verifyDevice } from "./device.ts";

const nowMs = 1_795_217_199_209;
const nonce = "f96cfb06-0000-4000-8000-000000000000";
const pair = generateKeyPairSync("ed25519");
const raw = pair.publicKey.export({ type: "spki", format: "der" }).subarray(12);
const id = createHash("sha256").update(raw).digest("hex");
const facts: SignedFacts = {
  clientId: "cli",
  clientMode: "cli",
  role: "operator",
  scopes: ["operator.read", "operator.write"],
  token: "T",
  platform: " Linux ",
  deviceFamily: undefined,
};

function claim(change: Partial<ClaimedDevice> = {}, version = 0): ClaimedDevice {
  const claimed = {
    id,
    publicKey: raw.toString("base64url"),
    signature: "",
    signedAt: nowMs,
    nonce,
    ...change,
  };
  const text = signedTexts(claimed, facts)[version] ?? "";
  return {
    ...claimed,
    signature: change.signature ?? sign(null, Buffer.from(text), pair.privateKey).toString("base64url"),
  };
}

const outcome = (claimed: ClaimedDevice, signed = facts) => {
  const verdict = verifyDevice(claimed, signed, { nonce, nowMs });
  return verdict.ok ? "ok" : verdict.reason;
};

test("auth (6): the signed text is what the protocol writes down", () => {
  assert.deepEqual(signedTexts({ id: "03df", signedAt: 1795219952411, nonce: "b1b6" }, facts), [
    "v3|03df|cli|cli|operator|operator.read,operator.write|1795219952411|T|b1b6|linux|",
    "v2|03df|cli|cli|operator|operator.read,operator.write|1795219952411|T|b1b6",
  ]);
  // Only ASCII letters fold: another alphabet's look-alike stays another word.
  assert.equal(deviceWord(" MaCOS "), "macos");
  assert.notEqual(deviceWord("MАCOS"), "macos");
  assert.equal(deviceWord("İ"), "İ");
});

test("auth (6): a device is whoever signs this challenge, now, with the key behind its id", () => {
  const standard = raw.toString("base64");
  const pem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
  const der = pair.publicKey.export({ type: "spki", format: "der" }).toString("base64");
  const other = generateKeyPairSync("ed25519");
  const foreign = other.publicKey.export({ type: "spki", format: "der" }).subarray(12).toString("base64url");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
  const mismatch = "auth.device_identity_mismatch";
  const invalid = "auth.device_signature_invalid";
  const cases: readonly (readonly [string, ClaimedDevice, string])[] = [
    ["version 3", claim(), "ok"],
    ["version 2", claim({}, 1), "ok"],
    ["base64 key", claim({ publicKey: standard }), "ok"],
    ["PEM key", claim({ publicKey: pem }), "ok"],
    ["DER in base64", claim({ publicKey: der }), mismatch],
    [
      "another kind of key",
      claim({ publicKey: String(rsa.export({ type: "spki", format: "pem" })) }),
      mismatch,
    ],
    [
      "broken PEM",
      claim({ publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }),
      mismatch,
    ],
    ["no key", claim({ publicKey: "!" }), mismatch],
    ["a key with junk in it", claim({ publicKey: `${raw.toString("base64url")} ` }), mismatch],
    [
      "a key with a byte after it",
      claim({ publicKey: Buffer.concat([raw, Buffer.from([0])]).toString("base64url") }),
      mismatch,
    ],
    ["upper-case id", claim({ id: id.toUpperCase() }), mismatch],
    ["another device's key", claim({ publicKey: foreign }), mismatch],
    ["120 s early", claim({ signedAt: nowMs - 120_000 }), "ok"],
    ["120 s late", claim({ signedAt: nowMs + 120_000 }), "ok"],
    ["older", claim({ signedAt: nowMs - 120_001 }), "auth.device_signature_expired"],
    ["newer", claim({ signedAt: nowMs + 120_001 }), "auth.device_signature_expired"],
    ["blank nonce", claim({ nonce: "  " }), "auth.device_nonce_missing"],
    ["another nonce", claim({ nonce: "x" }), "auth.device_nonce_mismatch"],
    ["no signature", claim({ signature: "" }), invalid],
    ["half a signature", claim({ signature: claim().signature.slice(0, 43) }), invalid],
    ["nobody's signature", claim({ signature: Buffer.alloc(64).toString("base64url") }), invalid],
  ];
  for (const [name, claimed, expected] of cases) assert.equal(outcome(claimed), expected, name);
  const verdict = verifyDevice(claim({ publicKey: standard }), facts, { nonce, nowMs });
  assert.deepEqual(verdict.ok && verdict.value, { deviceId: id, publicKey: raw.toString("base64url") });
});

test("auth (6): every part of what is asked is signed", () => {
  const changes: readonly Partial<SignedFacts>[] = [
    { clientId: "test" },
    { clientMode: "ui" },
    { role: "node" },
    { scopes: ["operator.admin"] },
    { scopes: ["operator.write", "operator.read"] },
    { token: "U" },
    { platform: "darwin" },
    { deviceFamily: "iPhone" },
  ];
  for (const change of changes)
    assert.equal(
      outcome(claim(), { ...facts, ...change }),
      "auth.device_signature_invalid",
      JSON.stringify(change),
    );
});
