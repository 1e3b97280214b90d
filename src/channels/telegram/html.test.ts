import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readHtml } from "../../../test/support/telegram/html.ts";
import { telegramHtml } from "./html.ts";

test("telegram (4): Markdown becomes Telegram's tags, everything else is escaped", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["plain text", undefined],
    [
      "**bold** and *italic* and _so_ and ~~gone~~",
      "<b>bold</b> and <i>italic</i> and <i>so</i> and <s>gone</s>",
    ],
    ["**bold with *italic* inside**", "<b>bold with <i>italic</i> inside</b>"],
    ["# Title **here**", "<b>Title here</b>"],
    ["a `<code>` b", "a <code>&lt;code&gt;</code> b"],
    ["``a ` b``", "<code>a ` b</code>"],
    ["<b>not ours</b> & co", "&lt;b&gt;not ours&lt;/b&gt; &amp; co"],
    ["```ts\nlet a = 1 < 2;\n```", '<pre><code class="language-ts">let a = 1 &lt; 2;</code></pre>'],
    ["```\n**x**\n~~~\nunclosed", "<pre><code>**x**\n~~~\nunclosed</code></pre>"],
    ['```"><b>\nx\n```', "<pre><code>x</code></pre>"],
    ["[site](https://a.example/?q=1&r=(2))", '<a href="https://a.example/?q=1&amp;r=(2)">site</a>'],
    ["![img](https://a.example/x.png)", '<a href="https://a.example/x.png">img</a>'],
    ['[x](https://a.example/"onclick="y)', '<a href="https://a.example/&quot;onclick=&quot;y">x</a>'],
    ["[click](tg://user?id=1)", undefined],
    ["[click](javascript:alert(1))", undefined],
    ["snake_case_name and 2 * 3 * 4", undefined],
    ["**open and *also", undefined],
    ["*a **b* c**", "<i>a **b</i> c**"],
    ["\\*not italic\\*", "*not italic*"],
  ];
  for (const [markdown, expected] of cases) assert.equal(telegramHtml(markdown), expected, markdown);
});

test("telegram (4): whatever the text, the tags are ones that Telegram reads, and links are http or https", () => {
  const part = fc.oneof(
    fc.constantFrom(
      "**",
      "*",
      "_",
      "__",
      "~~",
      "`",
      "``",
      "```",
      "\n",
      "[",
      "](",
      ")",
      "![",
      "<b>",
      "</b>",
      "&",
      '"',
      "\\",
      "# ",
    ),
    fc.constantFrom("https://a.example", "tg://user?id=1", "javascript:x", "word", " "),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
      const html = telegramHtml(parts.join(""));
      if (html === undefined) return;
      const read = readHtml(html);
      assert.ok(read, html);
      for (const link of read.links) assert.match(link, /^https?:\/\//i);
    }),
    { numRuns: 500 },
  );
});

test("a text far over Telegram's limit is left as it is, so that bombs cost nothing (attack A-188)", () => {
  assert.equal(telegramHtml("*[`".repeat(10_000)), undefined);
});
