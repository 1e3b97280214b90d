import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Secret } from "../kernel/mod.ts";
import { type EgressRule, judgeRequest, mustRead, parseAuthority, rulesFor } from "./egress-rules.ts";

const ask = (method: string, url: string) => {
  const { protocol, host, pathname, search } = new URL(url);
  const secure = protocol === "https:";
  const target = parseAuthority(/:\d+$/.test(host) ? host : `${host}:${secure ? 443 : 80}`, secure);
  assert.ok(target, url);
  return { ...target, method, path: pathname + search };
};
const inject = { header: "authorization", value: new Secret("Bearer x") };

const table: readonly (readonly [
  what: string,
  rule: EgressRule,
  yes: readonly string[],
  no: readonly string[],
])[] = [
  [
    "a name, with the ports that its schemes have",
    { host: "api.example.com" },
    ["GET https://api.example.com/", "POST http://api.example.com/x", "GET https://API.example.com/"],
    [
      "GET https://api.example.com:8443/",
      "GET http://api.example.com:443/",
      "GET https://example.com/",
      "GET https://x.api.example.com/",
      "GET https://api.example.com.evil.test/",
      "GET https://xapi.example.com/",
    ],
  ],
  [
    "one port, and no other",
    { host: "git.example.com", port: 8443 },
    ["GET https://git.example.com:8443/"],
    ["GET https://git.example.com/", "GET http://git.example.com/"],
  ],
  [
    "names below a domain, not the domain itself",
    { host: "*.example.com" },
    ["GET https://a.example.com/", "GET https://a.b.example.com/"],
    ["GET https://example.com/", "GET https://evilexample.com/", "GET https://1.2.3.4/"],
  ],
  [
    "methods",
    { host: "a.test", methods: ["GET", "HEAD"] },
    ["GET https://a.test/", "HEAD https://a.test/"],
    ["POST https://a.test/", "get https://a.test/", "DELETE https://a.test/"],
  ],
  [
    "paths, exact or by their beginning, whatever the query",
    { host: "a.test", paths: ["/v1/models", "/repos/me/*"] },
    [
      "GET https://a.test/v1/models?x=/../",
      "GET https://a.test/repos/me/x/y",
      "GET https://a.test/repos/me/",
    ],
    ["GET https://a.test/", "GET https://a.test/v1/models/x", "GET https://a.test/repos/you/x"],
  ],
  [
    "an injected credential, over https only",
    { host: "a.test", inject },
    ["GET https://a.test/"],
    ["GET http://a.test/"],
  ],
];

for (const [what, rule, yes, no] of table)
  test(`sandbox (9): a rule of egress admits ${what}`, () => {
    for (const [expected, lines] of [
      [true, yes],
      [false, no],
    ] as const)
      for (const line of lines) {
        const [method = "", url = ""] = line.split(" ");
        assert.equal(judgeRequest([rule], ask(method, url)).ok, expected, line);
      }
  });

test("sandbox (9): no address is below a domain, however the domain is called", () => {
  assert.equal(judgeRequest([{ host: "*.3.4" }], ask("GET", "https://1.2.3.4/")).ok, false);
});

test("sandbox (9): without a rule nothing is admitted, and the sentence says what to add where", () => {
  const verdict = judgeRequest([], ask("GET", "https://a.test/"));
  assert.ok(!verdict.ok);
  assert.match(verdict.why, /a\.test with port 443.*agents\.\*\.sandbox\.egress/);
});

test("sandbox (9): a path that a server could read as another one fits no rule about paths", () => {
  const rule = { host: "a.test", paths: ["/public/*"] };
  const target = { secure: true, host: "a.test", port: 443, method: "GET" };
  for (const path of [
    "/public/../private",
    "/public/%2e%2e/private",
    "/public/%252e%252e/private",
    "/public/..%2fprivate",
    "/public/%2F../x",
    "/public/..\\private",
    "/public/%5c..",
    "/public//x",
    "/public/./x",
    "/public/..;/private",
    "/public/.",
    "/public/x%00",
    "public/x",
    "",
  ])
    assert.equal(judgeRequest([rule], { ...target, path }).ok, false, path);
  assert.equal(judgeRequest([rule], { ...target, path: "/public/..x/a.b?q=../y" }).ok, true);
  // Where no rule is about paths the server's reading does not matter.
  assert.equal(judgeRequest([{ host: "a.test" }], { ...target, path: "/a//b" }).ok, true);
});

test("sandbox (9): the first rule that admits a request decides, and one that wants to be read is never tunnelled around", () => {
  const rules = [{ host: "a.test", methods: ["GET"], inject }, { host: "a.test" }, { host: "b.test" }];
  const verdict = (method: string) => judgeRequest(rules, ask(method, "https://a.test/"));
  assert.deepEqual(
    [verdict("GET"), verdict("POST")].map((item) => item.ok && item.index),
    [0, 1],
  );
  const named = (host: string) => rulesFor(rules, { secure: true, host, port: 443 });
  assert.equal(mustRead(named("a.test")), true);
  assert.equal(mustRead(named("b.test")), false);
});

test("sandbox (9), SS: an authority is one host and one port in one spelling, or none (A-158, A-159)", () => {
  for (const text of [
    "a.test",
    "a.test:0",
    "a.test:99999",
    "user@a.test:443",
    "a.test:443@b.test:443",
    "a%2etest:443",
    "ａ.test:443",
    "a..test:443",
    ".test:443",
    "[::1:443",
    "[g::1]:443",
    "[1.2.3.4]:443",
    "::1:443",
    "a.test:443 ",
    "a.test :443",
    "a.test:443#",
    "a.test\n:443",
    "[fe80::1%25lo]:443",
  ])
    assert.equal(parseAuthority(text, true), undefined, text);
  assert.deepEqual(parseAuthority("A.Test.:443", true), { secure: true, host: "a.test", port: 443 });
  assert.deepEqual(parseAuthority("[::1]:80", false), { secure: false, host: "::1", port: 80 });
  fc.assert(
    fc.property(fc.string(), (text) => {
      const target = parseAuthority(text, true);
      return target === undefined || /^[a-z0-9._:-]+$/.test(target.host);
    }),
  );
});
