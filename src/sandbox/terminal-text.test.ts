import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { settledText, TerminalText } from "./terminal-text.ts";

const shown: readonly (readonly [from: string, to: string])[] = [
  ["\u001b[1;31mred\u001b[0m", "red"],
  ["\u001b]0;a title\u0007text", "text"],
  ["\u001b]8;;https://evil.example/\u001b\\link\u001b]8;;\u001b\\", "link"],
  ["\u001bPq#0;2;0\u001b\\after", "after"],
  ["\u001b(B\u001b=\u001b7x\u001b8", "x"],
  ["\u009b31mx", "x"],
  ["a\u0000\u0007\u007f\u0085b", "ab"],
  ["tab\tline\n", "tab\tline\n"],
];

test("a terminal's sequences are taken out, in one piece or in many", () => {
  for (const [from, to] of shown) {
    assert.equal(new TerminalText().add(from), to, JSON.stringify(from));
    const text = new TerminalText();
    assert.equal([...from].map((character) => text.add(character)).join(""), to, JSON.stringify(from));
  }
});

test("however a stream is cut, nothing is left that a terminal would obey, and plain text stays as it is", () => {
  const piece = fc.oneof(
    fc.constantFrom("\u001b", "[", "]", "0", ";", "m", "\u0007", "\u009b", "\\", "P", "(", "\r", "x\b"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = new TerminalText();
      const out = pieces.map((item) => text.add(item)).join("");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none
      assert.doesNotMatch(out, /[\u0000-\u0007\u000b\u000c\u000e-\u001f\u007f-\u009f]/);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (plain) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: text without any
      fc.pre(!/[\u0000-\u001f\u007f-\u009f]/.test(plain));
      assert.equal(new TerminalText().add(plain), plain);
    }),
  );
});

test("a sequence without an end does not hold the rest back for ever", () => {
  const text = new TerminalText();
  const out = text.add("\u001b]") + text.add("x".repeat(10_000)) + text.add("y");
  assert.ok(out.length > 5000, `${out.length}`);
});

test("text that only begins sequences costs no more than other text", () => {
  for (const beginning of ["\u001b]", "\u001b[", "\u009b", "\u001bP0", "\u001b", "\u001b[0;"]) {
    const text = new TerminalText();
    let out = "";
    // A filter that looks from each beginning to the end would not come back from this.
    for (let n = 0; n < 16; n += 1) out += text.add(beginning.repeat(65_536));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none
    assert.doesNotMatch(out, /[\u001b\u009b]/);
  }
});

test("a program says whether it knows pastes", () => {
  const text = new TerminalText();
  assert.equal(text.takesPastes, false);
  text.add("\u001b[?20");
  text.add("04h$ ");
  assert.equal(text.takesPastes, true);
  text.add("\u001b[?2004l");
  assert.equal(text.takesPastes, false);
});

test("a line that was written over is shown as it stands at last", () => {
  assert.equal(settledText("10%\r50%\r100%\r\nnext\r\n"), "100%\nnext\n");
  assert.equal(settledText("passwrd\b\bord\n"), "password\n");
  assert.equal(settledText("\b\bx"), "x");
  assert.equal(settledText("plain\n"), "plain\n");
});
