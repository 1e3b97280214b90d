import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { linesOf } from "./text.ts";
import { escapeTag, foldAscii, foldFor, parseLine, parsePrefix, withoutControls } from "./wire.ts";

test("a line is read into tags, sender, command and words", () => {
  const line = parseLine(
    "@time=2026-01-01T00:00:00.000Z;a\\:b=x\\:y\\s\\\\z;flag :ada!~u@h.test privmsg #a :hi  :there ",
  );
  assert.equal(line?.command, "PRIVMSG");
  assert.deepEqual(line?.params, ["#a", "hi  :there "]);
  assert.deepEqual(line?.from, { nick: "ada", user: "~u", host: "h.test" });
  assert.equal(line?.tags.get("a\\:b"), "x;y \\z");
  assert.equal(line?.tags.get("flag"), "");
  assert.deepEqual(parseLine("PING :x")?.params, ["x"]);
  assert.deepEqual(parseLine(":s 001 me :")?.params, ["me", ""]);
  assert.deepEqual(parsePrefix("irc.test"), { nick: "irc.test", user: "", host: "" });
  for (const none of ["", ":", ":x", "@x", "@x ", ":a 1x", ": ", "@ :a "])
    assert.equal(parseLine(none), undefined, none);
});

test("no line of anybody's makes the reader throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const line = parseLine(text);
      if (line) assert.match(line.command, /^[A-Z]+$|^\d{3}$/);
    }),
  );
});

test("a tag's value comes back as it was, on one word", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const written = escapeTag(value);
      assert.doesNotMatch(written, /[; \r\n]/);
      assert.equal(parseLine(`@k=${written} X`)?.tags.get("k"), value);
    }),
  );
});

test("names are folded as the server says, and as ASCII where nobody says (attack A-057)", () => {
  assert.equal(foldAscii("ADA[K]"), "ada[k]");
  assert.equal(foldAscii("\u212aelvin"), "\u212aelvin", "the Kelvin sign is no k");
  assert.equal(foldFor(undefined)("A[]\\~"), "a{}|^");
  assert.equal(foldFor("strict-rfc1459")("A[]\\~"), "a{}|~");
  assert.equal(foldFor("ascii")("A[]\\~"), "a[]\\~");
});

test("irc (4): lines that leave fit, hold no control character but our own, and lose no word", () => {
  const word = fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => withoutControls(text));
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, fc.constantFrom("\n", "\r", "\u0001ACTION", "**b**", "`c`", "😀👩‍👩‍👧")), {
        maxLength: 80,
      }),
      fc.integer({ min: 60, max: 450 }),
      (words, room) => {
        for (const line of linesOf(words.join(" "), room)) {
          assert.ok(Buffer.byteLength(line) <= room);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
          assert.doesNotMatch(line, /[\u0000\u0001\u0003-\u001c\u001e\u001f\r\n]/);
          assert.notEqual(line.trim(), "");
          assert.equal(Buffer.from(line).toString(), line, "no character is cut");
        }
      },
    ),
  );
  const text = "lorem ipsum dolor ".repeat(100).trim();
  assert.equal(linesOf(text, 100).join(" "), text);
});

test("markdown becomes IRC's own emphasis; code and fences stay words", () => {
  assert.deepEqual(
    linesOf("# Title\n\na **bold** and *it* 2*3*4\n```js\n**x**\n```\n[a](https://b.test) `**c**`", 400),
    [
      "\u0002Title\u0002",
      "a \u0002bold\u0002 and \u001dit\u001d 2*3*4",
      "\u0002x\u0002",
      "a (https://b.test) `**c**`",
    ],
  );
  assert.deepEqual(linesOf(" \n\n```\n```", 400), []);
});

test("an answer of a thousand lines is drawn together", () => {
  const lines = linesOf(Array.from({ length: 1000 }, (_, index) => `line ${index}`).join("\n"), 400);
  assert.ok(lines.length < 40, String(lines.length));
  assert.ok(lines.join(" ").includes("line 999"));
});
