import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chunkText } from "./chunk.ts";

const lone = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

test("a text within the limit stays whole, white space alone gives nothing", () => {
  assert.deepEqual(chunkText("hello", 16), ["hello"]);
  assert.deepEqual(chunkText("a".repeat(16), 16), ["a".repeat(16)]);
  assert.deepEqual(chunkText(" \n ", 16), []);
  assert.deepEqual(chunkText("", 16), []);
  assert.throws(() => chunkText("x", 15), RangeError);
});

test("it cuts between paragraphs before lines, lines before sentences, sentences before words", () => {
  assert.deepEqual(chunkText("one two three.\n\nfour five\nsix seven", 28), [
    "one two three.",
    "four five\nsix seven",
  ]);
  assert.deepEqual(chunkText("one two three. x\nfour five six seven", 28), [
    "one two three. x",
    "four five six seven",
  ]);
  assert.deepEqual(chunkText("one two three. Four five six seven", 26), [
    "one two three.",
    "Four five six seven",
  ]);
  assert.deepEqual(chunkText("one two three four five six seven", 20), [
    "one two three four",
    "five six seven",
  ]);
});

test("a word that is longer than the limit is cut anywhere but inside a character", () => {
  const emoji = "👋".repeat(20);
  const chunks = chunkText(`x${emoji}`, 16);
  assert.equal(chunks.join(""), `x${emoji}`);
  for (const chunk of chunks) assert.doesNotMatch(chunk, lone);
});

test("a code block is closed at a cut and opened again with its language", () => {
  const lines = Array.from({ length: 12 }, (_, index) => `line number ${index}`);
  const chunks = chunkText(`\`\`\`ts\n${lines.join("\n")}\n\`\`\`\nafter it`, 100);
  assert.ok(chunks.length > 1);
  for (const chunk of chunks) {
    assert.ok(chunk.length <= 100);
    if (chunk === "after it") continue;
    assert.equal(chunk.match(/^```/gm)?.length ?? 0, 2);
    assert.match(chunk, /^```ts\n/);
  }
  assert.deepEqual(chunks.join("\n").match(/line number \d+/g), lines);
  assert.match(chunks.at(-1) ?? "", /after it$/);
});

test("a block that ends right at the cut does not leave an empty one behind", () => {
  const code = `\`\`\`\n${"c".repeat(40)}\n${"d".repeat(40)}\n\`\`\`\n`;
  const chunks = chunkText(`${code}${"word ".repeat(10)}`, 91);
  assert.equal(chunks.join("\n").includes("```\n```"), false);
  assert.equal(chunks[0], code.trimEnd());
});

test("a block that starts late moves to the next piece as a whole", () => {
  assert.deepEqual(chunkText(`${"word ".repeat(12)}\n\`\`\`\ncode\ncode\n\`\`\``, 70), [
    "word ".repeat(12).trimEnd(),
    "```\ncode\ncode\n```",
  ]);
});

test("whatever the text: no piece is too long, empty or ends within a character, and no word is lost", () => {
  const piece = fc.constantFrom(
    "word",
    " ",
    "\n",
    "\n\n",
    // Nothing stands behind a fence on its line but "js": what does is repeated with it, rightly.
    "```\n",
    "\n```\n",
    "~~~~\n",
    "👋",
    ". ",
    "longer-word-of-text",
    "```js\n",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.integer({ min: 16, max: 60 }), (parts, limit) => {
      const text = parts.join("");
      const chunks = chunkText(text, limit);
      for (const chunk of chunks) {
        assert.ok(chunk.length <= limit, `${chunk.length} > ${limit}`);
        assert.notEqual(chunk.trim(), "");
        assert.doesNotMatch(chunk, lone);
      }
      // The letters of "js" stand nowhere else, and a cut may part them.
      const bare = (value: string) => value.replace(/[`~\sjs]/g, "");
      assert.equal(bare(chunks.join("")), bare(text));
    }),
    { numRuns: 300 },
  );
});
