import assert from "node:assert/strict";
import { test } from "node:test";
import { askOf, remote, setUpDevices } from "../../test/support/device-bench.ts";
import { admit, refuse, Secret, type Verdict } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import { authenticateConnect, checkSecret, type Presented, principalWithoutDevice } from "./connect.ts";
import { automaticApproval, type DeviceAsk } from "./device-pairing.ts";
import type { Identity } from "./proxy-caller.ts";
import type { AuthSettings } from "./settings.ts";

const settings: AuthSettings = {
  mode: "trusted-proxy",
  secret: new Secret("right"),
  maxAttempts: 10,
  windowMs: 1,
  lockoutMs: 1,
  exemptLoopback: true,
};
const me: Identity = {
  user: "me",
  method: "trusted-proxy",
  isNamed: true,
  scopes: ["operator.read"],
  limit: undefined,
  autoApproveScopes: ["operator.read", "operator.write"],
};
const signedIn = admit(me);
const tailnet = admit<Identity>({ ...me, method: "tailscale", autoApproveScopes: undefined });
const refused: Verdict<Identity> = refuse("auth.trusted_proxy_user_not_allowed");
const page: Presented = {
  clientId: "openclaw-control-ui",
  clientMode: "ui",
  role: "operator",
  scopes: ["operator.admin"],
  isLocal: false,
};

const nothingKnown = {
  deviceToken: () => undefined,
  setupCode: () => undefined,
  apiToken: () => undefined,
  isLocked: () => false,
};

function outcome(change: Partial<Presented>, as: AuthSettings = settings): string {
  const verdict = authenticateConnect({ ...page, ...change }, as, nothingKnown);
  return verdict.ok ? verdict.value.method : verdict.reason;
}

test("auth (13): whom the proxy signed in needs nothing else; whom it did not gets in by nothing that is not his own", () => {
  const notAllowed = "auth.trusted_proxy_user_not_allowed";
  const cli = { clientId: "cli", clientMode: "cli" };
  const table: readonly (readonly [string, Partial<Presented>, string])[] = [
    ["a page", { identity: signedIn }, "trusted-proxy"],
    ["a page with a device", { identity: signedIn, deviceId: "d" }, "trusted-proxy"],
    ["a page with an older cookie", { identity: signedIn, browserSession: "b" }, "trusted-proxy"],
    ["a node", { identity: signedIn, role: "node" }, "auth.device_identity_required"],
    ["refused", { identity: refused }, notAllowed],
    ["refused, with a device", { identity: refused, deviceId: "d" }, notAllowed],
    ["refused, with a cookie", { identity: refused, browserSession: "b" }, notAllowed],
    ["refused, with the password (A-009)", { identity: refused, password: "right", ...cli }, notAllowed],
    ["refused, with a wrong one", { identity: refused, password: "wrong", ...cli }, notAllowed],
    [
      "this machine, with the password",
      { identity: refused, password: "right", isLocal: true, ...cli },
      "password",
    ],
    [
      "this machine, with it as a token",
      { identity: refused, token: "right", isLocal: true, ...cli },
      "password",
    ],
    [
      "this machine, a wrong one",
      { identity: refused, password: "x", isLocal: true, ...cli },
      "auth.secret_mismatch",
    ],
    ["this machine, a cookie", { identity: refused, browserSession: "b", isLocal: true }, "browser-session"],
    ["this machine, nothing", { identity: refused, isLocal: true, ...cli }, notAllowed],
  ];
  for (const [name, change, expected] of table) assert.equal(outcome(change), expected, name);
  const without = { ...settings, secret: undefined };
  assert.equal(outcome({ identity: refused, password: "", isLocal: true, ...cli }, without), notAllowed);
  assert.equal(checkSecret({ password: "right", isLocal: false }, settings).ok, false);
});

test("auth (15): a login of the tailnet stands for a missing secret, and for nothing else", () => {
  const token: AuthSettings = { ...settings, mode: "token" };
  const table: readonly (readonly [string, Partial<Presented>, string])[] = [
    ["a page with its device", { identity: tailnet, deviceId: "d" }, "tailscale"],
    ["a page without", { identity: tailnet }, "auth.device_required"],
    ["a page with a cookie", { identity: tailnet, browserSession: "b" }, "browser-session"],
    ["a command line", { identity: tailnet, deviceId: "d", clientMode: "cli" }, "auth.secret_missing"],
    ["a node", { identity: tailnet, deviceId: "d", role: "node" }, "auth.secret_missing"],
    ["a wrong secret beside it", { identity: tailnet, deviceId: "d", token: "x" }, "auth.secret_mismatch"],
    [
      "a wrong password beside it",
      { identity: tailnet, deviceId: "d", password: "x" },
      "auth.secret_mismatch",
    ],
    [
      "a device token beside it",
      { identity: tailnet, deviceId: "d", deviceToken: "x" },
      "auth.device_token_mismatch",
    ],
    [
      "a setup code beside it",
      { identity: tailnet, deviceId: "d", bootstrapToken: "x" },
      "auth.bootstrap_invalid",
    ],
    ["not verified", { identity: refuse("auth.tailscale_unverified"), deviceId: "d" }, "auth.secret_missing"],
    [
      "not verified, the secret",
      { identity: refuse("auth.tailscale_unverified"), deviceId: "d", token: "right" },
      "token",
    ],
  ];
  for (const [name, change, expected] of table) assert.equal(outcome(change, token), expected, name);
});

test("auth (13): without a device a user has what the config gave him, whatever the page asks for (A-002)", () => {
  const principal = principalWithoutDevice(page, {} as Arrival, {
    kind: "identity",
    method: "trusted-proxy",
    identity: me,
  });
  assert.deepEqual(
    [principal.id, principal.scopes, principal.method],
    ["user:me", ["operator.read"], "trusted-proxy"],
  );
});

test("auth (7): a new device of a user comes in without a question only where the config says so, and within its scopes", () => {
  const ask: DeviceAsk = {
    deviceId: "d",
    publicKey: "k",
    role: "operator",
    scopes: ["operator.read"],
    clientId: "openclaw-control-ui",
    clientMode: "ui",
    credential: "identity",
    identity: me,
    address: "203.0.113.9",
    isLoopback: false,
    isLocal: false,
    isProxied: true,
    fromBrowser: true,
  };
  const none = { autoApproveLocal: true, isTrustedAddress: () => true };
  const device = { deviceId: "d", publicKey: "k", roles: ["node"], scopes: [], tokens: [] } as never;
  const approval = (change: Partial<DeviceAsk>, known?: never) =>
    automaticApproval(["not-paired"], known, { ...ask, ...change }, none);
  assert.equal(approval({}), "trusted-proxy");
  assert.equal(approval({ scopes: ["operator.admin"] }), undefined);
  assert.equal(approval({ role: "node", scopes: [] }), undefined);
  assert.equal(approval({ identity: { ...me, autoApproveScopes: undefined } }), undefined);
  assert.equal(approval({ isLocal: true, identity: { ...me, autoApproveScopes: undefined } }), undefined);
  assert.equal(automaticApproval(["role-upgrade"], device, ask, none), undefined);
  assert.equal(automaticApproval(["metadata-upgrade"], device, ask, none), undefined);
});

test("auth (13): a device has what its user was given in the config while he is at it, and keeps none of it", async () => {
  const { devices } = await setUpDevices();
  const ask = askOf({
    ...remote,
    scopes: ["operator.write"],
    credential: "identity",
    identity: { ...me, scopes: ["operator.approvals", "operator.write"] },
  });
  assert.equal((await devices.admit(ask, undefined)).state, "paired");
  assert.deepEqual(devices.enter(ask, "trusted-proxy")?.scopes, ["operator.write", "operator.approvals"]);
  const { identity, ...later } = ask;
  assert.deepEqual(devices.enter({ ...later, credential: "device-token" }, "device-token")?.scopes, [
    "operator.write",
  ]);
});
