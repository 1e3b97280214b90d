import assert from "node:assert/strict";
import { test } from "node:test";
import { effectivePort, parseAuthority, parseConfiguredOrigin, parseOrigin } from "./authority.ts";

test("network (2): a Host is a name or an address with at most a port, and nothing that a resolver could read otherwise", () => {
  const table: readonly [text: string, name: string | undefined, port?: number][] = [
    ["localhost", "localhost"],
    ["LOCALHOST:18789", "localhost", 18789],
    ["127.0.0.1:18789", "127.0.0.1", 18789],
    ["[::1]:18789", "::1", 18789],
    ["[::1]", "::1"],
    ["[0:0:0:0:0:0:0:1]", "::1"],
    ["[::ffff:127.0.0.1]", "127.0.0.1"],
    ["my_host-1.example", "my_host-1.example"],
    ["", undefined],
    ["localhost.", undefined],
    ["127.0.0.1.", undefined],
    [".localhost", undefined],
    ["a..b", undefined],
    ["-a.b", undefined],
    ["127.1", undefined],
    ["2130706433", undefined],
    ["0x7f000001", undefined],
    ["example.0x7f", undefined],
    ["1.2.3.4.5", undefined],
    ["localhost:", undefined],
    ["localhost:0", undefined],
    ["localhost:080", undefined],
    ["localhost:65536", undefined],
    ["localhost:99999999", undefined],
    ["user@localhost", undefined],
    ["localhost/path", undefined],
    ["local host", undefined],
    ["a,b", undefined],
    ["[::1", undefined],
    ["[127.0.0.1]", undefined],
    ["[fe80::1%25eth0]", undefined],
    ["[:::::]", undefined],
    ["::1", undefined],
    ["exämple.com", undefined],
  ];
  for (const [text, name, port] of table) {
    const found = parseAuthority(text);
    assert.equal(found?.name, name, text);
    assert.equal(found?.port, port, text);
  }
});

test("network (3): an origin is scheme, host and port; null, files, paths and userinfo are none (A-021)", () => {
  const table: readonly [text: string, canonical: string | undefined][] = [
    ["http://127.0.0.1:18789", "http://127.0.0.1:18789"],
    ["https://example.com:443", "https://example.com"],
    ["http://example.com:443", "http://example.com:443"],
    ["http://example.com:80", "http://example.com"],
    ["http://[::1]:18789", "http://[::1]:18789"],
    ["chrome-extension://abc", "chrome-extension://abc"],
    ["tauri://localhost:1", "tauri://localhost:1"],
    ["null", undefined],
    ["", undefined],
    ["file://", undefined],
    ["file://localhost", undefined],
    ["http://evil.com#127.0.0.1", undefined],
    ["http://localhost:18789@evil.com", undefined],
    ["HTTP://127.0.0.1:18789/", undefined],
    ["http://127.0.0.1:18789/", undefined],
    ["http://a, http://b", undefined],
    ["http://", undefined],
    ["//localhost", undefined],
    ["http://localhost.", undefined],
  ];
  for (const [text, canonical] of table) assert.equal(parseOrigin(text)?.text, canonical, text);
  assert.equal(parseConfiguredOrigin(" HTTPS://Gateway.Example/ ")?.text, "https://gateway.example");
  assert.equal(parseConfiguredOrigin("https://gateway.example/ui"), undefined);
});

test("network (3): a port that is left out is the scheme's own", () => {
  const port = (text: string, scheme: string) => effectivePort(parseAuthority(text)!, scheme);
  assert.equal(port("a.example", "http"), 80);
  assert.equal(port("a.example", "https"), 443);
  assert.equal(port("a.example", "tauri"), undefined);
  assert.equal(port("a.example:1", "https"), 1);
});
