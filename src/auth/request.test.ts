import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, admitted, refuse, Secret } from "../kernel/mod.ts";
import { makePrincipal } from "./principal.ts";
import type { Identity } from "./proxy-caller.ts";
import { authenticateRequest, type PresentedRequest, requestClass } from "./request.ts";
import type { AuthSettings } from "./settings.ts";

const settings: AuthSettings = {
  mode: "token",
  secret: new Secret("right-secret"),
  maxAttempts: 10,
  windowMs: 60_000,
  lockoutMs: 300_000,
  exemptLoopback: true,
};
const proxied: AuthSettings = { ...settings, mode: "trusted-proxy" };
const open: AuthSettings = { ...settings, mode: "none", secret: undefined };
const shaped = `oc_${"a".repeat(12)}_${"b".repeat(43)}`;
const bot = makePrincipal("token:bot", ["operator.read"], "api-token", { limits: { agents: ["work"] } });

function ask(more: Partial<PresentedRequest>, as = settings) {
  const presented = { scopes: undefined, identity: undefined, isLocal: false, ...more };
  return authenticateRequest(presented, as, { apiToken: (text) => (text === shaped ? bot : undefined) });
}

function outcome(more: Partial<PresentedRequest>, as = settings): string {
  const verdict = ask(more, as);
  return admitted(verdict) ? `${verdict.value.id} ${verdict.value.method}` : verdict.reason;
}

const scopesOf = (more: Partial<PresentedRequest>, as = settings) => {
  const verdict = ask(more, as);
  return admitted(verdict) ? verdict.value.scopes : undefined;
};

test("auth (3): the shared secret is the operator whatever scopes a request names; without a secret they count", () => {
  const owner = ask({ token: "right-secret", scopes: ["operator.read"] });
  assert.ok(admitted(owner) && owner.value.isOwner);
  assert.equal(outcome({ password: "right-secret" }), "operator token");
  for (const wrong of ["right", "right-secret\u0000", "RIGHT-SECRET", "x".repeat(1e6)])
    assert.equal(outcome({ token: wrong }), "auth.secret_mismatch");
  for (const nothing of [{}, { token: "" }]) assert.equal(outcome(nothing), "auth.secret_missing");
  assert.deepEqual(scopesOf({}, open), ["operator.read", "operator.write"]);
  assert.deepEqual(scopesOf({ scopes: [""] }, open), []);
  assert.deepEqual(scopesOf({ scopes: ["operator.read", "operator.root"] }, open), ["operator.read"]);
});

test("auth (13): a request of the proxy's user has what was given to him, narrowed by what it asks for (A-008, A-009)", () => {
  const somebody: Identity = {
    user: "me@example.com",
    method: "trusted-proxy",
    isNamed: true,
    scopes: ["operator.approvals"],
    limit: undefined,
    autoApproveScopes: undefined,
  };
  const principalOf = (identity: Partial<Identity>) => {
    const verdict = ask({ identity: admit({ ...somebody, ...identity }) }, proxied);
    assert.ok(admitted(verdict));
    const { id, isOwner, scopes } = verdict.value;
    return [id, isOwner, [...scopes].sort().join(" ")];
  };
  const user = "user:me@example.com";
  assert.deepEqual(principalOf({}).slice(0, 2), [user, true]);
  assert.deepEqual(principalOf({ limit: [] }), [user, false, ""]);
  assert.deepEqual(principalOf({ limit: ["operator.read"] }), [user, false, "operator.read"]);
  const unnamed = [user, false, "operator.approvals operator.read operator.write"];
  assert.deepEqual(principalOf({ isNamed: false }), unnamed);
  assert.deepEqual(principalOf({ isNamed: false, limit: ["operator.admin"] }), unnamed);

  const identity = refuse("auth.trusted_proxy_user_not_allowed");
  assert.equal(outcome({ identity }, proxied), "auth.trusted_proxy_user_not_allowed");
  assert.equal(outcome({ identity, token: "right-secret" }, proxied), "auth.trusted_proxy_user_not_allowed");
  assert.equal(outcome({ identity, token: "right-secret", isLocal: true }, proxied), "operator password");
  assert.equal(outcome({ identity, token: "wrong", isLocal: true }, proxied), "auth.secret_mismatch");
});

test("auth (16): a request with an API token is that token's, with its limits; one of the proxy's world is not looked at", () => {
  const verdict = ask({ token: shaped, scopes: ["operator.admin"] });
  assert.ok(admitted(verdict));
  assert.equal(verdict.value, bot);
  assert.equal(outcome({ password: shaped }), "token:bot api-token");
  assert.equal(outcome({ token: shaped.replace("b", "c") }), "auth.api_token_invalid");
  assert.equal(outcome({ token: shaped }, proxied), "auth.secret_missing");
  assert.equal(outcome({ token: shaped, isLocal: true }, proxied), "token:bot api-token");
  assert.deepEqual(
    [
      requestClass({ token: shaped }),
      requestClass({ password: shaped }),
      requestClass({ token: "x" }),
      requestClass({}),
    ],
    ["api", "api", "shared", "shared"],
  );
});

test("auth (3): the page's cookie is the operator where the page may ask, and never beside a secret or a proxy", () => {
  const page = { session: "s1" };
  const owner = ask({ page });
  assert.ok(admitted(owner) && owner.value.isOwner);
  assert.equal(outcome({ page }), "browser:s1 browser-session");
  assert.equal(outcome({ page: { session: undefined } }), "auth.secret_missing");
  assert.equal(outcome({ page, token: "wrong" }), "auth.secret_mismatch");
  assert.equal(outcome({ page, token: shaped }), "token:bot api-token");
  // Where a proxy signs people in, a cookie from before it stood there is worth something on this machine only.
  assert.equal(outcome({ page }, proxied), "auth.secret_missing");
  assert.equal(outcome({ page, isLocal: true }, proxied), "browser:s1 browser-session");
});

test("auth (13): on his page the proxy's user has what the config gives him, and no more (A-002)", () => {
  const somebody: Identity = {
    user: "me@example.com",
    method: "trusted-proxy",
    isNamed: false,
    scopes: ["operator.approvals"],
    limit: undefined,
    autoApproveScopes: undefined,
  };
  const page = { session: undefined };
  for (const isNamed of [false, true]) {
    const identity = admit({ ...somebody, isNamed });
    assert.deepEqual(scopesOf({ identity, page }, proxied), ["operator.approvals"]);
  }
});
