import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { InputError } from "../kernel/mod.ts";
import { egressRules } from "./egress-settings.ts";

test("sandbox (9): rules of egress are read as they are meant", () => {
  const [rule] = egressRules([
    {
      host: "API.GitHub.com.",
      port: 443,
      methods: ["GET"],
      paths: ["/repos/me/*"],
      inject: { header: "Authorization", value: "Bearer x" },
    },
  ]);
  assert.equal(rule?.host, "api.github.com");
  assert.equal(rule?.inject?.value.reveal(), "Bearer x");
  assert.doesNotMatch(`${JSON.stringify(rule)}${inspect(rule)}`, /Bearer/);
  assert.deepEqual(
    ["[::1]", "10.0.0.5", "*.example.com", "nas"].map((host) => egressRules([{ host }])[0]?.host),
    ["::1", "10.0.0.5", "*.example.com", "nas"],
  );
});

test("sandbox (9): a rule that is not wholly understood is none, and the sentence names the entry", () => {
  const inject = { header: "authorization", value: "x" };
  const table = [
    ...[
      "*",
      "*.*.com",
      "a*.com",
      "http://a.test",
      "a.test:80",
      "a b",
      "2130706433",
      "0x7f.1",
      "127.1",
      "",
      "a..b",
    ].map((host) => [{ host }, /\[1\]\.host/] as const),
    [{ host: "*.a.test", inject }, /\[1\]\.inject needs one host/],
    [{ host: "*.a.test", allowPrivate: true }, /\[1\]\.allowPrivate/],
    [{ host: "a.test", methods: [] }, /\[1\]\.methods is empty/],
    [{ host: "a.test", methods: ["get"] }, /\[1\]\.methods holds "get"/],
    [{ host: "a.test", paths: [] }, /\[1\]\.paths is empty/],
    ...["x", "/a*b", "/a?b", "/a b"].map(
      (path) => [{ host: "a.test", paths: [path] }, /\[1\]\.paths holds/] as const,
    ),
    ...["host", "Proxy-Authorization", "a b", "x:y", ""].map(
      (header) => [{ host: "a.test", inject: { ...inject, header } }, /\[1\]\.inject\.header/] as const,
    ),
    ...["", "a\r\nb: c", "ü"].map(
      (value) => [{ host: "a.test", inject: { ...inject, value } }, /\[1\]\.inject\.value/] as const,
    ),
    [{ host: "a.test", inject: { ...inject, value: { source: "env", id: "X" } } }, /reference/],
  ] as const;
  for (const [entry, sentence] of table)
    assert.throws(
      () => egressRules([{ host: "fine.test" }, entry]),
      (error) => error instanceof InputError && sentence.test(error.message),
      JSON.stringify(entry),
    );
  assert.throws(() => egressRules(Array(201).fill({ host: "a.test" })), /201 rules/);
});
