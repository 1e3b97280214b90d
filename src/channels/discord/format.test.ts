import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { discordText } from "./format.ts";

test("markdown that Discord reads stays as it is; what it reads otherwise is changed", () => {
  for (const [given, made] of [
    ["**b** *i* ~~s~~ `c` <b>&", "**b** *i* ~~s~~ `c` <b>&"],
    ["# one\n#### four", "# one\n**four**"],
    ["~~~js\n`x`\n~~~", "```js\n`x`\n```"],
    ["```\nopen", "```\nopen\n```"],
    ["![alt](https://a.example/x.png)", "[alt](https://a.example/x.png)"],
    ["-# small", "\\-# small"],
    ["[click](tg://user?id=1)", "[click](tg://user?id=1)"],
  ] as const) {
    assert.equal(discordText(given), made);
  }
});

test("discord (4): no mention, command, emoji or time of Discord's own comes out of a text (attack A-214)", () => {
  const marks = [
    "<@1>",
    "<@!1>",
    "<@&1>",
    "<#1>",
    "</wipe all:1>",
    "<:a:1>",
    "<a:b:1>",
    "<t:1:R>",
    "<id:home>",
  ];
  for (const mark of marks) {
    assert.equal(discordText(mark), `\\${mark}`);
    assert.equal(discordText(`\\${mark}`), `\\${mark}`);
    assert.equal(discordText(`\`${mark}\``), `\`${mark}\``);
  }
  const piece = fc.constantFrom(...marks, "\\", " ", "a", "\n", "<", "<<");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const made = discordText(pieces.join(""));
      for (const match of made.matchAll(/(\\*)<(?:@|#|\/wipe|:a|a:b|t:1|id:)/g)) {
        assert.equal((match[1] ?? "").length % 2, 1, made);
      }
    }),
  );
});

test("a link never looks like another one", () => {
  assert.equal(discordText("[here](https://a.example)"), "[here](https://a.example)");
  assert.equal(
    discordText("[https://bank.example](https://evil.example)"),
    "https://bank.example (https://evil.example)",
  );
  assert.equal(discordText("[bank.example](https://evil.example)"), "bank.example (https://evil.example)");
});

test("a fence in a fence does not end it", () => {
  const made = discordText("````\n```\n<@1>\n````");
  assert.equal(made.split("```").length, 3);
});
