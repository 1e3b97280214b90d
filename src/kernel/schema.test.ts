import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Schema, schema as s } from "./mod.ts";

const person = s.object({
  name: s.string({ minLength: 1, maxLength: 5 }),
  age: s.optional(s.integer({ minimum: 0, maximum: 150 })),
  tags: s.optional(s.array(s.string(), { minItems: 1, maxItems: 2 })),
});

/** What is wrong with a value, as a person reads it. */
const cases: readonly (readonly [schema: Schema, value: unknown, problems: readonly string[]])[] = [
  [person, { name: "Ada" }, []],
  [person, { name: "Ada", age: undefined }, []],
  [person, {}, ["at root: must have required property 'name'"]],
  [person, { name: "" }, ["at /name: must not be empty"]],
  [s.string({ minLength: 3 }), "ab", ["at root: must have at least 3 characters"]],
  [person, { name: "Adalbert" }, ["at /name: must have at most 5 characters"]],
  [person, { name: 1 }, ["at /name: must be string"]],
  [person, { name: "Ada", age: 1.5 }, ["at /age: must be integer"]],
  [person, { name: "Ada", age: -1 }, ["at /age: must be >= 0"]],
  [person, { name: "Ada", age: 151 }, ["at /age: must be <= 150"]],
  [person, { name: "Ada", tags: [] }, ["at /tags: must have at least 1 items"]],
  [person, { name: "Ada", tags: ["a", "b", "c"] }, ["at /tags: must have at most 2 items"]],
  [person, { name: "Ada", tags: ["a", 2] }, ["at /tags/1: must be string"]],
  [person, { name: "Ada", nane: 1 }, ["at root: unexpected property 'nane'"]],
  [person, JSON.parse('{"name":"Ada","__proto__":{}}'), ["at root: unexpected property '__proto__'"]],
  [person, { name: "Ada", constructor: 1 }, ["at root: unexpected property 'constructor'"]],
  [person, null, ["at root: must be object"]],
  [person, [], ["at root: must be object"]],
  [s.open(person), { name: "Ada", more: 1 }, []],
  [s.array(person), [{ name: "Ada", x: 1 }], ["at /0: unexpected property 'x'"]],
  [s.array(s.any()), "x", ["at root: must be array"]],
  [s.number(), Number.NaN, ["at root: must be number"]],
  [s.number(), Number.POSITIVE_INFINITY, ["at root: must be number"]],
  [s.integer(), 2 ** 53, ["at root: must be integer"]],
  [s.boolean(), 0, ["at root: must be boolean"]],
  [s.oneOf(["a", "b"]), "c", ['at root: must be one of "a", "b"']],
  [s.oneOf(["a"]), "c", ['at root: must be "a"']],
  [{ const: 4 }, 5, ["at root: must be 4"]],
  [{ const: 4 }, 4, []],
  [{ type: "null" }, 0, ["at root: must be null"]],
  [{ type: "null" }, null, []],
  [s.string({ pattern: "^a+$" }), "ab", ["at root: must match ^a+$"]],
  [s.string({ pattern: "^a+$" }), "aa", []],
  [s.record(s.integer()), { a: 1, b: 2 }, []],
  [s.record(s.integer()), { a: "1" }, ["at /a: must be integer"]],
  [
    s.record(s.integer(), { keys: s.string({ pattern: "^[a-z]$" }) }),
    { A: 1 },
    ["at /A: must have a name that matches ^[a-z]$"],
  ],
  [
    s.record(s.integer(), { keys: s.string({ maxLength: 1 }) }),
    { ab: 1 },
    ["at /ab: must have a name that matches the allowed form"],
  ],
  [s.union([s.string(), s.integer()]), true, ["at root: must be string or integer"]],
  [s.union([s.string(), person]), { name: 1 }, ["at /name: must be string"]],
  [s.union([s.string(), person]), "x", []],
  [s.any(), { whatever: 1 }, []],
  [{ type: "object" }, { whatever: 1 }, []],
  [{ type: "array" }, [1], []],
];

test("check says what is wrong, and where", () => {
  for (const [schema, value, problems] of cases) {
    assert.deepEqual(s.check(schema, value).map(s.problemText), problems, JSON.stringify(value));
  }
});

test("an unexpected key comes with those that would have been valid", () => {
  assert.deepEqual(s.check(person, { name: "Ada", x: 1 })[0]?.valid, ["name", "age", "tags"]);
});

test("problems are bounded, however much is wrong", () => {
  assert.equal(s.check(s.array(s.string()), new Array(10_000).fill(1)).length, 20);
});

test("schemas have short names", () => {
  assert.equal(s.describe(s.any()), "any value");
  assert.equal(s.describe({ const: true }), "true");
  assert.equal(s.describe(s.union([s.boolean(), s.oneOf([1, 2])])), "boolean or one of 1, 2");
  assert.equal(s.describe(s.number({ description: "x" })), "number");
});

/** A schema, and a value that fits it. */
const fitting: fc.Arbitrary<readonly [Schema, unknown]> = fc.letrec<{ node: readonly [Schema, unknown] }>(
  (tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      fc.string().map((value) => [s.string(), value] as const),
      fc.integer().map((value) => [s.integer(), value] as const),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => [s.number(), value] as const),
      fc.boolean().map((value) => [s.boolean(), value] as const),
      tie("node").map(([schema, value]) => [s.array(schema), [value, value]] as const),
      tie("node").map(([schema, value]) => [s.record(schema), { key: value }] as const),
      tie("node").map(([schema, value]) => [s.union([{ type: "null" }, schema]), value] as const),
      fc
        .tuple(fc.string(), tie("node"))
        .filter(([name]) => name !== "__proto__")
        .map(([name, [schema, value]]) => [s.object({ [name]: schema }), { [name]: value }] as const),
    ),
  }),
).node;

test("a value made for its schema fits, also after a trip through JSON; a symbol in its place never does", () => {
  fc.assert(
    fc.property(fitting, ([schema, value]) => {
      assert.deepEqual(s.check(schema, value), []);
      assert.deepEqual(s.check(schema, JSON.parse(JSON.stringify(value))), []);
      assert.notDeepEqual(s.check(schema, Symbol("x")), []);
    }),
  );
});
