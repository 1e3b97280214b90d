import assert from "node:assert/strict";
import { test } from "node:test";
import { admitted } from "../kernel/mod.ts";
import { judgeFraming, judgeTarget } from "./request-shape.ts";

test("network (8): a path has one spelling; every other spelling is refused, not understood (A-010, A-184)", () => {
  const fine = [
    "/",
    "/assets/app.js",
    "/api/channels/x",
    "/a.b/..c/d..",
    "/~user/@me/a:b,c!$&'()*+=",
    "/%E5%90%8D%E5%89%8D",
    "/with%20space",
    "/%22quoted%22",
  ];
  for (const path of fine) {
    const verdict = judgeTarget(path);
    assert.ok(admitted(verdict) && verdict.value === path, path);
  }
  const withQuery = judgeTarget("/path?a=%zz&b=../..//");
  assert.ok(admitted(withQuery) && withQuery.value === "/path");
  const wrong = [
    undefined,
    "",
    "*",
    "path",
    "//[",
    "//evil.example/",
    "http://evil.example/",
    "http://%",
    "evil.example:443",
    "/api//channels/x",
    "/api/./channels/x",
    "/api/../channels/x",
    "/..",
    "/.",
    "/api\\channels\\x",
    "/api/channels;v=1/x",
    "/api/channels#x",
    "/api/%63hannels/x",
    "/api/%2563hannels/x",
    "/api/%252525252563hannels/x",
    "/foo/..%2fapi/channels/x",
    "/foo/%2e%2e/api",
    "/foo%5capi",
    "/foo%3bv=1",
    "/foo%00",
    "/foo%0a",
    "/foo%7f",
    "/foo%3fquery",
    "/foo%23",
    "/api/channels/%zz",
    "/api/%",
    "/%E0%A4%A",
    "/%ff",
    "/%c0%af",
    "/with space",
    "/<script>",
    "/ä",
  ];
  for (const target of wrong) {
    const verdict = judgeTarget(target);
    assert.equal(admitted(verdict), false, String(target));
    if (!admitted(verdict)) assert.equal(verdict.reason, "network.request_malformed");
  }
});

test("network (8): what two readers may understand differently is refused", () => {
  const judge = (method: string, pairs: readonly (readonly [string, string])[], more: object = {}) =>
    admitted(
      judgeFraming(
        {
          method,
          httpVersion: "1.1",
          isUpgrade: false,
          rawHeaders: pairs.flat(),
          headers: Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value])),
          ...more,
        },
        ["x-user"],
      ),
    );
  const host = ["Host", "localhost"] as const;
  assert.equal(judge("GET", [host]), true);
  assert.equal(judge("GET", [host, ["X-Any", "1"], ["x-any", "2"]]), true);
  assert.equal(judge("POST", [host, ["Content-Length", "3"]]), true);
  assert.equal(judge("POST", [host, ["Transfer-Encoding", " Chunked "]]), true);
  assert.equal(judge("GET", [host, ["Content-Length", "0"]]), true);
  for (const name of [
    "Host",
    "Origin",
    "Referer",
    "Authorization",
    "Content-Type",
    "X-Real-IP",
    "Sec-Fetch-Site",
    "X-User",
  ])
    assert.equal(
      judge("GET", [
        [name, "a"],
        ["Other", "b"],
        [name.toLowerCase(), "a"],
      ]),
      false,
      name,
    );
  assert.equal(judge("POST", [host, ["Transfer-Encoding", "gzip, chunked"]]), false);
  assert.equal(judge("POST", [host, ["Transfer-Encoding", "identity"]]), false);
  assert.equal(judge("GET", [host, ["Content-Length", "3"]]), false);
  assert.equal(judge("HEAD", [host, ["Transfer-Encoding", "chunked"]]), false);
  assert.equal(judge("POST", [host, ["Content-Length", "3"]], { isUpgrade: true }), false);
  assert.equal(judge("GET", [host], { isUpgrade: true }), true);
  assert.equal(judge("GET", [host], { httpVersion: "1.0" }), true);
  assert.equal(judge("GET", [host], { httpVersion: "0.9" }), false);
});
