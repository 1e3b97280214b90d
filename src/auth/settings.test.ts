import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenClawConfig } from "../config/mod.ts";
import { Secret } from "../kernel/mod.ts";
import { authSettings, pairingSettings } from "./settings.ts";

const fallback = new Secret("made-at-start");
type Auth = NonNullable<NonNullable<OpenClawConfig["gateway"]>["auth"]>;
const secretIn = (auth: Auth | undefined, env: Record<string, string> = {}) => {
  const { mode, secret } = authSettings(auth ? { gateway: { auth } } : {}, env, fallback);
  return [mode, secret?.reveal()];
};

test("auth (2): what stands for no secret is none: nobody comes in with it (A-016)", () => {
  for (const token of [
    "",
    " ",
    "undefined",
    "null",
    "NaN",
    "[object Object]",
    "changeme",
    "CHANGE-ME",
    `$${"{TOKEN}"}`,
  ]) {
    assert.deepEqual(secretIn({ token }), ["token", "made-at-start"], token);
    assert.deepEqual(secretIn({ mode: "password", password: token }), ["password", "made-at-start"], token);
    assert.deepEqual(secretIn({}, { OPENCLAW_GATEWAY_TOKEN: token }), ["token", "made-at-start"], token);
    assert.deepEqual(secretIn({ token }, { OPENCLAW_GATEWAY_TOKEN: "real" }), ["token", "real"], token);
  }
});

test("auth (2): the mode says which secret counts; the config goes before the environment", () => {
  const both = { OPENCLAW_GATEWAY_TOKEN: "t", OPENCLAW_GATEWAY_PASSWORD: "p" };
  assert.deepEqual(secretIn(undefined), ["token", "made-at-start"]);
  assert.deepEqual(secretIn(undefined, both), ["password", "p"]);
  assert.deepEqual(secretIn({ token: "x" }, { OPENCLAW_GATEWAY_TOKEN: "t" }), ["token", "x"]);
  assert.deepEqual(secretIn({ mode: "token", password: "x" }, both), ["token", "t"]);
  assert.deepEqual(secretIn({ mode: "none", token: "x" }), ["none", undefined]);
  assert.deepEqual(secretIn({ mode: "trusted-proxy" }), ["trusted-proxy", undefined]);
  const limits = authSettings(
    { gateway: { auth: { rateLimit: { maxAttempts: 3, exemptLoopback: false } } } },
    {},
    fallback,
  );
  assert.deepEqual([limits.maxAttempts, limits.windowMs, limits.exemptLoopback], [3, 60_000, false]);
});

test("auth (7): devices come in without a question from this machine only, unless the config says otherwise", () => {
  assert.equal(pairingSettings({}).autoApproveLocal, true);
  assert.equal(pairingSettings({}).isTrustedAddress("192.168.1.7"), false);
  const pairing = { autoApproveLocal: false, autoApproveCidrs: ["192.168.1.0/24"] };
  const settings = pairingSettings({ gateway: { nodes: { pairing } } });
  assert.equal(settings.autoApproveLocal, false);
  assert.equal(settings.isTrustedAddress("192.168.1.7"), true);
});
