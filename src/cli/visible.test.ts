import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clip, jsonText, visibleLine, visibleText, widthOf } from "./visible.ts";

const attacks: readonly (readonly [name: string, text: string, shown: string])[] = [
  ["window title", "\x1b]0;owned\x07", "\\x1b]0;owned\\x07"],
  ["clipboard", "\x1b]52;c;cm0=\x1b\\", "\\x1b]52;c;cm0=\\x1b\\"],
  ["cursor", "rm x\x1b[2K\rls", "rm x\\x1b[2K\\x0dls"],
  ["C1 control sequence introducer", "\u009b31m", "\\x9b31m"],
  ["backspaces", "rm\b\bls", "rm\\x08\\x08ls"],
  ["right-to-left override", "txt.\u202eexe", "txt.\\u202eexe"],
  ["isolates", "\u2066a\u2069", "\\u2066a\\u2069"],
  ["line separator", "a\u2028b", "a\\u2028b"],
  ["tag characters", "a\u{e0041}", "a\\u{e0041}"],
];
for (const [name, text, shown] of attacks) {
  test(`cli (5): ${name} shows as its code`, () => {
    assert.equal(visibleText(text), shown);
    assert.equal(visibleLine(text), shown);
  });
}

test("cli (5): no text becomes a control character or reorders a line, and a line stays one", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      assert.doesNotMatch(visibleText(text).replaceAll("\n", ""), /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      assert.doesNotMatch(visibleLine(text), /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});

test("cli (5): a line hides nothing: breaks and characters without width show as codes", () => {
  assert.equal(visibleLine("ls\nrm"), "ls\\nrm");
  assert.equal(visibleLine("r\u200bm"), "r\\u200bm");
  assert.equal(visibleText("a\r\nb\tc"), "a\nb  c");
});

test("cli (5): JSON for a terminal is the same value and holds no control character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const json = jsonText({ text });
      assert.deepEqual(JSON.parse(json), { text: text.toWellFormed() });
      assert.doesNotMatch(json.replaceAll("\n", ""), /[\p{Cc}\u202e]/u);
    }),
  );
});

test("width and clipping count columns, not characters", () => {
  assert.equal(widthOf("abc"), 3);
  assert.equal(widthOf("日本"), 4);
  assert.equal(widthOf("e\u0301"), 1);
  assert.equal(clip("abcdef", 4), "abc…");
  assert.equal(clip("日本語", 5), "日本…");
  assert.equal(clip("abc", 3), "abc");
});
