import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted } from "../kernel/mod.ts";
import { parseRange } from "./address.ts";
import { type ArrivingRequest, arrive } from "./arrival.ts";

const trust = {
  trustedProxies: [parseRange("127.0.0.1")!],
  allowRealIpFallback: false,
  allowedOrigins: ["https://gateway.example"],
  ownNames: ["gateway.example"],
  hostHeaderFallback: false,
  identityHeaders: ["x-user"],
  tailscale: "off",
  ownTailnetAddresses: ["100.64.0.7"],
} as const;

function request(
  headers: Readonly<Record<string, string>>,
  more: Partial<ArrivingRequest> = {},
): ArrivingRequest {
  const all = { host: "127.0.0.1:18789", ...headers };
  return {
    method: "GET",
    target: "/path?query",
    httpVersion: "1.1",
    headers: all,
    rawHeaders: Object.entries(all).flat(),
    isUpgrade: true,
    peer: "127.0.0.1",
    isEncrypted: false,
    entrance: "main",
    ...more,
  };
}

test("network (1): the facts of an arrival, direct and through a proxy", () => {
  const direct = arrive(request({}), trust);
  assert.ok(admitted(direct));
  assert.deepEqual(direct.value, {
    address: "127.0.0.1",
    peer: "127.0.0.1",
    via: "direct",
    scheme: "http",
    isLoopback: true,
    isLocal: true,
    isOwnTailnet: false,
    entrance: "main",
    identityHeaders: {},
    limitKey: "127.0.0.1",
    origin: undefined,
    host: "127.0.0.1:18789",
    path: "/path",
  });
  const proxied = arrive(
    request({
      host: "gateway.example",
      origin: "https://gateway.example",
      "x-forwarded-for": "2001:db8:1:2::9",
      "x-forwarded-proto": "https",
    }),
    trust,
  );
  assert.ok(admitted(proxied));
  assert.deepEqual(proxied.value, {
    address: "2001:db8:1:2::9",
    peer: "127.0.0.1",
    via: "proxy",
    scheme: "https",
    isLoopback: false,
    isLocal: false,
    isOwnTailnet: false,
    entrance: "main",
    identityHeaders: {},
    limitKey: "20010db800010002::/64",
    origin: "https://gateway.example",
    host: "gateway.example",
    path: "/path",
  });
  const encrypted = arrive(request({}, { isEncrypted: true, peer: "::ffff:192.0.2.1" }), trust);
  assert.ok(admitted(encrypted));
  assert.equal(encrypted.value.scheme, "https");
  assert.equal(encrypted.value.address, "192.0.2.1");
  assert.equal(encrypted.value.isLocal, false);
});

test("network (9): a page on this machine is counted by its origin, so that its guesses lock out nobody else (A-242)", () => {
  const own = arrive(request({ origin: "http://127.0.0.1:18789" }), trust);
  assert.ok(admitted(own));
  assert.equal(own.value.limitKey, "browser-origin:http://127.0.0.1:18789");
  const remote = arrive(
    request({ host: "192.0.2.7", origin: "https://gateway.example" }, { peer: "192.0.2.1" }),
    trust,
  );
  assert.ok(admitted(remote));
  assert.equal(remote.value.limitKey, "192.0.2.1");
});

test("network (11): who somebody is comes from a trusted proxy only, once, and from the headers that were named (A-008)", () => {
  const forwarded = { "x-forwarded-for": "203.0.113.9", "x-user": "owner" };
  const headersOf = (headers: Record<string, string>, more: Partial<ArrivingRequest> = {}, as = trust) => {
    const verdict = arrive(request(headers, more), as);
    return admitted(verdict) ? verdict.value.identityHeaders : verdict.reason;
  };
  assert.deepEqual(headersOf({ ...forwarded, "x-other": "o", "tailscale-user-login": "me" }), {
    "x-user": "owner",
  });
  assert.deepEqual(headersOf({ "x-forwarded-for": "203.0.113.9" }), {});
  assert.deepEqual(headersOf({ "x-user": "owner" }), {}, "from this machine, without a proxy");
  assert.deepEqual(headersOf({ "x-user": "owner" }, { peer: "192.0.2.1" }), {});
  assert.equal(headersOf(forwarded, { peer: "192.0.2.1" }), "network.proxy_attribution_required");
  assert.equal(
    headersOf(forwarded, {
      rawHeaders: ["Host", "h", "X-User", "owner", "x-USER", "mallory", "X-Forwarded-For", "203.0.113.9"],
    }),
    "network.request_malformed",
  );
});

test("network (11): behind the entrance for tailscale stands tailscaled alone, and nothing while it is off", () => {
  const serving = { ...trust, tailscale: "serve" } as const;
  const served = { host: "gw.tail.ts.net", "x-forwarded-for": "100.64.0.9", "x-forwarded-proto": "https" };
  const at = (headers: Record<string, string>, more: Partial<ArrivingRequest> = {}, as: object = serving) => {
    const verdict = arrive(request(headers, { entrance: "tailscale", ...more }), { ...trust, ...as });
    return admitted(verdict) ? verdict.value : verdict.reason;
  };
  const seen = at({ ...served, "tailscale-user-login": "me@example.com", "x-user": "owner" });
  assert.ok(typeof seen === "object");
  assert.deepEqual(seen.identityHeaders, { "tailscale-user-login": "me@example.com" });
  assert.deepEqual(
    [seen.entrance, seen.address, seen.via, seen.isLocal, seen.scheme],
    ["tailscale", "100.64.0.9", "proxy", false, "https"],
  );
  const refused = "network.proxy_attribution_required";
  assert.equal(at(served, {}, { tailscale: "off" }), refused);
  assert.equal(at({ host: "gw.tail.ts.net" }), refused, "somebody else on this machine");
  assert.equal(at(served, { peer: "192.0.2.1" }), refused);
  assert.equal(at({ ...served, "x-forwarded-for": "127.0.0.1" }), refused);
  assert.equal(
    at(served, { rawHeaders: ["Tailscale-User-Login", "a", "tailscale-user-login", "b"] }),
    "network.request_malformed",
  );
});

test("network (7): this machine's own tailnet address is its own only without a proxy between", () => {
  const own = (peer: string, headers: Record<string, string> = {}) => {
    const verdict = arrive(request(headers, { peer }), trust);
    return admitted(verdict) && verdict.value.isOwnTailnet;
  };
  assert.equal(own("100.64.0.7"), true);
  assert.equal(own("::ffff:100.64.0.7"), true);
  assert.equal(own("100.64.0.8"), false);
  assert.equal(own("127.0.0.1"), false);
  assert.equal(own("127.0.0.1", { "x-forwarded-for": "100.64.0.7" }), false);
  const proxy = { ...trust, trustedProxies: [parseRange("100.64.0.7")!] };
  const behind = arrive(request({ "x-forwarded-for": "203.0.113.9" }, { peer: "100.64.0.7" }), proxy);
  assert.equal(admitted(behind) && behind.value.isOwnTailnet, false);
});

test("network (1)(2)(3)(8): one refusal each, in their order", () => {
  const bad = { origin: "https://evil.example", host: "rebind.test", "x-forwarded-for": "unknown" };
  const table: readonly [request: ArrivingRequest, reason: string][] = [
    [request(bad, { rawHeaders: ["Host", "a", "Host", "b"] }), "network.request_malformed"],
    [request(bad, { target: "//" }), "network.request_malformed"],
    [request(bad, { peer: undefined }), "network.request_malformed"],
    [request(bad), "network.proxy_attribution_required"],
    [request({ ...bad, "x-forwarded-for": "192.0.2.1" }), "network.host_refused"],
    [request({ origin: "https://evil.example" }), "network.origin_refused"],
    [request({}, { headers: {} }), "network.host_refused"],
  ];
  for (const [arriving, reason] of table) {
    const verdict = arrive(arriving, trust);
    assert.equal(admitted(verdict) ? "admitted" : verdict.reason, reason);
  }
});
