import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ConfigPath } from "./config-path.ts";
import { editConfig } from "./edit.ts";
import { parseConfigText } from "./parse.ts";

async function parsedValue(text: string): Promise<unknown> {
  const parsed = await parseConfigText(text, "/x/openclaw.json");
  assert.ok(parsed.ok, parsed.ok ? "" : `${parsed.problems.map((p) => p.message).join()}\n${text}`);
  return parsed.parsed.value;
}

const commented = `// head
{
  // the gateway
  gateway: {
    port: 18789, // default
    bind: 'loopback' // safe
  },
  /* people */
  "channels": { "telegram": { "allowFrom": [1, 2] } },
}
// tail
`;

test("config (5): an edit changes what it names and keeps comments, order and formatting", async () => {
  const cases: [ConfigPath, unknown, (text: string) => string][] = [
    [["gateway", "port"], 1, (t) => t.replace("18789", "1")],
    [
      ["gateway", "mode"],
      "local",
      (t) => t.replace("'loopback' // safe", "'loopback', // safe\n    mode: \"local\""),
    ],
    [
      ["logging"],
      { level: "debug" },
      (t) => t.replace("},\n}", '},\n  logging: {\n    level: "debug"\n  },\n}'),
    ],
    [["channels", "telegram", "allowFrom", 2], "3", (t) => t.replace("[1, 2]", '[1, 2, "3"]')],
    [["channels", "telegram", "allowFrom"], [2], (t) => t.replace("[1, 2]", "[2]")],
    [["channels", "telegram", "enabled"], true, (t) => t.replace("[1, 2] }", '[1, 2], "enabled": true }')],
    [["gateway", "bind"], undefined, (t) => t.replace(/18789, (.*)\n.*safe/, "18789 $1\n     // safe")],
    [["gateway", "port"], undefined, (t) => t.replace("    port: 18789, // default", "     // default")],
    [["channels"], undefined, (t) => t.replace(/ {2}"channels.*\n/, "")],
    [["nothing", "here"], undefined, (t) => t],
  ];
  for (const [path, value, expected] of cases) {
    assert.equal(await editConfig(commented, [{ path, value }]), expected(commented), path.join("."));
  }
});

test("config (5): an object set as a whole keeps the comments of what stays", async () => {
  const next = await editConfig(commented, [{ path: ["gateway"], value: { port: 5, bind: "loopback" } }]);
  assert.equal(next, commented.replace("18789", "5"));
});

test("an empty or missing text becomes a file with the value in it", async () => {
  for (const text of ["", "{}", "{\n}\n", "{ }"]) {
    const next = await editConfig(text, [{ path: ["gateway", "auth", "token"], value: "t" }]);
    assert.match(next, /^\{\n {2}"gateway": \{\n {4}"auth": \{\n {6}"token": "t"\n {4}\}\n {2}\}\n\}\n?$/);
  }
});

test("a path through a scalar, past the end of a list or to a prototype is refused", async () => {
  await assert.rejects(editConfig("{a:1}", [{ path: ["a", "b"], value: 1 }]), /a is not an object/);
  await assert.rejects(editConfig("{a:[]}", [{ path: ["a", 1], value: 1 }]), /the next one is a\[0\]/);
  await assert.rejects(editConfig("{}", [{ path: ["__proto__", "x"], value: 1 }]), /not allowed/);
  await assert.rejects(editConfig("{a:", [{ path: ["a"], value: 1 }]), /line 1/);
});

const key = fc.constantFrom("a", "b", "c", "k-1", "x y", "null");
const leaf = fc.oneof(fc.integer(), fc.boolean(), fc.constant(null), fc.string({ maxLength: 6 }));
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.dictionary(key, tie("tree"), { maxKeys: 3 }),
    fc.array(tie("tree"), { maxLength: 3 }),
  ),
}));
const object = fc.dictionary(key, tree, { minKeys: 0, maxKeys: 3 });

/** Prints a value as JSON5 with a numbered comment wherever `noise` says so. */
function noisy(value: unknown, noise: () => number): { text: string; comments: string[] } {
  const comments: string[] = [];
  const gap = (): string => {
    const kind = noise() % 6;
    const mark = `c${comments.length}c`;
    if (kind > 2) return kind === 3 ? "\n  " : kind === 4 ? " " : "";
    comments.push(mark);
    return kind === 0 ? ` /* ${mark} */ ` : kind === 1 ? ` // ${mark}\n` : `\n\t/* ${mark},\n} */`;
  };
  const print = (node: unknown): string => {
    if (Array.isArray(node)) return list("[", "]", node.map(print));
    if (typeof node !== "object" || node === null) return JSON.stringify(node);
    const members = Object.entries(node).map(([name, member]) => {
      const plain = /^[a-c]$/.test(name) && noise() % 2 === 0;
      return `${plain ? name : JSON.stringify(name)}${gap()}:${gap()}${print(member)}`;
    });
    return list("{", "}", members);
  };
  const list = (open: string, close: string, parts: string[]): string => {
    const body = parts.map((part, index) => {
      const comma = index < parts.length - 1 || noise() % 2 === 0 ? "," : "";
      return `${gap()}${part}${gap()}${comma}`;
    });
    return `${open}${body.join("")}${gap()}${close}`;
  };
  return { text: `${gap()}${print(value)}${gap()}`, comments };
}

/** The same edit on the value: undefined where it must be refused. */
function modelEdit(root: unknown, path: ConfigPath, value: unknown): unknown {
  const copy = structuredClone(root) as Record<string | number, unknown>;
  const last = path.at(-1) ?? "";
  let at = copy;
  for (const step of path.slice(0, -1)) {
    const next = Object.hasOwn(at, step) ? at[step] : undefined;
    if (next === undefined) {
      if (value === undefined) return copy;
      at[step] = {};
    } else if (typeof next !== "object" || next === null || Array.isArray(next)) {
      return value === undefined ? copy : undefined;
    }
    at = at[step] as Record<string, unknown>;
  }
  if (value === undefined) delete at[last];
  else at[last] = structuredClone(value);
  return copy;
}

test("config (5): parse(edit(text)) equals the edit of the value, and every comment beside it is kept", async () => {
  const path = fc.array(key, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      object,
      fc.infiniteStream(fc.nat(1000)),
      path,
      fc.option(tree, { nil: undefined }),
      async (value, stream, at, next) => {
        const { text, comments } = noisy(value, () => Number(stream.next().value));
        const expected = modelEdit(value, at, next);
        if (expected === undefined) {
          await assert.rejects(editConfig(text, [{ path: at, value: next }]));
          return;
        }
        const edited = await editConfig(text, [{ path: at, value: next }]);
        assert.deepEqual(await parsedValue(edited), { ...(expected as object) });
        // What was replaced or removed takes only its own inner comments along.
        const inner = at.reduce<unknown>(
          (node, step) => (node as Record<string, unknown> | null | undefined)?.[step],
          value,
        );
        if (typeof inner === "object" && inner !== null) return;
        for (const mark of comments) assert.ok(edited.includes(mark) || insideMember(text, mark, at), mark);
      },
    ),
    { numRuns: 300 },
  );
});

/** A comment between a removed key and its value goes with them. */
function insideMember(text: string, mark: string, at: ConfigPath): boolean {
  const name = String(at.at(-1));
  const before = text.slice(0, text.indexOf(mark));
  return new RegExp(`(${name}|"${name}")\\s*(/\\*[^*]*\\*/|//[^\\n]*\\n|\\s)*:?[^,{}\\[\\]]*$`).test(before);
}
