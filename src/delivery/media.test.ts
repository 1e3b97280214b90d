import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ackEmoji, withPrefix } from "./manners.ts";
import { agrees, mediaKind, mediaType } from "./media-type.ts";
import {
  createGrowingReply,
  plainName,
  plainType,
  replyParts,
  shownSoFar,
  sizeText,
  withFileLines,
  wordsOf,
} from "./media-words.ts";
import type { KeptAttachment } from "./queue.ts";

const latin = (text: string) => Buffer.from(text, "latin1");

test("delivery (5): a file's type is what its first bytes say", () => {
  const cases: readonly (readonly [Buffer, string, string])[] = [
    [latin("\x89PNG\r\n\x1a\nrest"), "image/png", "png"],
    [latin("\xff\xd8\xff\xe0"), "image/jpeg", "jpg"],
    [latin("GIF89a"), "image/gif", "gif"],
    [latin("RIFF\x10\0\0\0WEBPVP8 "), "image/webp", "webp"],
    [latin("RIFF\x10\0\0\0WAVEfmt "), "audio/wav", "wav"],
    [latin("RIFF\x10\0\0\0NONE"), "application/octet-stream", "bin"],
    [latin("\0\0\0\x18ftypmp42"), "video/mp4", "mp4"],
    [latin("\0\0\0\x18ftypM4A "), "audio/mp4", "m4a"],
    [latin("OggS\0"), "audio/ogg", "ogg"],
    [latin("%PDF-1.7"), "application/pdf", "pdf"],
    [
      latin("PK\x03\x04....word/document.xml"),
      "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
      "docx",
    ],
    [latin("PK\x03\x04....a.txt"), "application/zip", "zip"],
    [latin("MZ\x90"), "application/x-msdownload", "bin"],
    [Buffer.from(""), "text/plain", "txt"],
    [Buffer.from("grüße\n"), "text/plain", "txt"],
    [Buffer.from("  <!DOCTYPE html><p>"), "text/html", "html"],
    [Buffer.from('<?xml version="1.0"?>\n<!-- c -->\n<svg xmlns="x"/>'), "image/svg+xml", "svg"],
    [Buffer.from("a\0b"), "application/octet-stream", "bin"],
    [latin("\xe4\xf6"), "application/octet-stream", "bin"],
  ];
  for (const [bytes, type, extension] of cases) assert.deepEqual(mediaType(bytes), { type, extension });
  assert.deepEqual(["image/png", "audio/ogg", "video/mp4", "text/plain"].map(mediaKind), [
    "image",
    "audio",
    "video",
    "file",
  ]);
});

test("delivery (5): whatever the bytes, the extension is one of our own", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.match(mediaType(Buffer.from(bytes)).extension, /^[a-z0-9]{1,4}$/);
    }),
  );
});

test("delivery (5): a claim that the content can be is no mismatch; every other is", () => {
  const can: readonly (readonly [string, string])[] = [
    ["image/jpg", "image/jpeg"],
    ["audio/mp3", "audio/mpeg"],
    ["application/octet-stream", "application/pdf"],
    ["text/markdown", "text/plain"],
    ["application/json", "text/plain"],
    ["application/vnd.api+json", "text/plain"],
    ["application/epub+zip", "application/zip"],
    ["video/ogg", "audio/ogg"],
    ["audio/x-wav", "audio/wav"],
  ];
  for (const [claimed, type] of can) assert.equal(agrees(claimed, type), true, `${claimed} ${type}`);
  const cannot: readonly (readonly [string, string])[] = [
    ["image/png", "text/html"],
    ["text/html", "text/plain"],
    ["image/png", "image/jpeg"],
    ["application/pdf", "application/x-msdownload"],
    ["image/mp4", "video/mp4"],
  ];
  for (const [claimed, type] of cannot) assert.equal(agrees(claimed, type), false, `${claimed} ${type}`);
});

test("delivery (5): a claimed name holds no character that could end its quotes, its brackets or its line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
      assert.match(plainName(name), /^[\p{L}\p{M}\p{N}._ ()+-]{0,80}$/u);
    }),
  );
  assert.equal(plainName("Bericht (2).pdf"), "Bericht (2).pdf");
  assert.equal(plainName("../../etc/passwd"), ".._.._etc_passwd");
  assert.equal(plainName("\u202e\0"), "");
  assert.equal(plainType("Image/PNG; x=1"), "image/png");
  for (const bad of [undefined, "", "png", "a/b]\n[x", `a/${"b".repeat(90)}`])
    assert.equal(plainType(bad), undefined);
});

test("delivery (5): the model is told of every file that was dealt with, one line each", () => {
  const file: KeptAttachment = { kind: "image", reference: "r", claimedName: "a.png" };
  const staged = {
    path: "media/inbound/x-0.png",
    kind: "image",
    type: "image/png",
    bytes: 2048,
    sha256: "",
  } as const;
  assert.equal(withFileLines("hi", [file]), "hi");
  assert.equal(
    withFileLines("hi", [
      { ...file, staged },
      { kind: "file", reference: "r", staged: { problem: "gone" } },
    ]),
    'hi\n\n[file: image, image/png, 2 KB, at media/inbound/x-0.png; named by the sender: "a.png"]\n[file: file, not received: gone]',
  );
  assert.match(withFileLines("", [{ ...file, staged }]), /^\[file: /);
  assert.deepEqual([12, 5000, 3_000_000].map(sizeText), ["12 bytes", "5 KB", "2.9 MB"]);
});

test("delivery (6): a file is named by a whole line outside of code, and the rest of the text stays as it is", () => {
  assert.deepEqual(replyParts("a\nMEDIA:x.png\nb"), [{ text: "a" }, { path: "x.png" }, { text: "b" }]);
  assert.deepEqual(replyParts("MEDIA: `a b.png` \r"), [{ path: "a b.png" }]);
  for (const text of [
    "see MEDIA:x",
    " MEDIA:x",
    "media:x",
    "MEDIA:",
    "```\nMEDIA:x\n```",
    "~~~~\nMEDIA:x\n~~~\nMEDIA:y",
    "> MEDIA:x",
  ]) {
    assert.deepEqual(replyParts(text), [{ text }]);
  }
  fc.assert(
    fc.property(fc.array(fc.constantFrom("a", "", "```", "MEDIA:x", "MEDIA:y z", "  ~~~", "é")), (lines) => {
      const again = replyParts(lines.join("\n")).map((part) =>
        "path" in part ? `MEDIA:${part.path}` : part.text,
      );
      assert.equal(again.join("\n"), lines.join("\n"));
    }),
  );
});

test("delivery (7): a message is marked as seen only where the scope says so", () => {
  const message = (kind: "direct" | "group" | "channel", mentionsBot = false) => ({
    conversation: { kind, id: "c" },
    mentionsBot,
  });
  const marked = (scope: Parameters<typeof ackEmoji>[1]["ackReactionScope"], ackReaction?: string) =>
    [message("direct"), message("group"), message("group", true), message("channel", true)].map((item) =>
      ackEmoji(item, { ackReactionScope: scope, ackReaction }, undefined),
    );
  assert.deepEqual(marked("group-mentions"), ["", "", "👀", "👀"]);
  assert.deepEqual(marked("group-all", "x"), ["", "x", "x", "x"]);
  assert.deepEqual(marked("direct", "x"), ["x", "", "", ""]);
  assert.deepEqual(marked("all", "x"), ["x", "x", "x", "x"]);
  assert.deepEqual(marked("all", ""), ["", "", "", ""]);
  for (const scope of ["off", "none"] as const) assert.deepEqual(marked(scope, "x"), ["", "", "", ""]);
  assert.equal(ackEmoji(message("direct"), { ackReactionScope: "all", ackReaction: undefined }, "🦞"), "🦞");
});

test("delivery (7): a prefix stands once before a reply, with the values that are known", () => {
  const facts = { provider: "p", model: "a/b", thinkingLevel: undefined, identityName: "Mo" };
  assert.equal(withPrefix("x", undefined, facts), "x");
  assert.equal(withPrefix("x", "", facts), "x");
  assert.equal(withPrefix(" ", "auto", facts), " ");
  assert.equal(withPrefix("x", "auto", facts), "[Mo] x");
  assert.equal(withPrefix("x", "auto", { ...facts, identityName: undefined }), "x");
  assert.equal(withPrefix("x", "{model} {modelFull} {provider} {identity.name}:", facts), "b p/a/b p Mo: x");
  assert.equal(withPrefix("x", "{thinkingLevel} {other}", facts), "{thinkingLevel} {other} x");
  assert.equal(withPrefix("[Mo] x", "auto", facts), "[Mo] x");
});

test("delivery (6): of a reply that grows no line that names a file is shown, nor the beginning of one", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["", ""],
    ["M", ""],
    ["Maybe", "Maybe"],
    ["Look:\nMED", "Look:"],
    ["Look:\nMEDIA:a.png", "Look:"],
    ["Look:\nMEDIA:a.png\n", "Look:"],
    ["Look:\nMEDIA:a.png\nMore", "Look:\nMore"],
    ["MEDIA:a.png\nMore", "More"],
    ["see MEDIA:a.png", "see MEDIA:a.png"],
    ["```\nMEDIA:a.png\n```", "```\nMEDIA:a.png\n```"],
  ];
  for (const [text, shown] of cases) assert.equal(shownSoFar(text), shown, JSON.stringify(text));
});

test("delivery (6): what was shown of a growing reply is always the beginning of what is shown next", () => {
  const piece = fc.constantFrom(
    "MEDIA:",
    "MEDIA: a b.png",
    "M",
    "ME",
    "\n",
    "\r\n",
    "```",
    "~~~",
    " ",
    "x",
    "a.png",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join("");
      const grown = createGrowingReply();
      let sofar = "";
      let told = "";
      for (const delta of pieces) {
        sofar += delta;
        const { shown, piece: more } = grown(delta, sofar);
        told += more;
        assert.equal(shown, shownSoFar(sofar), JSON.stringify(pieces));
        assert.equal(told, shown);
      }
      let before = "";
      for (let end = 1; end <= text.length; end++) {
        const shown = shownSoFar(text.slice(0, end));
        assert.ok(shown.startsWith(before), JSON.stringify([text.slice(0, end), before, shown]));
        before = shown;
      }
      assert.ok(wordsOf(replyParts(text)).startsWith(before), JSON.stringify([text, before]));
    }),
  );
});

test("delivery (6): the next answer begins anew, and a megabyte in a thousand pieces is not looked through for each", () => {
  const grown = createGrowingReply();
  assert.equal(grown("One\nMEDIA:a.png\n", "One\nMEDIA:a.png\n").shown, "One");
  assert.deepEqual(grown("Two", "Two"), { shown: "Two", piece: "Two" });
  let text = "";
  const line = `${"x".repeat(999)}\n`;
  for (let count = 0; count < 1000; count += 1) text += line;
  assert.equal(grown("", "").shown, "");
  let sofar = "";
  for (let count = 0; count < 1000; count += 1) {
    sofar += line;
    // The newline may stand before a line that names a file.
    assert.equal(grown(line, sofar).piece.length, count === 0 ? 999 : 1000);
  }
  assert.equal(grown(".", `${text}.`).shown.length, 1_000_001);
});

test("delivery (5): a name is never cut inside a character", () => {
  for (let before = 70; before < 84; before++)
    assert.ok(plainName(`${"a".repeat(before)}${"\u{20000}".repeat(10)}`).isWellFormed(), String(before));
});
