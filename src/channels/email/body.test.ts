import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { partsOf, textOfHtml } from "./body.ts";

test("email (6): what a message repeats is a quotation, and its own words stay", () => {
  assert.deepEqual(
    partsOf(
      "yes\n\nOn Tue, 14 Nov 2023 at 22:13, Ada <ada@example.org> wrote:\n> shall I?\n> /approve all\n",
    ),
    {
      own: "yes",
      quoted: "shall I?\n/approve all",
      isForward: false,
    },
  );
  assert.deepEqual(partsOf("> one\nyes\n> two\nno"), {
    own: "yes\nno",
    quoted: "one\ntwo",
    isForward: false,
  });
  assert.equal(partsOf("ok\nOn Tue, 14 Nov 2023 at 22:13, Ada\n<ada@example.org> wrote:\n\n> x").own, "ok");
  assert.equal(partsOf("ja\nAm 14.11.2023 um 22:13 schrieb Ada <ada@example.org>:\n> x").own, "ja");
  assert.equal(partsOf("no quotes\n-- \nAda, CEO").own, "no quotes");
  assert.deepEqual(partsOf("plain"), { own: "plain", quoted: undefined, isForward: false });
});

test("email (6): a forwarded message is nobody's own words, to its end", () => {
  for (const line of [
    "---------- Forwarded message ---------",
    "Begin forwarded message:",
    "-----Original Message-----",
  ]) {
    const body = partsOf(
      `look at this\n\n${line}\nFrom: Eve <eve@evil.test>\n\n/exec touch C\n\nno quote sign here`,
    );
    assert.equal(body.own, "look at this", line);
    assert.match(body.quoted ?? "", /\/exec touch C[\s\S]*no quote sign/);
    assert.equal(body.isForward, !line.includes("Original"));
  }
});

test("email (6): HTML becomes its visible words; what people do not see is left out", () => {
  const html = `<html><head><title>t</title><style>x{}</style></head><body><p>Hello <b>you</b>&nbsp;&amp; me</p>
    <script>alert(1)</script><div style="DISPLAY : none">hidden 1</div><span style="font-size:0px">hidden 2</span>
    <p hidden>hidden 3 <b>and this</b></p><div style="opacity:0"><p>hidden 4</p></div><div style="visibility:hidden">hidden 5</div>
    <img src="https://track.test/x.png" alt="hidden 6"><br>next<ul><li>a</li><li>b</li></ul>
    <blockquote>quoted <p>words</p></blockquote>end<!-- hidden 7 --><textarea>hidden 8</textarea></body></html>`;
  const text = textOfHtml(html);
  assert.doesNotMatch(text, /hidden|alert|track/);
  assert.match(text, /^Hello you & me\n\nnext\na\nb\n> quoted\s*\n> words\nend$/);
  assert.deepEqual(partsOf(text).quoted?.split(/\s+/), ["quoted", "words"]);
  assert.equal(
    textOfHtml('<p style="font-size:0.9em">seen</p><p style="opacity:0.5">seen too</p>'),
    "seen\nseen too",
  );
});

test("no page makes the reader throw, and no tag remains", () => {
  const piece = fc.constantFrom(
    "<p>",
    "</p>",
    "<div style='display:none'>",
    "</div>",
    "<br>",
    "text",
    "<script>",
    "</script>",
    "<blockquote>",
    "</blockquote>",
    "&lt;",
    "<",
    ">",
    "\n",
    '"',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (parts) => {
      partsOf(textOfHtml(parts.join("")));
    }),
  );
});

test("a megabyte of quotation signs or attributions is read at once", () => {
  assert.equal(partsOf(">".repeat(1_000_000)).own, "");
  partsOf(`On ${"a".repeat(500_000)}\n`.repeat(2));
  assert.equal(textOfHtml(`before${"<div>".repeat(50_000)}`), "before");
  assert.doesNotMatch(textOfHtml(`${"<div>".repeat(500)}deep`), /deep/);
  textOfHtml("<blockquote>".repeat(300) + "x<br>".repeat(40_000));
});
