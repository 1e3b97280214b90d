import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { commentText } from "./markdown.ts";

const joiner = "\u2060";
/** What GitHub would act on, were it to stand in a text outside of code. */
const marks = /@\w|<[A-Za-z/!?]|!\[|&#|&commat/;

test("github (5): nobody is called, whatever stands around the name (attack A-202)", () => {
  for (const text of [
    "@ada",
    "hi @ada, @house/team",
    "\\@ada",
    "**@ada**",
    "`@ada`",
    "> @ada",
    "[@ada](https://example.org)",
    "&#64;ada",
    "&#x40;ada",
    "&commat;ada",
    "<b>@ada</b>",
    "```\n",
    "  ```\n```\n@ada\n```",
    "- ```\n  ```\n@ada\n```",
    "> ```\n```\n@ada\n```\n",
    "``` a\n@ada\n```",
    "```\n@ada\n``` \n@ada",
    "<pre>\n```\n@ada\n```\n</pre>\n@ada",
    "<!--\n```\n-->\n@ada",
    "\t```\n@ada\n```",
    "```\r@ada\r```\r@ada",
  ]) {
    const outside = commentText(text).replace(/^(`{3,}|~{3,})[\w+#.-]*\n[\s\S]*?(?:^\1$|(?![\s\S]))/gm, "");
    assert.doesNotMatch(outside, marks, JSON.stringify(text));
  }
});

test("github (5): what the outside of fences holds has no mark left, and reads the same", () => {
  const piece = fc.constantFrom(
    ...[
      "@",
      "ada",
      "`",
      "```",
      "~~~",
      "\n",
      " ",
      "<",
      "b>",
      "!",
      "[x]",
      "(y)",
      "&",
      "#64;",
      "fixes #1",
      "\\",
      ">",
      "- ",
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join("");
      const written = commentText(text);
      assert.equal(written.replaceAll(joiner, ""), text);
      assert.ok(written.length <= 1.5 * text.length + 1);
      // Only lines between two fences at the beginning of their lines may keep what they hold.
      let fence: string | undefined;
      for (const line of written.split("\n")) {
        const run = /^(`{3,}|~{3,})/.exec(line)?.[1];
        if (fence === undefined) {
          if (run !== undefined && !marks.test(line)) fence = run;
          else assert.doesNotMatch(line, marks);
        } else if (run?.startsWith(fence) && line === run) fence = undefined;
      }
    }),
  );
});

test("github (5): no issue is closed, and none of another repository is referred to", () => {
  for (const text of [
    "fixes #1",
    "Fixed: #1",
    "closes house/repo#1",
    "RESOLVES GH-1",
    "close https://github.com/house/repo/issues/1",
    "resolved **#1**",
    "fix [#1](x)",
  ]) {
    assert.match(commentText(text), /^[cfr]\u2060/i, text);
  }
  assert.equal(commentText("see other/repo#12"), `see other/repo#${joiner}12`);
  for (const text of ["see #12", "a fix for it", "prefixes #1 of", "discloses #1", "closest #1 of them"]) {
    assert.equal(commentText(text), text);
  }
});

test("no picture is fetched, from an address that the model was talked into writing (attack A-202)", () => {
  assert.equal(commentText("![x](https://e.example/?q=1)"), `!${joiner}[x](https://e.example/?q=1)`);
  assert.equal(commentText('<img src="https://e.example">'), `<${joiner}img src="https://e.example">`);
});

test("Markdown and plain fences stay as they are", () => {
  const text =
    "# Title\n\n- a **b** `c` [d](https://example.org) a < b & c\n\n```ts\n@Injectable() <T> // fixes #1\n```\n\nend";
  assert.equal(commentText(text), text);
  assert.equal(commentText("```\n@a\n```\n@b"), `\`\`\`\n@a\n\`\`\`\n@${joiner}b`);
});

test("long texts are written in no time", () => {
  for (const piece of ["a", "a/", "a-", ".", "fixes ", "fix:", "fix.", "* ", "`", "@", "&", "c"]) {
    commentText(piece.repeat(40_000 / piece.length));
  }
});
