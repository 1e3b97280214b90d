import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted } from "../kernel/mod.ts";
import { parseAuthority } from "./authority.ts";
import { judgeHost, judgeOrigin, type OriginTrust } from "./origin.ts";

const nobody: OriginTrust = { allowedOrigins: [], ownNames: [], hostHeaderFallback: false };
const listed: OriginTrust = {
  allowedOrigins: ["https://gateway.example", "http://allowed.example:8080", "chrome-extension://abc"],
  ownNames: ["gateway.example", "allowed.example", "abc"],
  hostHeaderFallback: false,
};
const anyPage: OriginTrust = { ...nobody, allowedOrigins: ["*"] };
const fallback: OriginTrust = { ...nobody, hostHeaderFallback: true };

test("network (2): a Host is an address, a name of this machine, or one that was written down (A-022)", () => {
  const table: readonly [host: string, trust: OriginTrust, ok: boolean][] = [
    ["127.0.0.1:18789", nobody, true],
    ["[::1]:18789", nobody, true],
    ["203.0.113.5:18789", nobody, true],
    ["localhost:18789", nobody, true],
    ["ui.localhost", nobody, true],
    ["host.tail1234.ts.net", nobody, true],
    ["rebind.attacker.test:18789", nobody, false],
    ["localhost.attacker.test", nobody, false],
    ["attackerlocalhost", nobody, false],
    ["127.0.0.1.attacker.test", nobody, false],
    ["localhost.", nobody, false],
    ["nas.local", nobody, false],
    ["evil-ts.net", nobody, false],
    ["", nobody, false],
    ["gateway.example", listed, true],
    ["GATEWAY.example:18789", listed, true],
    ["gateway.example.attacker.test", listed, false],
    ["rebind.attacker.test", anyPage, true],
    ["rebind.attacker.test", fallback, true],
    ["user@localhost", fallback, false],
  ];
  for (const [host, trust, ok] of table) assert.equal(admitted(judgeHost(host, trust)), ok, host);
});

function page(origin: string, host: string, trust: OriginTrust, scheme?: "http" | "https"): boolean {
  const request = { method: "GET", headers: { origin }, isUpgrade: true };
  const verdict = judgeOrigin(request, parseAuthority(host)!, scheme, trust);
  if (!admitted(verdict)) assert.equal(verdict.reason, "network.origin_refused");
  return admitted(verdict);
}

test("network (3): a page is let in by exact origin: its own, or one that was written down (A-020, A-021)", () => {
  const own = "127.0.0.1:18789";
  const table: readonly [origin: string, host: string, trust: OriginTrust, ok: boolean][] = [
    ["http://127.0.0.1:18789", own, nobody, true],
    ["http://localhost:18789", "localhost:18789", nobody, true],
    ["http://[::1]:18789", "[::1]:18789", nobody, true],
    ["http://10.0.0.5:18789", "10.0.0.5:18789", nobody, true],
    ["https://host.tail1234.ts.net", "host.tail1234.ts.net", nobody, true],
    // Another name, another port, another site.
    ["http://localhost:18789", own, nobody, false],
    ["http://127.0.0.1:3000", own, nobody, false],
    ["http://127.0.0.1", own, nobody, false],
    ["https://evil.example", own, nobody, false],
    ["null", own, nobody, false],
    ["file://", own, nobody, false],
    ["http://localhost.evil.com:18789", own, nobody, false],
    ["http://127.0.0.1.evil.com", own, nobody, false],
    ["http://evil.com#127.0.0.1", own, nobody, false],
    ["http://localhost:18789@evil.com", own, nobody, false],
    ["HTTP://127.0.0.1:18789/", own, nobody, false],
    ["chrome-extension://x", own, nobody, false],
    ["http://127.0.0.1:18789, http://127.0.0.1:18789", own, nobody, false],
    // Same host, but a name or address that routing or DNS decides about.
    ["http://203.0.113.5:18789", "203.0.113.5:18789", nobody, false],
    ["http://rebind.test:18789", "rebind.test:18789", nobody, false],
    ["http://203.0.113.5:18789", "203.0.113.5:18789", fallback, true],
    ["http://rebind.test:18789", "rebind.test:18789", fallback, true],
    ["http://evil.example", "rebind.test:18789", fallback, false],
    // Written down.
    ["https://gateway.example", own, listed, true],
    ["http://allowed.example:8080", own, listed, true],
    ["chrome-extension://abc", own, listed, true],
    ["http://gateway.example", own, listed, false],
    ["https://gateway.example:8443", own, listed, false],
    ["http://allowed.example:8081", own, listed, false],
    ["https://gateway.example.evil.com", own, listed, false],
    ["https://evilgateway.example", own, listed, false],
    ["chrome-extension://abcd", own, listed, false],
    // Everybody, which is still not nobody.
    ["https://evil.example", own, anyPage, true],
    ["null", own, anyPage, false],
    ["chrome-extension://x", own, anyPage, false],
  ];
  for (const [origin, host, trust, ok] of table)
    assert.equal(page(origin, host, trust), ok, `${origin} at ${host}`);
});

test("network (3): a page that came unencrypted does not reach what is served encrypted", () => {
  assert.equal(page("http://localhost:18789", "localhost:18789", nobody, "https"), false);
  assert.equal(page("https://localhost:18789", "localhost:18789", nobody, "https"), true);
  assert.equal(page("https://localhost:18789", "localhost:18789", nobody, "http"), true);
  assert.equal(page("http://localhost:18789", "localhost:18789", nobody, "http"), true);
});

test("network (3): without Origin the browser's other words decide: links work, forms and images do not (A-025, A-242)", () => {
  const navigation = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const table: readonly [method: string, headers: Readonly<Record<string, string>>, ok: boolean][] = [
    ["GET", {}, true],
    ["POST", {}, true],
    ["GET", { "sec-fetch-site": "same-origin" }, true],
    ["GET", { "sec-fetch-site": "none" }, true],
    ["POST", { "sec-fetch-site": "same-origin" }, true],
    ["GET", { "sec-fetch-site": "cross-site", ...navigation }, true],
    ["HEAD", { "sec-fetch-site": "same-site", ...navigation }, true],
    [
      "GET",
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      false,
    ],
    [
      "GET",
      { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" },
      false,
    ],
    ["GET", { "sec-fetch-site": "same-site" }, false],
    ["GET", { "sec-fetch-site": "" }, false],
    ["POST", { "sec-fetch-site": "cross-site", ...navigation }, false],
    ["POST", { "sec-fetch-site": "same-site" }, false],
    ["GET", { referer: "https://evil.example/page" }, true],
    ["POST", { referer: "https://evil.example/page" }, false],
    ["POST", { referer: "http://127.0.0.1:18789/page?a#b" }, true],
    ["POST", { referer: "about:blank" }, false],
    ["POST", { referer: "" }, false],
    ["PUT", { referer: "http://127.0.0.1:18789@evil.example/" }, false],
  ];
  for (const [method, headers, ok] of table) {
    const host = parseAuthority("127.0.0.1:18789")!;
    const verdict = judgeOrigin({ method, headers, isUpgrade: false }, host, undefined, nobody);
    assert.equal(admitted(verdict), ok, `${method} ${JSON.stringify(headers)}`);
  }
  const upgrade = {
    method: "GET",
    headers: { "sec-fetch-site": "cross-site", ...navigation },
    isUpgrade: true,
  };
  assert.equal(admitted(judgeOrigin(upgrade, parseAuthority("localhost")!, undefined, nobody)), false);
});
