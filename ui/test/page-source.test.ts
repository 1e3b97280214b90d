import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const folder = join(import.meta.dirname, "../src");
const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => ({ name, source: readFileSync(join(folder, name), "utf8") }));

/** The reason why the page's source may not hold it. */
const forbidden: readonly (readonly [RegExp, string])[] = [
  [
    /dangerouslySetInnerHTML|\.innerHTML|outerHTML|insertAdjacentHTML|document\.write/,
    "text from outside would become markup",
  ],
  [/\beval\(|new Function|setTimeout\(\s*["'`]/, "the page's policy forbids code made from text"],
  [/https?:\/\/(?!www\.w3\.org\/2000\/svg)/, "the page talks to its own gateway and to nobody else"],
  [/localStorage\.setItem\((?!"openclaw\.theme")/, "what outlives the tab may hold no message and no secret"],
  [/document\.cookie/, "the session cookie is not for scripts"],
  [/location\.search|searchParams/, "nothing in a link may steer the page (A-027)"],
];

describe("the page's source", () => {
  for (const [pattern, why] of forbidden) {
    it(`has no ${pattern.source}: ${why}`, () => {
      assert.deepEqual(
        sources.filter(({ source }) => pattern.test(source)).map(({ name }) => name),
        [],
      );
    });
  }

  it("imports the wire's words and the QR encoder from the gateway's source and nothing else", () => {
    const outside = sources.flatMap(({ name, source }) =>
      [...source.matchAll(/from "((?:\.\.\/)+src\/[^"]+)"/g)].map((match) => `${name}: ${match[1]}`),
    );
    assert.deepEqual(
      [...new Set(outside.map((line) => line.split(": ")[1]))].toSorted(),
      // The encoder imports nothing: what the terminal shows and what the page shows are one symbol.
      ["../../../src/cli/qr-symbol.ts", "../../src/control/protocol.ts"],
    );
  });
});
