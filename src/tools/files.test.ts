import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { schema, silentLog, systemClock, systemRandom } from "../kernel/mod.ts";
import type { Effect } from "../policy/effect.ts";
import { execute, type HostPowers, openWorkspace } from "../sandbox/mod.ts";
import { loadTools, toolNames } from "./mod.ts";

/** A workspace, and `call`, which plans and executes a tool with just the powers that its plan names. */
async function scene(t: TestContext, onWrite?: (path: string) => void) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "tool-")));
  const workspace = await openWorkspace(root, {
    random: systemRandom,
    onStep: (step, path) => (step === "staged" ? onWrite?.(path) : undefined),
  });
  t.after(async () => {
    await workspace.close();
    rmSync(root, { recursive: true, force: true });
  });
  const tools = await loadTools(toolNames);
  const host: HostPowers = {
    workspace,
    commands: { start: async () => assert.fail(), list: () => [], get: () => undefined },
    web: { fetch: async () => assert.fail() },
    clock: systemClock,
    log: silentLog,
    progress: () => {},
  };
  const call = async (name: string, args: object) => {
    const tool = tools.get(name);
    assert.ok(tool);
    assert.deepEqual(schema.check(tool.spec.parameters, args), []);
    const permit = {
      request: { id: "c", tool: name, arguments: args },
      effects: tool.plan(args),
      spend: () => true,
    };
    return execute(permit, tool, () => host, new AbortController().signal);
  };
  const put = (path: string, content: string | Buffer) => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  const get = (path: string) => readFileSync(join(root, path), "utf8");
  return { root, tools, call, put, get };
}

test("tools (5): only known tools are loaded, and each goes by its own name", async () => {
  const tools = await loadTools(["read", "nonsense", "constructor", "exec"]);
  assert.deepEqual([...tools.keys()], ["read", "exec"]);
  for (const [name, tool] of await loadTools(toolNames)) assert.equal(tool.spec.name, name);
});

test("read shows numbered lines, parts of them, and the names in a folder", async (t) => {
  const { call, put } = await scene(t);
  put("a/f.txt", "one\r\ntwo\nthree\n");
  assert.equal((await call("read", { path: "a/f.txt" })).text, "     1\tone\n     2\ttwo\n     3\tthree");
  const part = await call("read", { path: "a/f.txt", offset: 2, limit: 1 });
  assert.equal(part.text, "     2\ttwo\n[Lines 2-2 of 3. Read on with offset 3.]");
  assert.equal(part.origin, "file:a/f.txt");
  assert.equal((await call("read", { path: "." })).text, "a/");
  put("empty", "");
  assert.equal((await call("read", { path: "empty" })).text, "(an empty file)");
  for (const args of [
    { path: "a/f.txt", offset: 4 },
    { path: "none" },
    { path: "../x" },
    { path: "a/none/x" },
  ])
    assert.equal((await call("read", args)).isError, true, JSON.stringify(args));
});

test("tools (2): what read shows is bounded, and every line can be reached", async (t) => {
  const { call, put } = await scene(t);
  put("many", "x\n".repeat(5000));
  assert.match(
    (await call("read", { path: "many" })).text,
    /\[Lines 1-2000 of 5000\. Read on with offset 2001\.\]$/,
  );
  put("wide", `${"y".repeat(40_000)}\n${"z".repeat(40_000)}\n`);
  const wide = await call("read", { path: "wide" });
  assert.match(wide.text, /\[Lines 1-1 of 2\. Read on with offset 2\.\]$/);
  assert.ok(Buffer.byteLength(wide.text) < 52_000);
  put("wider", "w".repeat(100_000));
  assert.match((await call("read", { path: "wider" })).text, /\[this line is longer/);
});

test("tools (4): binary data and broken UTF-8 are said to be so", async (t) => {
  const { call, put } = await scene(t);
  put("binary", Buffer.from([0x89, 0x50, 0, 1]));
  put("broken", Buffer.from([0x61, 0xc3, 0x28]));
  assert.match((await call("read", { path: "binary" })).text, /binary/);
  assert.match((await call("read", { path: "broken" })).text, /not valid UTF-8 \(first wrong byte at 1\)/);
  assert.equal((await call("edit", { path: "broken", oldText: "a", newText: "b" })).isError, true);
});

test("write makes and replaces files, with their folders", async (t) => {
  const { call, get } = await scene(t);
  assert.match((await call("write", { path: "d/e/f", content: "ü" })).text, /Made d\/e\/f \(2 bytes\)/);
  assert.match((await call("write", { path: "d/e/f", content: "" })).text, /Replaced/);
  assert.equal(get("d/e/f"), "");
  assert.equal((await call("write", { path: "x", content: "\ud800" })).isError, true);
  assert.equal((await call("write", { path: "../x", content: "" })).isError, true);
});

test("edit replaces text that occurs exactly once, or everywhere when asked", async (t) => {
  const { call, put, get } = await scene(t);
  put("f", "a\nb\nb\n$&\n");
  const once = await call("edit", { path: "f", oldText: "a\nb", newText: "A\r\n$&" });
  assert.match(once.text, /1 place, the first on line 1/);
  assert.equal(get("f"), "A\r\n$&\nb\n$&\n");
  put("f", "aab");
  for (const args of [
    { oldText: "a", newText: "x" },
    { oldText: "c", newText: "x" },
    { oldText: "b", newText: "b" },
    { oldText: "b" },
    {},
    { oldText: "b", newText: "x", edits: [{ oldText: "b", newText: "x" }] },
  ]) {
    const error = await call("edit", { path: "f", ...args }).catch((fault: Error) => ({
      isError: true,
      text: fault.message,
    }));
    assert.equal(error.isError, true, JSON.stringify(args));
  }
  assert.equal(get("f"), "aab");
  put("overlap", "aaa");
  assert.equal((await call("edit", { path: "overlap", oldText: "aa", newText: "x" })).isError, true);
  await call("edit", { path: "f", oldText: "a", newText: "xa", replaceAll: true });
  assert.equal(get("f"), "xaxab");
});

test("tools (3): several edits are all made or none", async (t) => {
  const { call, put, get } = await scene(t);
  put("f", "one two three");
  const edits = [
    { oldText: "one", newText: "1" },
    { oldText: "1 two", newText: "12" },
  ];
  await call("edit", { path: "f", edits });
  assert.equal(get("f"), "12 three");
  const failed = await call("edit", {
    path: "f",
    edits: [
      { oldText: "three", newText: "3" },
      { oldText: "none", newText: "" },
    ],
  });
  assert.match(failed.text, /edits\[1\]\.oldText does not occur/);
  assert.equal(get("f"), "12 three");
});

const patch = (...lines: readonly string[]) => ({
  input: ["*** Begin Patch", ...lines, "*** End Patch"].join("\n"),
});

test("apply_patch adds, changes, moves and deletes", async (t) => {
  const { root, call, put, get } = await scene(t);
  put("change.ts", "function a() {\n  one();\n}\nfunction b() {\n  one();\n}\n");
  put("move.txt", "x\r\ny\r\n");
  put("gone.bin", Buffer.from([0, 1]));
  const outcome = await call(
    "apply_patch",
    patch(
      "*** Add File: new/file.md",
      "+# Title",
      "+",
      "+text",
      "*** Update File: change.ts",
      "@@ function b() {",
      "-  one();",
      "+  two();",
      " }",
      "@@",
      "+// end",
      "*** End of File",
      "*** Update File: move.txt",
      "*** Move to: moved/to.txt",
      " x",
      "-y",
      "+z",
      "*** Delete File: gone.bin",
    ),
  );
  assert.equal(outcome.isError, false, outcome.text);
  assert.equal(
    outcome.text,
    "Added new/file.md\nChanged change.ts\nMoved move.txt to moved/to.txt\nDeleted gone.bin",
  );
  assert.equal(get("new/file.md"), "# Title\n\ntext\n");
  assert.equal(get("change.ts"), "function a() {\n  one();\n}\nfunction b() {\n  two();\n}\n// end\n");
  assert.equal(get("moved/to.txt"), "x\r\nz\r\n");
  assert.deepEqual(readdirSync(root).sort(), ["change.ts", "moved", "new"]);
});

test("apply_patch finds lines whose blanks at the end differ, in order, and at the end of the file", async (t) => {
  const { call, put, get } = await scene(t);
  put("f", "a  \nb\na\nb\n");
  assert.equal(
    (
      await call(
        "apply_patch",
        patch("*** Update File: f", "@@", "-a", "+A", "@@", "-b", "+B", "*** End of File"),
      )
    ).isError,
    false,
  );
  assert.equal(get("f"), "a  \nb\nA\nB\n");
});

test("tools (3): a patch that fails in one place changes nothing", async (t) => {
  const { root, call, put, get } = await scene(t);
  put("f", "one\n");
  put("g", "two\n");
  put("h", "three\n");
  symlinkSync("/etc", join(root, "link"));
  const good = ["*** Add File: new", "+x", "*** Update File: f", "-one", "+1"];
  for (const bad of [
    ["*** Update File: g", "-nine", "+9"],
    ["*** Update File: none", "-a", "+b"],
    ["*** Add File: g", "+x"],
    ["*** Delete File: none"],
    ["*** Delete File: link"],
    ["*** Add File: link/x", "+x"],
    ["*** Add File: ../x", "+x"],
    ["*** Update File: g", "*** Move to: f", "-two", "+2"],
    ["*** Update File: ./f", "-one", "+2"],
    ["*** Update File: h", "*** Move to: g", "-three", "+3"],
  ]) {
    const outcome = await call("apply_patch", patch(...good, ...bad)).catch((fault: Error) => ({
      isError: true,
      text: fault.message,
    }));
    assert.equal(outcome.isError, true, bad.join());
    assert.deepEqual(readdirSync(root).sort(), ["f", "g", "h", "link"], bad.join());
    assert.equal(get("f"), "one\n");
  }
});

test("tools (3): a patch whose second write fails is taken back", async (t) => {
  const { root, call, put, get } = await scene(t, (path) => {
    if (path === "g") writeFileSync(join(root, "g.swap"), "raced");
    if (path === "g") rmSync(join(root, "g"));
  });
  put("f", "one\n");
  put("g", "two\n");
  const outcome = await call(
    "apply_patch",
    patch("*** Add File: new", "+x", "*** Update File: f", "-one", "+1", "*** Update File: g", "-two", "+2"),
  );
  assert.equal(outcome.isError, true);
  assert.match(outcome.text, /Nothing was changed/);
  assert.equal(get("f"), "one\n");
  assert.deepEqual(readdirSync(root).sort(), ["f", "g.swap"]);
});

test("apply_patch says which line of a patch is wrong", async (t) => {
  const { tools } = await scene(t);
  const plan = (input: string) => tools.get("apply_patch")?.plan({ input });
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["nonsense", /Line 1/],
    ["*** Begin Patch\n*** End Patch", /changes no file/],
    ["*** Begin Patch\n*** Add File: a\n+x", /must end/],
    [patch("*** Add File: a", "x").input, /Line 3/],
    [patch("*** Update File: a", "?x").input, /Line 3/],
    [patch("*** Update File: a").input, /changes nothing/],
    [patch("*** Delete File: a", "x").input, /Line 3/],
    [patch("*** Rename File: a").input, /Line 2/],
    [patch("*** Delete File: a", "*** Add File: a", "+x").input, /twice/],
  ];
  for (const [input, message] of wrong) assert.throws(() => plan(input), message, input);
});

test("tools (1): plans name every path that is touched, and how", async (t) => {
  const { tools } = await scene(t);
  const plans: readonly (readonly [string, object, readonly Effect[]])[] = [
    ["read", { path: "a" }, [{ kind: "file.read", path: "a" }]],
    ["write", { path: "a", content: "" }, [{ kind: "file.write", path: "a" }]],
    [
      "edit",
      { path: "a", oldText: "x", newText: "y" },
      [
        { kind: "file.read", path: "a" },
        { kind: "file.write", path: "a" },
      ],
    ],
    [
      "apply_patch",
      patch("*** Add File: a", "+x", "*** Delete File: b"),
      [
        { kind: "file.write", path: "a" },
        { kind: "file.read", path: "b" },
        { kind: "file.delete", path: "b" },
      ],
    ],
    [
      "apply_patch",
      patch("*** Update File: a", "*** Move to: b", "-x", "+y"),
      [
        { kind: "file.read", path: "a" },
        { kind: "file.write", path: "a" },
        { kind: "file.delete", path: "a" },
        { kind: "file.write", path: "b" },
      ],
    ],
  ];
  for (const [name, args, effects] of plans) assert.deepEqual(tools.get(name)?.plan(args), effects);
});

const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

test("tools (4): a picture is shown with one sentence of what it is, by its content and not its name", async (t) => {
  const { call, put } = await scene(t);
  for (const path of ["shot.png", "notes.txt"]) {
    put(path, png);
    const { text, isError, pictures, origin, details } = await call("read", { path });
    assert.equal(isError, false, text);
    assert.equal(text, `"${path}" is a PNG image: 1 x 1 pixels, 70 bytes.`);
    assert.deepEqual(pictures, [{ mimeType: "image/png", bytes: png }]);
    assert.equal(origin, `file:${path}`);
    assert.deepEqual(details, {
      path,
      kind: "picture",
      type: "image/png",
      bytes: 70,
      widthPx: 1,
      heightPx: 1,
    });
  }
  put("text.gif", "GIF89a is how a GIF begins");
  const told = await call("read", { path: "text.gif" });
  assert.match(told.text, /1\tGIF89a is how/);
  assert.equal(told.pictures, undefined);
  assert.match(
    (await call("edit", { path: "shot.png", oldText: "a", newText: "b" })).text,
    /tool read shows/,
  );
});

test("tools (2): a picture of too many bytes or pixels is an error that says how many are shown", async (t) => {
  const { call, put } = await scene(t);
  put("heavy.png", Buffer.concat([png, Buffer.alloc(11_000_000)]));
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(60_000, 16);
  put("bomb.png", bomb);
  const heavy = await call("read", { path: "heavy.png" });
  assert.match(heavy.text, /"heavy.png" is a PNG image of 11000070 bytes; at most 3932160 are shown/);
  const refused = await call("read", { path: "bomb.png" });
  assert.match(refused.text, /"bomb.png".*60000 x 1 pixels, and no side may have more than 8000/);
  for (const output of [heavy, refused]) {
    assert.equal(output.isError, true);
    assert.equal(output.pictures, undefined);
  }
});

test("tools (4): what is no text is named by its content, whatever its name, and archives and pictures say what to do", async (t) => {
  const { call, root } = await scene(t);
  const table = [
    [
      "picture.txt",
      "\x89PNG\r\n\x1a\n\0\0",
      /"picture.txt" is not a PNG image that can be shown: it breaks off/,
    ],
    [
      "page.png",
      `\x89PNG\r\n\x1a\n<!doctype html>${" ".repeat(99)}`,
      /"page.png" is not a PNG .*has no PNG header/,
    ],
    ["photo.md", "\xff\xd8\xff\xe0\x00\x10JFIF", /is not a JPEG image that can be shown/],
    ["scan.tif", "II*\0\0", /is a TIFF image.*once they are PNG or JPEG/],
    ["letter.txt", "%PDF-1.7\n", /is a PDF document/],
    ["table.csv", "PK\x03\x04\x14\0", /is a zip archive.*extract/],
    ["log.txt", "\x1f\x8b\x08\0", /is a gzip file.*extract/],
    ["tool.sh", "\x7fELF\x02\x01", /is a program/],
    ["x.txt", "a\0b", /is a binary file/],
  ] as const;
  for (const [path, content, sentence] of table) {
    writeFileSync(join(root, path), Buffer.from(content, "latin1"));
    await assert.rejects(async () => {
      const output = await call("read", { path });
      if (output.isError) throw new Error(output.text);
    }, sentence);
  }
  for (const path of ["a.png", "b.zip"]) {
    writeFileSync(join(root, path), "BZh, MZ and ID3: only text");
    assert.match((await call("read", { path })).text, /only text/);
  }
});

test("tools (3): a text that stands in several places is not guessed at: how many there are is said, and nothing is changed", async (t) => {
  const { call, put, get } = await scene(t);
  put("a.txt", "one two one\none aaa");
  assert.match((await call("edit", { path: "a.txt", oldText: "one", newText: "x" })).text, /occurs 3 times/);
  assert.match((await call("edit", { path: "a.txt", oldText: "aa", newText: "x" })).text, /occurs 2 times/);
  assert.equal(get("a.txt"), "one two one\none aaa");
});
