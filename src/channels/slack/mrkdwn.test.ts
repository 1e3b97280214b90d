import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainText, slackText } from "./mrkdwn.ts";

test("markdown becomes Slack's own marks", () => {
  for (const [given, made] of [
    ["**b** and *i* and __b__ and _i_ and ~~s~~", "*b* and _i_ and *b* and _i_ and ~s~"],
    ["2 * 3 * 4 and snake_case_name and a**b", "2 * 3 * 4 and snake_case_name and a**b"],
    ["## Head **bold**", "*Head bold*"],
    ["* one\n- two\n1. three", "• one\n- two\n1. three"],
    ["`a < b **c**`", "`a &lt; b **c**`"],
    ["~~~js\na < **b**\n~~~", "```\na &lt; **b**\n```"],
    ["```\nopen", "```\nopen\n```"],
    ["[here](https://a.example/?a=1&b=2)", "<https://a.example/?a=1&amp;b=2|here>"],
    ["![alt](https://a.example/x.png)", "<https://a.example/x.png|alt>"],
    ["[x](slack://user?id=1)", "[x](slack://user?id=1)"],
    ["[a|b](https://a.example)", "<https://a.example|a/b>"],
  ] as const) {
    assert.equal(slackText(given), made);
  }
});

test("a link never looks like another one", () => {
  assert.equal(
    slackText("[https://bank.example](https://evil.example)"),
    "https://bank.example (<https://evil.example>)",
  );
});

test("slack (5): whatever a text holds, every mark of Slack's in it is a link that we made", () => {
  const piece = fc.constantFrom(
    "<!channel>",
    "<@U1>",
    "<#C1>",
    "<",
    ">",
    "|",
    "`",
    "```",
    "**",
    "*",
    "_",
    "~~",
    "\n",
    " ",
    "a",
    "&",
    "[x](https://a.example)",
    "[y|<!here>](https://a.example)",
    "[",
    "](https://b.example",
    ")",
    "\u0000",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const made = slackText(pieces.join(""));
      for (const mark of made.match(/<[^>]*>?/g) ?? [])
        assert.match(mark, /^<https:\/\/[ab]\.example[^<>]*>$/);
      assert.doesNotMatch(made.replace(/<[^<>]*>/g, ""), /[<>]/);
    }),
  );
});

test("a plain text comes back as it was", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const plain = text.replace(/[*+_~`[\]#\s\p{Cc}]/gu, "");
      assert.equal(plainText(slackText(plain)), plain);
    }),
  );
});
