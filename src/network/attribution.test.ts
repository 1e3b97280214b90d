import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted } from "../kernel/mod.ts";
import { parseAddress, parseRange } from "./address.ts";
import { attribute, looksForwarded } from "./attribution.ts";

type Headers = Readonly<Record<string, string | string[]>>;

function resolve(
  headers: Headers,
  options: {
    readonly peer?: string;
    readonly trusted?: readonly string[];
    readonly realIp?: boolean;
    readonly version?: string;
  } = {},
): string {
  const trustedProxies = (options.trusted ?? ["127.0.0.1"]).map((text) => parseRange(text)!);
  const verdict = attribute(parseAddress(options.peer ?? "127.0.0.1")!, headers, options.version ?? "1.1", {
    trustedProxies,
    allowRealIpFallback: options.realIp ?? false,
  });
  if (!admitted(verdict)) {
    assert.equal(verdict.reason, "network.proxy_attribution_required");
    assert.notEqual(verdict.detail, "");
    return "refused";
  }
  const { client, via, claimedScheme } = verdict.value;
  return `${client.text} ${via}${claimedScheme ? ` ${claimedScheme}` : ""}`;
}

test("network (1): every sign of a proxy makes a request a forwarded one", () => {
  for (const name of [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-anything",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "tailscale-user-login",
  ]) {
    assert.equal(looksForwarded({ [name]: "" }, "1.1"), true, name);
    assert.equal(resolve({ [name]: "203.0.113.9" }, { trusted: [] }), "refused", name);
  }
  // nginx as it is speaks 1.0 to what is behind it, and adds no header at all.
  assert.equal(looksForwarded({ host: "127.0.0.1" }, "1.0"), true);
  assert.equal(looksForwarded({ host: "127.0.0.1", origin: "null", "x-forwarded": "1" }, "1.1"), false);
});

test("network (1): without a sign of a proxy the peer is the client, also where a proxy is trusted", () => {
  assert.equal(resolve({}), "127.0.0.1 direct");
  assert.equal(resolve({}, { peer: "203.0.113.9", trusted: ["203.0.113.9"] }), "203.0.113.9 direct");
});

test("network (1): only a trusted proxy is believed", () => {
  const headers = { "x-forwarded-for": "198.51.100.1" };
  assert.equal(resolve(headers), "198.51.100.1 proxy");
  assert.equal(resolve(headers, { trusted: [] }), "refused");
  assert.equal(resolve(headers, { peer: "10.0.0.2", trusted: ["10.0.0.1"] }), "refused");
  assert.equal(resolve(headers, { peer: "::ffff:10.0.0.1", trusted: ["10.0.0.0/8"] }), "198.51.100.1 proxy");
  assert.equal(resolve(headers, { peer: "::1", trusted: ["::ffff:0:0/96"] }), "refused");
});

test("network (1): the client is the first untrusted hop from the right, whether the proxy overwrites or appends (A-240)", () => {
  const table: readonly [chain: string, outcome: string][] = [
    // Overwritten.
    ["198.51.100.1", "198.51.100.1 proxy"],
    ["2001:DB8::1", "2001:db8::1 proxy"],
    ["[2001:db8::1]", "2001:db8::1 proxy"],
    ["[2001:db8::1]:4711", "2001:db8::1 proxy"],
    ["::ffff:198.51.100.1", "198.51.100.1 proxy"],
    ["198.51.100.1:99", "198.51.100.1 proxy"],
    [" 198.51.100.1 ", "198.51.100.1 proxy"],
    // Appended to what the client made up.
    ["127.0.0.1, 198.51.100.1", "198.51.100.1 proxy"],
    ["::1,198.51.100.1", "198.51.100.1 proxy"],
    ["unknown, 198.51.100.1", "198.51.100.1 proxy"],
    ["203.0.113.5, 198.51.100.1, 127.0.0.1", "198.51.100.1 proxy"],
    ["198.51.100.1, 10.0.0.1, 10.0.0.2", "198.51.100.1 proxy"],
    // Everybody in the chain is trusted: the farthest that is known.
    ["10.0.0.7", "10.0.0.7 proxy"],
    ["10.0.0.7, 127.0.0.1", "10.0.0.7 proxy"],
    // Nobody behind a proxy is this machine.
    ["127.0.0.1", "refused"],
    ["127.0.0.1, 127.0.0.1", "refused"],
    ["198.51.100.1, 127.0.0.2", "refused"],
    ["::1", "refused"],
    ["::ffff:127.0.0.1", "refused"],
    // Not plainly an address.
    ["", "refused"],
    ["unknown", "refused"],
    ["_hidden", "refused"],
    ["198.51.100.1,", "refused"],
    ["198.51.100.1, ,10.0.0.1", "refused"],
    ["198.51.100", "refused"],
    ["0x7f.0.0.1", "refused"],
    ["198.51.100.1:port", "refused"],
    ["198.51.100.1:123456", "refused"],
    ["2001:db8::1%eth0", "refused"],
    ["[198.51.100.1]", "refused"],
    ["[2001:db8::1", "refused"],
    ['for="198.51.100.1"', "refused"],
    [Array(33).fill("198.51.100.1").join(","), "refused"],
  ];
  for (const [chain, outcome] of table) {
    const trusted = ["127.0.0.1", "10.0.0.0/8"];
    assert.equal(resolve({ "x-forwarded-for": chain }, { trusted }), outcome, chain.slice(0, 60));
  }
  assert.equal(resolve({ "x-forwarded-for": ["127.0.0.1", "198.51.100.1"] }), "198.51.100.1 proxy");
});

test("network (1): X-Real-IP counts only when it may, and only where X-Forwarded-For is absent", () => {
  const real = { "x-real-ip": "198.51.100.2" };
  assert.equal(resolve(real), "refused");
  assert.equal(resolve(real, { realIp: true }), "198.51.100.2 proxy");
  assert.equal(
    resolve({ ...real, "x-forwarded-for": "198.51.100.1" }, { realIp: true }),
    "198.51.100.1 proxy",
  );
  assert.equal(resolve({ ...real, "x-forwarded-for": "unknown" }, { realIp: true }), "refused");
  assert.equal(resolve({ "x-real-ip": "127.0.0.1" }, { realIp: true }), "refused");
  assert.equal(resolve({ "x-real-ip": "198.51.100.1, 198.51.100.2" }, { realIp: true }), "refused");
  assert.equal(resolve({ forwarded: 'for="198.51.100.1"' }, { realIp: true }), "refused");
});

test("network (1): the scheme is what the nearest proxy says, and nothing else than http or https", () => {
  const table: readonly [proto: string | undefined, outcome: string][] = [
    [undefined, "198.51.100.1 proxy"],
    ["https", "198.51.100.1 proxy https"],
    ["HTTP", "198.51.100.1 proxy http"],
    ["https, http", "198.51.100.1 proxy http"],
    ["http, https", "198.51.100.1 proxy https"],
    ["wss", "refused"],
    ["", "refused"],
  ];
  for (const [proto, outcome] of table) {
    const headers = {
      "x-forwarded-for": "198.51.100.1",
      ...(proto === undefined ? {} : { "x-forwarded-proto": proto }),
    };
    assert.equal(resolve(headers), outcome, proto ?? "absent");
  }
});
