import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePattern, maxPatternTextChars, namePattern } from "./pattern.ts";

function found(source: string, text: string): boolean {
  const compiled = compilePattern(source);
  assert.ok("pattern" in compiled, `${source}: ${"problem" in compiled ? compiled.problem : ""}`);
  return compiled.pattern.found(text);
}

test("patterns read what people write into mentionPatterns", () => {
  const rows: readonly (readonly [pattern: string, text: string, isFound: boolean])[] = [
    ["@?openclaw", "hi OpenClaw!", true],
    ["\\b@?claw\\b", "clawed", false],
    ["\\bclaw\\b", "the Claw.", true],
    ["\\Bclaw", "openclaw", true],
    ["\\Bclaw", "a claw", false],
    ["^hey (bot|ada)$", "Hey Ada", true],
    ["^hey (?:bot|ada)$", "hey adam", false],
    ["a{2}", "xaax", true],
    ["^a{2,3}$", "aaaa", false],
    ["^a{2,3}$", "aaa", true],
    ["^a{2,}$", "aaaaaa", true],
    ["^a{2,}$", "a", false],
    ["^[^a-c]+$", "xyz", true],
    ["^[^a-c]+$", "xbz", false],
    ["[A-C]", "b", true],
    ["[]x]", "]", true],
    ["[a-]", "-", true],
    ["[\\d_]", "5", true],
    ["^\\w+\\s\\d+$", "bot 12", true],
    ["^\\W\\S\\D$", "!a?", true],
    ["a.c", "a\nc", false],
    ["a\\nc", "a\nc", true],
    ["a\\tc", "a\tc", true],
    ["\\+15550001234", "call +15550001234", true],
    ["(?i)bot", "BOT", true],
    ["x*?y", "xxy", true],
    ["", "anything", true],
    ["ä", "Ä", true],
    ["😀", "hi 😀", true],
    ["a||b", "zzz", true],
  ];
  for (const [pattern, text, isFound] of rows)
    assert.equal(found(pattern, text), isFound, `${pattern} in ${text}`);
});

test("what could hang, or is not understood, is refused with a sentence", () => {
  for (const [pattern, why] of [
    ["(a)\\1", /"\\1"/],
    ["(?=a)", /look around/],
    ["(?<name>a)", /look around/],
    ["a**", /two repetitions/],
    ["*a", /begin with "\*"/],
    ["+a", /begin with/],
    ["?a", /begin with/],
    ["{2}", /begin with/],
    ["a{x}", /counts nothing/],
    ["a{3,2}", /repeat more/],
    ["a{101}", /repeat more/],
    ["(a", /never closed/],
    ["a)", /closes nothing/],
    ["[a", /never closed/],
    ["[", /never closed/],
    ["[z-a]", /range "z-a"/],
    ["[a-\\d]", /range/],
    ["a\\", /end with/],
    ["\\p{L}", /"\\p"/],
    ["a".repeat(501), /longer than 500/],
    ["((a{100}){100}){100}", /so large/],
    [`${"(".repeat(21)}a${")".repeat(21)}`, /20 deep/],
  ] as const) {
    const compiled = compilePattern(pattern);
    assert.ok("problem" in compiled, pattern);
    assert.match(compiled.problem, why, pattern);
  }
});

test("access (9): patterns that make other matchers hang take a bounded number of steps", () => {
  // Each of these takes longer than the age of the universe where ways are tried one after the other.
  const texts = ["a".repeat(maxPatternTextChars), `${"a".repeat(4000)}!`, "ab".repeat(2000)];
  for (const pattern of ["^(a+)+$", "^(a|a)*b$", "^(a*)*$", "(.*){10}x", "^([a-z]+)*!$"]) {
    for (const text of texts) found(pattern, text);
  }
});

test("on patterns without nesting it finds what the language's own matcher finds", () => {
  const atom = fc.constantFrom("a", "b", "[ab]", "[^a]", ".", "\\w", "\\b", "(a|bc)", "^", "$", "(?:ab)?");
  const part = fc.tuple(atom, fc.constantFrom("", "*", "+", "?", "{2}", "{1,2}"));
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 4 }),
      fc.string({ unit: fc.constantFrom("a", "b", "c", " "), maxLength: 8 }),
      (parts, text) => {
        const source = parts
          .map(([one, count]) => (/^(\\b|\^|\$)$/.test(one) ? one : one + (one.endsWith("?") ? "" : count)))
          .join("");
        assert.equal(
          found(source, text),
          new RegExp(source, "i").test(text),
          `${source} in ${JSON.stringify(text)}`,
        );
      },
    ),
    { numRuns: 2000 },
  );
});

test("a name is found as a word of its own, with or without an @", () => {
  const ada = namePattern("Ada");
  for (const text of ["ada?", "hi @Ada", "ADA", "so, ada."]) assert.equal(ada.found(text), true, text);
  for (const text of ["adamant", "canada", "", "_ada_"]) assert.equal(ada.found(text), false, text);
  assert.equal(namePattern("🦞").found("hey 🦞!"), true);
  assert.equal(namePattern("C++").found("ask c++ please"), true);
  assert.equal(namePattern("a.b").found("axb"), false);
});
