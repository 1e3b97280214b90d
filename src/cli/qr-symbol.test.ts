import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { qrSymbol, qrText } from "./qr-symbol.ts";

const rows = (text: string) =>
  qrSymbol(text)
    .map((row) => row.map((dark) => (dark ? "1" : "0")).join(""))
    .join("\n");

/** Printable text of so many bytes. */
const text = (length: number) =>
  Array.from({ length }, (_, at) => String.fromCharCode(33 + ((at * 7 + length) % 90))).join("");

/** Symbols that an independent reader (jsQR 1.4.0) gave the same text back for: one block, several, version information. */
const read: readonly (readonly [bytes: number, size: number, sha256: string])[] = [
  [17, 21, "d8506d85a08127d1"],
  [18, 25, "803ea77e89179b26"],
  [154, 45, "96af71e4288c93bd"],
  [192, 49, "be68688c99fe2976"],
  [271, 57, "20410056ff92d40c"],
  [321, 61, "d8d172d617d571fe"],
  [2953, 177, "b130ba96cf79bafd"],
];
for (const [bytes, size, sha256] of read) {
  test(`a text of ${bytes} bytes is the symbol that was read back, ${size} modules wide`, () => {
    assert.equal(qrSymbol(text(bytes)).length, size);
    assert.equal(hash("sha256", rows(text(bytes))).slice(0, 16), sha256);
  });
}

test("more than fits is refused", () => {
  assert.throws(() => qrSymbol(text(2954)), /2954 bytes are too many/);
});

test("for a terminal: two rows a line, four modules of margin, light shines; colours only where asked for", () => {
  const lines = qrText("hello", false).trimEnd().split("\n");
  assert.equal(lines.length, 15);
  assert.ok(lines.every((line) => line.length === 29 && /^[█▀▄ ]+$/.test(line)));
  assert.match(lines[2] ?? "", /^████ ▄▄▄▄▄ /);
  assert.equal(qrText("hello", true).split("\n")[0], `\x1b[97;40m${"█".repeat(29)}\x1b[0m`);
});
