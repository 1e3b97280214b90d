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
};

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
