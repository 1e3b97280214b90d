import assert from "node:assert/strict";
import { test } from "node:test";
import { addressVerdict, classifyAddress, hostVerdict, type SsrfSettings } from "./address.ts";

const strict: SsrfSettings = {
  dangerouslyAllowPrivateNetwork: false,
  allowedHostnames: [],
  blockedHostnames: [],
  allowRfc2544BenchmarkRange: false,
  allowIpv6UniqueLocalRange: false,
};

const kinds: readonly (readonly [kind: string, ...ips: string[]])[] = [
  [
    "public",
    "1.1.1.1",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "198.17.255.255",
    "223.255.255.255",
    "11.0.0.0",
    "169.253.1.1",
  ],
  [
    "public",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "::ffff:1.1.1.1",
    "2606:4700::5efe:101:101",
  ],
  [
    "loopback",
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "0:0:0:0:0:ffff:7f00:1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:127.0.0.1",
  ],
  [
    "private",
    "10.0.0.5",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::ffff:10.0.0.1",
    "fec0::1",
  ],
  ["linkLocal", "169.254.1.1", "fe80::1", "febf::1"],
  ["metadata", "169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"],
  ["benchmark", "198.18.0.1", "198.19.255.255"],
  ["uniqueLocal", "fc00::1", "fdff::1"],
  [
    "reserved",
    "192.0.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
  ],
  [
    "reserved",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2001:2::1",
    "2001:20::1",
    "100::1",
    "ff02::1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::1234",
    "4000::1",
    "3fff::1",
  ],
  [
    "invalid",
    "",
    "127.1",
    "0177.0.0.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.1.",
    "1.2.3.4.5",
    "256.1.1.1",
    "fe80::1%lo",
    "[::1]",
    "::1::",
    "1:2:3",
    "g::1",
    "1.1.1",
    " 1.1.1.1",
    "１.1.1.1",
    ":::",
    "1:2:3:4:5:6:7:8:9",
    "::ffff:1.2.3.256",
  ],
];
for (const [kind, ...ips] of kinds) {
  test(`classifyAddress: ${kind}: ${ips[0]} and ${ips.length - 1} more`, () => {
    for (const ip of ips) assert.equal(classifyAddress(ip), kind, ip);
  });
}

const refused = [
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0177.0.0.1/",
  "http://127.1/",
  "http://127.0.1/",
  "http://0/",
  "http://0.0.0.0/",
  "http://017700000001/",
  "http://127.0.0.1.:80/",
  "http://１２７.0.０.１/",
  "http://①②⑦.⓪.⓪.①/",
  "http://127。0。0。1/",
  "http://169.254.43518/",
  "http://[::1]/",
  "http://[::ffff:a9fe:a9fe]/",
  "http://[::]/",
  "http://[::127.0.0.1]/",
  "http://[fe80::1%25lo]/",
  "http://16843009/",
  "http://1.1.1.1./",
  "http://localhost/",
  "http://LOCALHOST./",
  "http://a.localhost/",
  "http://localhost../",
  "http://localhost.localdomain/",
  "http://ip6-loopback/",
  "http://metadata.google.internal/",
  "http://METADATA.google.internal../",
  "http://instance-data/",
  "http://x.internal/",
  "http://printer.local/",
  "http://kubernetes.default.svc/",
  "http://nas/",
  "http://ｌｏｃａｌｈｏｓｔ/",
  "file:///etc/passwd",
  "FILE:/etc/passwd",
  "ftp://example.com/",
  "gopher://example.com/",
  "data:text/html,x",
  "blob:http://x.com/1",
  "javascript:alert(1)",
  "view-source:http://example.com",
  "ws://example.com/",
  "http:example.com",
  "http:///example.com",
  "http://user@example.com/",
  "http://user:pw@example.com/",
  "http://@example.com/",
  "http://example.com\\@127.0.0.1/",
  "http://exa\tmple.com/",
  "http://example.com/\n",
  " http://example.com/",
  "http://",
  "",
  "example.com",
  "http://example.com:22/",
  "http://example.com:25/",
  "https://example.com:6379/",
  "http://example.com:0x16/",
  `http://example.com/${"a".repeat(9000)}`,
];
for (const url of refused) {
  test(`policy (5): ${JSON.stringify(url).slice(0, 60)} is refused`, () => {
    const verdict = hostVerdict(url, strict);
    assert.equal(verdict.ok, false);
    assert.equal(verdict.ok ? "" : verdict.reason, "policy.url_refused");
  });
}

const accepted: readonly (readonly [url: string, hostname: string, port: number])[] = [
  ["http://example.com", "example.com", 80],
  ["https://Example.COM./a?b#c", "example.com", 443],
  ["https://example.com:8443/", "example.com", 8443],
  ["https://münchen.de/", "xn--mnchen-3ya.de", 443],
  ["http://1.1.1.1/", "1.1.1.1", 80],
  ["http://1.1.1.1:8080/", "1.1.1.1", 8080],
  ["https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443],
  ["https://example.com/a@b", "example.com", 443],
];
for (const [url, hostname, port] of accepted) {
  test(`hostVerdict: ${url} is accepted`, () => {
    const verdict = hostVerdict(url, strict);
    assert.ok(verdict.ok, verdict.ok ? "" : verdict.detail);
    assert.equal(verdict.value.hostname, hostname);
    assert.equal(verdict.value.port, port);
    assert.equal(verdict.value.url.hash, "");
  });
}

test("hostVerdict: a listed host is reached on its port only, and a blocked one never", () => {
  const ssrf = {
    ...strict,
    allowedHostnames: ["nas.lan:8080", "*.corp.example", "10.0.0.7"],
    blockedHostnames: ["*.evil.test", "bad.corp.example"],
  };
  const ok = (url: string) => hostVerdict(url, ssrf).ok;
  assert.equal(ok("http://nas.lan:8080/"), true);
  assert.equal(ok("http://NAS.LAN.:8080/"), true);
  assert.equal(ok("http://nas.lan/"), false);
  assert.equal(ok("http://10.0.0.7/"), true);
  assert.equal(ok("http://10.0.0.8/"), false);
  assert.equal(ok("http://a.evil.test/"), false);
  assert.equal(ok("http://evil.test/"), true);
  assert.equal(ok("http://bad.corp.example/"), false);
  assert.equal(ok("http://10.0.0.7:22/"), false);
});

test("addressVerdict: private answers pass only for listed hosts or an open network, metadata and multicast not even then", () => {
  const named = { hostname: "nas.lan", literal: undefined, listed: false };
  assert.equal(addressVerdict("10.0.0.1", named, strict).ok, false);
  assert.equal(addressVerdict("10.0.0.1", { ...named, listed: true }, strict).ok, true);
  const open = { ...strict, dangerouslyAllowPrivateNetwork: true };
  assert.equal(addressVerdict("127.0.0.1", named, open).ok, true);
  assert.equal(addressVerdict("169.254.169.254", named, open).ok, false);
  assert.equal(addressVerdict("169.254.169.254", { ...named, listed: true }, open).ok, false);
  assert.equal(addressVerdict("224.0.0.1", { ...named, listed: true }, open).ok, false);
  assert.equal(addressVerdict("nonsense", { ...named, listed: true }, open).ok, false);
  assert.equal(addressVerdict("198.18.0.1", named, { ...strict, allowRfc2544BenchmarkRange: true }).ok, true);
  assert.equal(addressVerdict("198.18.0.1", named, strict).ok, false);
  assert.equal(addressVerdict("fd00::1", named, { ...strict, allowIpv6UniqueLocalRange: true }).ok, true);
  assert.equal(addressVerdict("fd00::1", named, strict).ok, false);
  assert.equal(
    addressVerdict(
      "169.254.169.254",
      { hostname: "169.254.169.254", literal: "169.254.169.254", listed: true },
      strict,
    ).ok,
    true,
  );
});

test("policy (5): a URL whose host is only dots is refused, and an exception that names nothing allows nothing", () => {
  const open = {
    dangerouslyAllowPrivateNetwork: false,
    blockedHostnames: [],
    allowRfc2544BenchmarkRange: false,
    allowIpv6UniqueLocalRange: false,
  };
  for (const url of ["http://./", "http://../", "http://.:80/"]) {
    assert.equal(hostVerdict(url, { ...open, allowedHostnames: [] }).ok, false, url);
  }
  for (const entry of ["", " ", ".", "[::1", "[::1]x", "*."]) {
    assert.equal(hostVerdict("http://localhost/", { ...open, allowedHostnames: [entry] }).ok, false, entry);
  }
});

test("policy (5): with an allowlist only its hosts are fetched, on their ports, and an empty one admits nobody", () => {
  const base = {
    dangerouslyAllowPrivateNetwork: false,
    allowedHostnames: [],
    blockedHostnames: ["bad.example.com"],
    allowRfc2544BenchmarkRange: false,
    allowIpv6UniqueLocalRange: false,
  };
  const ok = (url: string, onlyHostnames: readonly string[]) =>
    hostVerdict(url, { ...base, onlyHostnames }).ok;
  const list = ["docs.example.com", "*.example.com", "a.test:8080", "10.0.0.7"];
  for (const url of ["https://docs.example.com/", "https://x.example.com/", "http://a.test:8080/"])
    assert.equal(ok(url, list), true, url);
  for (const url of [
    "https://example.com/",
    "http://a.test/",
    "https://evil.test/",
    "https://bad.example.com/",
  ])
    assert.equal(ok(url, list), false, url);
  // Being listed here does not make a private address a public one.
  assert.equal(ok("http://10.0.0.7/", list), false);
  assert.equal(ok("https://docs.example.com/", []), false);
});
