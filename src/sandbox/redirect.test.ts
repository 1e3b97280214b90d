import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../kernel/mod.ts";
import { nextUrl, refused } from "./redirect.ts";

const from = new URL("https://a.test/x/y?q#f");

const followed: readonly (readonly [string, string])[] = [
  ["/z", "https://a.test/z"],
  ["z", "https://a.test/x/z"],
  ["//b.test/", "https://b.test/"],
  ["https://b.test:8443/?a", "https://b.test:8443/?a"],
  ["https://0x7f.1/", "https://0x7f.1/"],
];
for (const [location, url] of followed) {
  test(`sandbox (5): a redirect to ${location} leads to ${url}`, () =>
    assert.equal(nextUrl(from, location), url));
}

test("sandbox (5): a redirect from https to http is refused, and one to no URL", () => {
  assert.throws(() => nextUrl(from, "http://a.test/"), /from https to http/);
  assert.throws(() => nextUrl(from, "https://"), InputError);
  assert.equal(nextUrl(new URL("http://a.test/"), "https://a.test/"), "https://a.test/");
});

test("a refusal does not repeat the query or the password of a URL", () => {
  assert.doesNotMatch(refused("https://u:pw@a.test/x?token=1", "why").message, /pw|token/);
});
