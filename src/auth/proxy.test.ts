import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { StandingClock } from "../../test/contracts/standing-clock.ts";
import type { OpenClawConfig } from "../config/mod.ts";
import type { Arrival } from "../network/mod.ts";
import { createProxyCallers, type Identity, within } from "./proxy-caller.ts";
import { identitySettings, staysSignedIn } from "./proxy-settings.ts";
import type { Whois } from "./tailnet.ts";

type Gateway = NonNullable<OpenClawConfig["gateway"]>;
type Auth = NonNullable<Gateway["auth"]>;

const header = { userHeader: "X-Forwarded-User", allowUsers: ["me@example.com"] };
const gatewayOf = (trustedProxy: Auth["trustedProxy"] = header, more: Partial<Auth> = {}): Gateway => ({
  trustedProxies: ["10.0.0.1"],
  auth: { mode: "trusted-proxy", ...(trustedProxy ? { trustedProxy } : {}), ...more },
});
const settingsOf = (gateway: Gateway, env: Record<string, string> = {}) =>
  identitySettings({ gateway } as OpenClawConfig, env);

const base: Arrival = {
  address: "203.0.113.9",
  peer: "10.0.0.1",
  via: "proxy",
  scheme: "https",
  entrance: "main",
  isLoopback: false,
  isLocal: false,
  isOwnTailnet: false,
  limitKey: "203.0.113.9",
  origin: undefined,
  host: "gateway.example",
  path: "/",
  identityHeaders: { "x-forwarded-user": "me@example.com" },
};
const user = (name: string) => ({ identityHeaders: { "x-forwarded-user": name } });

function callersWith(
  gateway: Gateway,
  more: {
    readonly ownAddresses?: () => readonly string[];
    readonly fetchText?: (url: string) => Promise<string>;
    readonly whois?: Whois;
  } = {},
) {
  const clock = new StandingClock();
  const logged: string[] = [];
  let settings = settingsOf(gateway);
  const callers = createProxyCallers({
    settings: () => settings,
    ownAddresses: more.ownAddresses ?? (() => ["192.168.1.5"]),
    fetchText: more.fetchText ?? (() => assert.fail("nothing is fetched")),
    whois: more.whois ?? (() => assert.fail("nobody is asked")),
    clock,
    log: (_level, _message, fields) => void logged.push(String(fields?.reason)),
  });
  /** The user, the reason, or undefined where nobody has a say. Both ways of asking agree, without Tailscale. */
  async function who(arrival: Partial<Arrival> = {}): Promise<string | undefined> {
    const whole = { ...base, ...arrival };
    const verdict = await callers.identify(whole);
    if (whole.entrance === "main") assert.deepEqual(callers.known(whole), verdict);
    return verdict && (verdict.ok ? verdict.value.user : verdict.reason);
  }
  const change = (changed: Gateway) => {
    settings = settingsOf(changed);
  };
  return { callers, clock, logged, who, change };
}

test("auth (13): the proxy signs in who is listed, and every doubt is a refusal with its reason (A-008)", async () => {
  const { who } = callersWith(gatewayOf());
  assert.equal(await who(), "me@example.com");
  assert.equal(await who(user("  me@example.com ")), "me@example.com");
  const missing = "auth.trusted_proxy_user_missing";
  const notAllowed = "auth.trusted_proxy_user_not_allowed";
  const table: readonly (readonly [string, Partial<Arrival>, string])[] = [
    ["not through a proxy", { via: "direct" }, "auth.trusted_proxy_untrusted_source"],
    [
      "from this machine, directly",
      { via: "direct", peer: "127.0.0.1", isLocal: true },
      "auth.trusted_proxy_untrusted_source",
    ],
    ["a program on this machine", { peer: "127.0.0.1" }, "auth.trusted_proxy_loopback_source"],
    ["a program on this machine, IPv6", { peer: "::1" }, "auth.trusted_proxy_loopback_source"],
    ["this machine's own address", { peer: "192.168.1.5" }, "auth.trusted_proxy_local_interface_source"],
    ["no header", { identityHeaders: {} }, missing],
    ["an empty one", user(""), missing],
    ["blanks", user(" \t "), missing],
    ["two, joined on the way", user("me@example.com, evil@example.com"), missing],
    ["a control character", user("me@example.com\u0000"), missing],
    ["an invisible one", user("me@example.com\u200b"), missing],
    ["half a pair", user("me\ud800"), missing],
    ["something endless", user("m".repeat(257)), missing],
    ["somebody else", user("you@example.com"), notAllowed],
    ["another spelling", user("ME@example.com"), notAllowed],
    ["a part", user("me@example.co"), notAllowed],
  ];
  for (const [name, arrival, reason] of table) assert.equal(await who(arrival), reason, name);
});

test("auth (13): a machine that does not tell its addresses signs in nobody", async () => {
  const { who, logged } = callersWith(gatewayOf(), {
    ownAddresses: () => {
      throw new Error("no interfaces");
    },
  });
  assert.equal(await who(), "auth.trusted_proxy_local_interface_check_failed");
  assert.deepEqual(logged, ["auth.trusted_proxy_local_interface_check_failed"]);
});

test("auth (13): required headers must be there and say something", async () => {
  const { who } = callersWith(gatewayOf({ ...header, requiredHeaders: ["X-Verified", "X-Tenant"] }));
  const headers = { "x-forwarded-user": "me@example.com", "x-verified": "yes", "x-tenant": "t" };
  assert.equal(await who({ identityHeaders: headers }), "me@example.com");
  const missing = "auth.trusted_proxy_missing_header";
  assert.equal(await who({ identityHeaders: { ...headers, "x-verified": " " } }), missing);
  assert.equal(await who(), missing);
});

test("auth (13): a list that is not set leaves it to the proxy, an empty one admits nobody", async () => {
  const open = callersWith(gatewayOf({ userHeader: "x-forwarded-user" }));
  assert.equal(await open.who(user("anybody")), "anybody");
  const empty = callersWith(gatewayOf({ ...header, allowUsers: [] }));
  assert.equal(await empty.who(), "auth.trusted_proxy_user_not_allowed");
  const local = callersWith(gatewayOf({ ...header, allowLoopback: true }));
  assert.equal(await local.who({ peer: "127.0.0.1" }), "me@example.com");
});

test("auth (13): what a user may do comes from the config, and the request only narrows it (A-002)", async () => {
  const gateway = gatewayOf(
    { ...header, deviceAutoApprove: { enabled: true } },
    { identityScopes: { "ME@Example.com": ["operator.write"], "plain-name": ["operator.admin"] } },
  );
  const { callers, change } = callersWith(gateway);
  const identityOf = (headers: Record<string, string> = {}): Identity => {
    const verdict = callers.known({
      ...base,
      identityHeaders: { "x-forwarded-user": "me@example.com", ...headers },
    });
    assert.ok(verdict?.ok);
    return verdict.value;
  };
  const { scopes, limit, isNamed, autoApproveScopes } = identityOf();
  assert.deepEqual([scopes, limit, isNamed], [["operator.write"], undefined, true]);
  assert.deepEqual(autoApproveScopes, [
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
  ]);
  assert.deepEqual(identityOf({ "x-openclaw-scopes": "operator.read" }).scopes, ["operator.read"]);
  assert.deepEqual(identityOf({ "x-openclaw-scopes": "operator.admin" }).scopes, ["operator.write"]);
  assert.deepEqual(identityOf({ "x-openclaw-scopes": "" }).scopes, []);
  change(
    gatewayOf(
      { ...header, allowUsers: ["Plain-Name"] },
      { identityScopes: { "plain-name": ["operator.admin"] } },
    ),
  );
  const other = callers.known({ ...base, ...user("Plain-Name") });
  assert.ok(other?.ok);
  assert.deepEqual([other.value.scopes, other.value.autoApproveScopes], [[], undefined]);
  assert.deepEqual(within(["operator.admin", "no.scope"], undefined), ["operator.admin"]);
});

test("auth (13): settings that cannot be acted on are named, and sign in nobody", async () => {
  const at = (gateway: Gateway, env?: Record<string, string>) => settingsOf(gateway, env).problems.join("\n");
  assert.equal(at(gatewayOf()), "");
  assert.match(at(gatewayOf(header, { token: "t" })), /a shared token is also configured/);
  assert.match(at(gatewayOf(), { OPENCLAW_GATEWAY_TOKEN: "t" }), /a shared token is also configured/);
  assert.match(at({ ...gatewayOf(), trustedProxies: [] }), /trustedProxies is empty/);
  assert.match(at({ auth: { mode: "trusted-proxy" } }), /nothing says who a caller is/);
  assert.match(at(gatewayOf({ ...header, userHeader: "X User" })), /"X User" is not the name of a header/);
  assert.match(at(gatewayOf({ ...header, requiredHeaders: ["a:b"] })), /"a:b" is not the name/);
  const assertion = { provider: "cloudflare", audience: "a" } as const;
  assert.match(at(gatewayOf({ assertion })), /issuer is needed/);
  assert.match(
    at(gatewayOf({ assertion: { provider: "pomerium", audience: "a", issuer: "i" } })),
    /jwksUrl is needed/,
  );
  for (const jwksUrl of [
    "http://keys.example/",
    "https://me@keys.example/",
    "https:///x",
    "https://keys.example",
  ])
    assert.match(
      at(gatewayOf({ assertion: { ...assertion, issuer: "https://i", jwksUrl } })),
      /must be an https/,
    );
  const { who, change } = callersWith(gatewayOf());
  change({ ...gatewayOf(), trustedProxies: [] });
  assert.equal(await who(), undefined, "nobody has a say");
});

test("auth (13): in every other mode the proxy has no say, and what should be thought about is said", async () => {
  for (const mode of ["token", "password", "none"] as const) {
    const { who } = callersWith({ trustedProxies: ["10.0.0.1"], auth: { mode, trustedProxy: header } });
    assert.equal(await who(), undefined);
  }
  assert.deepEqual(settingsOf({ auth: { mode: "token", trustedProxy: header } }).headerNames, []);
  assert.deepEqual(settingsOf(gatewayOf({ ...header, requiredHeaders: ["X-A"] })).headerNames, [
    "x-forwarded-user",
    "x-a",
    "x-openclaw-scopes",
  ]);
  const warnings = (trustedProxy: Auth["trustedProxy"]) =>
    settingsOf(gatewayOf(trustedProxy)).warnings.join();
  assert.equal(warnings(header), "");
  assert.match(warnings({ userHeader: "u" }), /everybody whom the proxy signs in/);
  assert.match(warnings({ userHeader: "u", allowUsers: [] }), /signs in nobody/);
  assert.match(warnings({ ...header, allowLoopback: true }), /every program on this machine/);
});

const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
function assertionOf(kid: string, claims: object): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "ES256", kid })}.${part(claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key: keys.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}
const keySet = (kid: string) =>
  JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid }] });

test("auth (14): each provider's header, issuer and keys; what only claims to be somebody counts for nothing", async () => {
  const allowUsers = ["me@example.com"];
  const table = [
    [
      { provider: "cloudflare", audience: "a", issuer: "https://team.cloudflareaccess.com/" },
      "cf-access-jwt-assertion",
      "https://team.cloudflareaccess.com/",
      "https://team.cloudflareaccess.com/cdn-cgi/access/certs",
    ],
    [
      { provider: "iap", audience: "a" },
      "x-goog-iap-jwt-assertion",
      "https://cloud.google.com/iap",
      "https://www.gstatic.com/iap/verify/public_key-jwk",
    ],
    [
      {
        provider: "pomerium",
        audience: "a",
        issuer: "gw.example",
        jwksUrl: "https://auth.example/jwks.json",
      },
      "x-pomerium-jwt-assertion",
      "gw.example",
      "https://auth.example/jwks.json",
    ],
  ] as const;
  for (const [assertion, name, iss, keysUrl] of table) {
    const asked: string[] = [];
    const { who, clock } = callersWith(gatewayOf({ userHeader: "x-forwarded-user", allowUsers, assertion }), {
      fetchText: async (url) => {
        asked.push(url);
        return keySet("k");
      },
    });
    const exp = clock.now() / 1000 + 3600;
    const token = (more: object = {}, kid = "k") => ({
      identityHeaders: {
        "x-forwarded-user": "me@example.com",
        [name]: assertionOf(kid, { iss, aud: "a", exp, email: "me@example.com", ...more }),
      },
    });
    assert.equal(await who(), "auth.assertion_missing", "the plain header is not read beside an assertion");
    assert.equal(await who(token({ iss: "https://evil.example" })), "auth.assertion_invalid");
    assert.equal(await who(token()), "me@example.com");
    assert.equal(await who(token({ email: "you@example.com" })), "auth.trusted_proxy_user_not_allowed");
    assert.equal(await who({ ...token(), via: "direct" }), "auth.trusted_proxy_untrusted_source");
    assert.deepEqual(asked, [keysUrl]);
    assert.equal(await who(token({}, "new")), "auth.assertion_key_unknown");
    assert.deepEqual(asked, [keysUrl], "not asked again for a key that somebody invented");
    clock.advance(40_000);
    assert.equal(await who(token()), "me@example.com");
    clock.advance(11 * 60_000);
    assert.equal(await who(token({ iss: "https://evil.example" })), "auth.assertion_invalid");
    assert.deepEqual(asked, [keysUrl], "nor for who was believed a moment ago, or is not believed at all");
  }
});

test("auth (14): keys are fetched anew for who was believed, and those of another address are forgotten", async () => {
  const allowUsers = ["me@example.com"];
  const at = (jwksUrl: string) =>
    gatewayOf({ allowUsers, assertion: { provider: "pomerium", audience: "a", issuer: "i", jwksUrl } });
  const asked: string[] = [];
  const { who, clock, change } = callersWith(at("https://one.example/jwks"), {
    fetchText: async (url) => {
      asked.push(url);
      if (url.includes("two")) change(gatewayOf());
      return keySet("k");
    },
  });
  const arrival = () => ({
    identityHeaders: {
      "x-pomerium-jwt-assertion": assertionOf("k", {
        iss: "i",
        aud: "a",
        exp: clock.now() / 1000 + 60,
        email: "me@example.com",
      }),
    },
  });
  assert.equal(await who(arrival()), "me@example.com");
  clock.advance(11 * 60_000);
  assert.equal(await who(arrival()), "me@example.com");
  assert.equal(asked.length, 2);
  change(at("https://two.example/jwks"));
  // While the keys came the settings changed: what was asked before is judged by what holds now.
  assert.equal(await who(arrival()), "auth.trusted_proxy_user_missing");
  assert.equal(asked.at(-1), "https://two.example/jwks");
});

test("auth (14): settings that vanish while keys are fetched sign in nobody", async () => {
  const assertion = { provider: "iap", audience: "a" } as const;
  const { callers, change } = callersWith(gatewayOf({ allowUsers: ["me"], assertion }), {
    fetchText: async () => {
      change({ auth: { mode: "token" } });
      return keySet("k");
    },
  });
  const token = assertionOf("k", {});
  const verdict = await callers.identify({ ...base, identityHeaders: { "x-goog-iap-jwt-assertion": token } });
  assert.equal(verdict?.ok === false && verdict.reason, "auth.trusted_proxy_untrusted_source");
});

test("auth (13): a flood of strangers is one line a minute for each reason", async () => {
  const { who, logged, clock } = callersWith(gatewayOf());
  for (let index = 0; index < 50; index++) {
    await who(user("you"));
    await who(user(""));
  }
  assert.equal(logged.length, 2);
  clock.advance(60_000);
  await who(user("you"));
  assert.equal(logged.length, 3);
});

// --- Tailscale -------------------------------------------------------------------------------------------------------

const serve: Gateway = {
  tailscale: { mode: "serve" },
  auth: { identityScopes: { "me@github": ["operator.read"] } },
};
const served: Partial<Arrival> = {
  entrance: "tailscale",
  address: "100.64.0.9",
  peer: "127.0.0.1",
  identityHeaders: { "tailscale-user-login": "me@github" },
};

test("auth (15): a login of the tailnet counts only when tailscaled names the same one for that address (A-008)", async () => {
  const known: Record<string, string> = { "100.64.0.9": "me@github", "100.64.0.8": "you@github" };
  const { who } = callersWith(serve, { whois: async (address) => known[address] });
  assert.equal(await who(served), "me@github");
  const unverified = "auth.tailscale_unverified";
  const login = (name: string) => ({ identityHeaders: { "tailscale-user-login": name } });
  const table: readonly (readonly [string, Partial<Arrival>])[] = [
    ["another's address", { address: "100.64.0.8" }],
    ["nobody's address", { address: "100.64.0.7" }],
    ["another's name", login("you@github")],
    ["another case", login("ME@github")],
    ["blanks around it", login(" me@github")],
    ["an empty name", login("")],
    ["no name", { identityHeaders: {} }],
    [
      "from the internet",
      { identityHeaders: { "tailscale-user-login": "me@github", "tailscale-funnel-request": "?1" } },
    ],
    ["not forwarded", { via: "direct" }],
  ];
  for (const [name, change] of table) assert.equal(await who({ ...served, ...change }), unverified, name);
  assert.equal(await who({ ...served, entrance: "main" }), undefined, "at the main entrance it has no say");
});

test("auth (15): Tailscale has a say only where it is served, unless the config says otherwise", async () => {
  const whois: Whois = async () => "me@github";
  const said = (gateway: Gateway) => callersWith(gateway, { whois }).who(served);
  assert.equal(await said(serve), "me@github");
  assert.equal(await said({ ...serve, auth: { allowTailscale: false } }), undefined);
  assert.equal(await said({ tailscale: { mode: "funnel" } }), undefined);
  assert.equal(await said({ tailscale: { mode: "funnel" }, auth: { allowTailscale: true } }), "me@github");
  const identity = await callersWith(serve, { whois }).callers.identify({ ...base, ...served });
  assert.ok(identity?.ok);
  assert.deepEqual(
    [identity.value.method, identity.value.scopes, identity.value.autoApproveScopes],
    ["tailscale", ["operator.read"], undefined],
  );
});

test("auth (15): tailscaled is asked once for an address and a moment, and never by many at once", async () => {
  const asked: string[] = [];
  const answers: ((login: string | undefined) => void)[] = [];
  const { who, clock } = callersWith(serve, {
    whois: (address) => {
      asked.push(address);
      return new Promise((resolve, reject) =>
        answers.push((login) => (login === undefined ? reject(new Error("no")) : resolve(login))),
      );
    },
  });
  const crowd = Array.from({ length: 30 }, () => who(served));
  assert.equal(asked.length, 1);
  const others = ["100.64.1.1", "100.64.1.2", "100.64.1.3"].map((address) => who({ ...served, address }));
  assert.equal(asked.length, 4);
  assert.equal(
    await who({ ...served, address: "100.64.1.4" }),
    "auth.tailscale_unverified",
    "four at a time",
  );
  answers[0]?.("me@github");
  for (const answer of answers.slice(1)) answer(undefined);
  assert.deepEqual(new Set(await Promise.all(crowd)), new Set(["me@github"]));
  for (const other of others) assert.equal(await other, "auth.tailscale_unverified");
  await who(served);
  assert.equal(asked.length, 4);
  clock.advance(10_000);
  const again = who(served);
  assert.equal(asked.length, 5, "a login may have changed hands");
  answers.at(-1)?.("you@github");
  assert.equal(await again, "auth.tailscale_unverified");
});

test("auth (15): a thousand addresses are remembered, and no more (A-189)", async () => {
  let asked = 0;
  const { who } = callersWith(serve, {
    whois: async () => {
      asked += 1;
      return "me@github";
    },
  });
  const addresses = Array.from({ length: 1001 }, (_, index) => `100.64.${index >> 8}.${index & 255}`);
  for (const address of addresses) await who({ ...served, address });
  assert.equal(asked, 1001);
  await who({ ...served, address: addresses.at(-1) as string });
  assert.equal(asked, 1001);
  await who({ ...served, address: addresses[0] as string });
  assert.equal(asked, 1002);
});

test("auth (9, 13): after a change of the config only those stay signed in who are who they were", () => {
  const me = "me@example.com";
  const both = { ...header, allowUsers: [me, "you@example.com"] };
  const config = (proxy: Partial<typeof both>, more: Partial<Auth> = {}) =>
    settingsOf(
      gatewayOf(
        { userHeader: header.userHeader, ...proxy },
        { identityScopes: { [me]: ["operator.read"] }, allowTailscale: true, ...more },
      ),
    );
  const before = config(both);
  const table: readonly (readonly [string, typeof before, boolean, boolean])[] = [
    ["nothing", config(both), true, true],
    ["another user comes", config({ allowUsers: [...both.allowUsers, "x"] }), true, true],
    ["this user goes", config({ allowUsers: ["you@example.com"] }), false, true],
    ["nobody is named any more", config({}), false, true],
    ["another header", config({ ...both, userHeader: "X-User" }), false, true],
    ["this user's scopes", config(both, { identityScopes: {} }), false, false],
    ["another mode", config(both, { mode: "token" }), false, true],
    ["tailscale is off", config(both, { allowTailscale: false }), true, false],
  ];
  for (const [name, after, proxy, tailscale] of table) {
    const stays = (method: string, user: string | undefined) =>
      staysSignedIn(before, after, { method, user });
    assert.deepEqual([stays("trusted-proxy", me), stays("tailscale", me)], [proxy, tailscale], name);
    assert.equal(stays("trusted-proxy", undefined), false, `${name}: nobody`);
  }
  const open = config({});
  assert.equal(staysSignedIn(open, open, { method: "trusted-proxy", user: "anybody" }), true);
});
