import assert from "node:assert/strict";
import { test } from "node:test";
import { type Reason, Secret } from "../kernel/mod.ts";
import type { Arrival } from "../network/mod.ts";
import {
  authenticateConnect,
  checkSecret,
  guessedAt,
  type KnownCredentials,
  type Presented,
  principalOfToken,
  principalWithoutDevice,
} from "./connect.ts";
import type { DeviceToken } from "./device-records.ts";
import { makePrincipal } from "./principal.ts";
import type { AuthSettings } from "./settings.ts";

const settings: AuthSettings = {
  mode: "token",
  secret: new Secret("right"),
  maxAttempts: 10,
  windowMs: 1,
  lockoutMs: 1,
  exemptLoopback: true,
};
const grant: DeviceToken = {
  role: "operator",
  scopes: ["operator.read"],
  hash: "",
  generation: "",
  createdAtMs: 0,
};
const code = { setupId: "s", access: "full", expiresAtMs: 1 } as const;
const goodToken = `oc_${"0".repeat(12)}_${"A".repeat(43)}`;
const badToken = `oc_${"1".repeat(12)}_${"A".repeat(43)}`;
const tokenPrincipal = makePrincipal("token:0", ["operator.write", "operator.pairing"], "api-token", {
  limits: { agents: ["main"] },
});
const known: KnownCredentials = {
  deviceToken: (deviceId, role, candidate) =>
    deviceId === "d" && role === "operator" && candidate === "own" ? grant : undefined,
  setupCode: (candidate) => (candidate === "setup" ? code : undefined),
  apiToken: (candidate) => (candidate === goodToken ? tokenPrincipal : undefined),
  isLocked: () => false,
};
const base: Presented = { clientId: "cli", clientMode: "cli", role: "operator", scopes: [], isLocal: true };
const outcome = (change: Partial<Presented>, more: Partial<KnownCredentials> = {}, as = settings) => {
  const verdict = authenticateConnect({ ...base, ...change }, as, { ...known, ...more });
  return verdict.ok ? verdict.value.method : verdict.reason;
};

test("auth (1, 2): each credential proves what it proves, and nothing else", () => {
  const deviceId = "d";
  const cases: readonly (readonly [string, Partial<Presented>, string])[] = [
    ["nothing", {}, "auth.device_identity_required"],
    ["an empty token", { token: "" }, "auth.device_identity_required"],
    ["the secret", { token: "right" }, "token"],
    ["the secret as a password", { password: "right" }, "token"],
    ["a wrong secret", { token: "wrong" }, "auth.secret_mismatch"],
    ["a page without a device", { token: "right", clientMode: "ui" }, "auth.device_required"],
    ["a node without a device", { token: "right", role: "node" }, "auth.device_identity_required"],
    ["a cookie", { browserSession: "b" }, "browser-session"],
    ["a cookie is no node", { browserSession: "b", role: "node" }, "auth.device_identity_required"],
    ["a device token without its device", { deviceToken: "own" }, "auth.device_identity_required"],
    ["a device with nothing", { deviceId }, "auth.secret_missing"],
    ["a device with the secret", { deviceId, token: "right", scopes: ["operator.admin"] }, "token"],
    ["a device with a wrong secret", { deviceId, token: "wrong" }, "auth.secret_mismatch"],
    ["its own token", { deviceId, deviceToken: "own", scopes: ["operator.read"] }, "device-token"],
    ["its own token as token", { deviceId, token: "own" }, "device-token"],
    ["both the same", { deviceId, token: "own", deviceToken: "own" }, "device-token"],
    ["another beside it", { deviceId, token: "x", deviceToken: "own" }, "auth.device_token_mismatch"],
    ["a wrong one", { deviceId, deviceToken: "x" }, "auth.device_token_mismatch"],
    ["another role", { deviceId, deviceToken: "own", role: "node" }, "auth.device_token_mismatch"],
    ["another device", { deviceId: "e", deviceToken: "own" }, "auth.device_token_mismatch"],
    [
      "beyond its grant",
      { deviceId, deviceToken: "own", scopes: ["operator.write"] },
      "auth.device_scope_mismatch",
    ],
    [
      "beyond, as token",
      { deviceId, token: "own", scopes: ["operator.write"] },
      "auth.device_scope_mismatch",
    ],
    ["a setup code", { deviceId, bootstrapToken: "setup", role: "node" }, "bootstrap-token"],
    ["a setup code for an operator", { deviceId, bootstrapToken: "setup" }, "auth.bootstrap_invalid"],
    [
      "a setup code with scopes",
      { deviceId, bootstrapToken: "setup", role: "node", scopes: ["operator.admin"] },
      "auth.bootstrap_invalid",
    ],
    ["a wrong setup code", { deviceId, bootstrapToken: "x", role: "node" }, "auth.bootstrap_invalid"],
    [
      "a setup code beside a token",
      { deviceId, bootstrapToken: "setup", token: "x" },
      "auth.secret_mismatch",
    ],
  ];
  for (const [name, change, expected] of cases) assert.equal(outcome(change), expected, name);
  assert.equal(outcome({}, {}, { ...settings, mode: "none", secret: undefined }), "none");
  const password = { ...settings, mode: "password" } as const;
  assert.equal(outcome({ token: "right", password: "wrong" }, {}, password), "auth.secret_mismatch");
  assert.equal(outcome({ token: "right" }, {}, password), "password");
  const node = { ...grant, role: "node", scopes: [] } as const;
  const asNode = { deviceId, deviceToken: "own", role: "node", scopes: ["operator.admin"] } as const;
  assert.equal(
    outcome(asNode, { deviceToken: () => node }),
    "device-token",
    "a node's claimed scopes are nothing",
  );
  assert.equal(checkSecret({ token: "right", isLocal: true }, { ...settings, secret: undefined }).ok, false);
});

test("auth (16): an API token proves itself only, in any mode, and pairs no device", () => {
  const deviceId = "d";
  const cases: readonly (readonly [string, Partial<Presented>, string])[] = [
    ["the token", { token: goodToken }, "api-token"],
    ["as a password", { password: goodToken }, "api-token"],
    ["beside a password", { token: goodToken, password: "right" }, "api-token"],
    ["with a device", { deviceId, token: goodToken }, "api-token"],
    ["a wrong one", { token: badToken }, "auth.api_token_invalid"],
    ["a wrong one with a device", { deviceId, token: badToken }, "auth.api_token_invalid"],
    ["a node's", { deviceId, token: goodToken, role: "node" }, "auth.api_token_invalid"],
    ["on a page without a device", { token: goodToken, clientMode: "ui" }, "auth.device_required"],
    ["in the wrong field", { deviceId, deviceToken: goodToken }, "auth.device_token_mismatch"],
    ["of another shape", { token: `${goodToken}A` }, "auth.secret_mismatch"],
  ];
  for (const [name, change, expected] of cases) assert.equal(outcome(change), expected, name);
  const none = { ...settings, mode: "none", secret: undefined } as const;
  assert.equal(outcome({ token: badToken }, {}, none), "auth.api_token_invalid");
  assert.equal(outcome({ token: goodToken }, {}, none), "api-token");
  // Where a proxy says who comes in, a token is for this machine itself.
  const proxied = { ...settings, mode: "trusted-proxy", secret: undefined } as const;
  assert.equal(outcome({ token: goodToken, isLocal: true }, {}, proxied), "api-token");
  assert.notEqual(outcome({ token: goodToken, isLocal: false }, {}, proxied), "api-token");
  assert.notEqual(outcome({ deviceId, token: goodToken, isLocal: false }, {}, proxied), "api-token");
  // A secret of this shape that somebody put into the config is no API token.
  const shaped = { ...settings, secret: new Secret(badToken) };
  assert.equal(outcome({ token: badToken }, {}, shaped), "auth.api_token_invalid");
});

test("auth (16): a connection gets of a token's scopes what it asks for, and its limits", () => {
  const credential = { kind: "api-token", method: "api-token", principal: tokenPrincipal } as const;
  const scopes = ["operator.admin", "operator.read", "operator.write", "operator.x"];
  const principal = principalOfToken({ ...base, scopes }, credential);
  assert.deepEqual(principal.scopes, ["operator.read", "operator.write"]);
  assert.deepEqual(principal.limits, { agents: ["main"] });
  assert.equal(principal.id, "token:0");
  assert.equal(principal.isOwner, false);
  const owner = makePrincipal("token:1", ["operator.admin"], "api-token");
  assert.equal(owner.isOwner, true);
  assert.equal(makePrincipal("token:1", ["operator.admin"], "x", { limits: { tools: [] } }).isOwner, false);
});

test("auth (3): scopes that are merely declared are kept by the command line on this machine only (A-002, A-003)", () => {
  const arrival = (isLocal: boolean) => ({ isLocal }) as Arrival;
  const scopes = ["operator.admin", "operator.x"];
  const shared = { kind: "shared", method: "token" } as const;
  const scopesOf = (change: Partial<Presented>, isLocal: boolean) =>
    principalWithoutDevice({ ...base, scopes, ...change }, arrival(isLocal), shared).scopes;
  assert.deepEqual(scopesOf({}, true), scopes);
  assert.deepEqual(scopesOf({ clientId: "gateway-client", clientMode: "backend" }, true), scopes);
  assert.deepEqual(scopesOf({}, false), []);
  assert.deepEqual(scopesOf({ clientId: "evil", clientMode: "backend" }, true), []);
  assert.deepEqual(scopesOf({ scopes: [] }, true), []);
  const cookie = { kind: "browser-session", method: "browser-session", session: "s" } as const;
  const browser = principalWithoutDevice({ ...base, scopes }, arrival(false), cookie);
  assert.deepEqual([browser.id, browser.scopes], ["browser:s", ["operator.admin"]]);
});

test("auth (5): a locked kind of credential is not even compared, and locks no other", () => {
  const locked = (kind: string) => ({ isLocked: (item: string) => item === kind });
  assert.equal(outcome({ token: "right" }, locked("shared")), "auth.rate_limited");
  assert.equal(outcome({ token: "right" }, locked("device")), "token");
  const own = { deviceId: "d", deviceToken: "own" };
  assert.equal(outcome(own, locked("device")), "auth.rate_limited");
  assert.equal(outcome(own, locked("shared")), "device-token");
  assert.equal(outcome({ deviceId: "d", token: "own" }, locked("shared")), "device-token");
  assert.equal(outcome({ deviceId: "d", token: "x" }, locked("shared")), "auth.rate_limited");
  const setup = { deviceId: "d", bootstrapToken: "setup", role: "node" } as const;
  assert.equal(outcome(setup, locked("bootstrap")), "auth.rate_limited");
  assert.equal(outcome({ token: goodToken }, locked("api")), "auth.rate_limited");
  assert.equal(outcome({ token: goodToken }, locked("shared")), "api-token");
  const wrong = (reason: Reason) => guessedAt({ ok: false, reason, detail: "" });
  assert.equal(wrong("auth.api_token_invalid"), "api");
  assert.equal(wrong("auth.secret_mismatch"), "shared");
  assert.equal(wrong("auth.device_token_mismatch"), "device");
  assert.equal(wrong("auth.bootstrap_invalid"), "bootstrap");
  assert.equal(wrong("auth.role_invalid"), undefined);
});
