/** Archives that people make, and archives that attackers make, unpacked into a real workspace. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
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
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { InputError, systemClock, systemRandom } from "../../kernel/mod.ts";
import { execute, openWorkspace } from "../../sandbox/mod.ts";
import type { ToolOutput } from "../../sandbox/tool.ts";
import { readTar } from "./tar.ts";
import { openExtract } from "./tool.ts";
import { readZip } from "./zip.ts";

/** The powers that it must not need. */
const unused = () => {
  throw new Error("not needed");
};
const never = { commands: { start: unused, list: unused, get: unused }, web: { fetch: unused } };

async function scene(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "extract-")));
  const root = join(base, "ws");
  mkdirSync(root);
  const steps: { onStep?: (step: string, path: string) => void } = {};
  const workspace = await openWorkspace(root, {
    random: systemRandom,
    onStep: (step, path) => steps.onStep?.(step, path),
  });
  t.after(async () => {
    await workspace.close();
    rmSync(base, { recursive: true, force: true });
  });
  const tool = openExtract();
  const put = (name: string, bytes: Buffer) => writeFileSync(join(root, name), bytes);
  const extract = (args: { path: string; to?: string; list?: boolean }): Promise<ToolOutput> => {
    const request = { id: "c", tool: "extract", arguments: args };
    const permit = { request, effects: tool.plan(args), spend: () => true };
    const host = { ...never, workspace, clock: systemClock, log: () => {}, progress: () => {} };
    return execute(permit, tool, () => host, new AbortController().signal);
  };
  const tree = () =>
    readdirSync(base, { recursive: true, encoding: "utf8" })
      .filter((name) => lstatSync(join(base, name)).isFile())
      .sort();
  return { base, root, put, extract, tree, steps };
}

interface ZipItem {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  readonly mode?: number;
  readonly stored?: boolean;
  readonly localName?: string;
  readonly flags?: number;
  readonly size?: number;
  readonly crc?: number;
  readonly method?: number;
  readonly sharesWith?: number;
}

function zipOf(
  items: readonly ZipItem[],
  more: { comment?: string; count?: number; gap?: Buffer } = {},
): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  const offsets: number[] = [];
  let offset = 0;
  for (const item of items) {
    const name = Buffer.from(item.name as string);
    const plain = Buffer.from(item.content ?? "");
    const packed = item.stored ? plain : deflateRawSync(plain);
    const method = item.method ?? (item.stored ? 0 : 8);
    const crc = item.crc ?? crc32(plain);
    const size = item.size ?? plain.length;
    const localName = Buffer.from(item.localName ?? name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(item.flags ?? 0, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(size, 22);
    local.writeUInt16LE(localName.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt8(3, 5);
    central.writeUInt16LE(item.flags ?? 0, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc, 16);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(((item.mode ?? 0o100644) << 16) >>> 0, 38);
    central.writeUInt32LE(item.sharesWith === undefined ? offset : (offsets[item.sharesWith] ?? 0), 42);
    offsets.push(offset);
    centrals.push(central, name);
    if (item.sharesWith !== undefined) continue;
    locals.push(local, localName, packed);
    offset += 30 + localName.length + packed.length;
  }
  const directory = Buffer.concat(centrals);
  const comment = Buffer.from(more.comment ?? "");
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(more.count ?? items.length, 8);
  end.writeUInt16LE(more.count ?? items.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...locals, ...(more.gap ? [more.gap] : []), directory, end, comment]);
}

interface TarItem {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  readonly type?: string;
  readonly link?: string;
  readonly size?: number;
  readonly prefix?: string;
}

function tarOf(items: readonly TarItem[], end = true): Buffer {
  const blocks = items.flatMap((item) => {
    const content = Buffer.from(item.content ?? "");
    const header = Buffer.alloc(512);
    Buffer.from(item.name as string).copy(header, 0, 0, 100);
    header.write("0000644\0", 100);
    header.write(`${(item.size ?? content.length).toString(8).padStart(11, "0")}\0`, 124);
    header.write("        ", 148);
    header.write(item.type ?? "0", 156);
    header.write(item.link ?? "", 157);
    header.write("ustar\x0000", 257, "latin1");
    header.write(item.prefix ?? "", 345);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, ...(end ? [Buffer.alloc(1024)] : [])]);
}

const good = [
  { name: "dir/", type: "5", mode: 0o040755 },
  { name: "dir/a.txt", content: "a ".repeat(1000) },
  { name: "ünï/名前.md", content: "text" },
  { name: "./plain", content: "" },
  { name: "..note", content: "dots" },
  { name: "run.sh", content: "#!/bin/sh\n", mode: 0o100755 },
];

const ways: readonly (readonly [what: string, name: string, make: (items: typeof good) => Buffer])[] = [
  ["zip", "x.zip", (items) => zipOf(items.map(({ type: _, ...item }) => item))],
  ["tar", "x.tar", (items) => tarOf(items)],
  ["tar.gz", "x.tar.gz", (items) => gzipSync(tarOf(items))],
  ["a zip that says it is a tar", "x.tar", (items) => zipOf(items.map(({ type: _, ...item }) => item))],
];
for (const [what, name, make] of ways)
  test(`tools (3): ${what} is listed, and unpacked into a new folder, as files of this user alone`, async (t) => {
    const { root, put, extract } = await scene(t);
    put(name, make(good));
    const list = await extract({ path: name, list: true });
    assert.match(list.text, /2000\tdir\/a\.txt\n4\tünï\/名前\.md/);
    assert.equal(existsSync(join(root, "x")), false);
    const output = await extract({ path: name });
    assert.equal(output.isError, false, output.text);
    assert.deepEqual(output.wrote, ["x/dir/a.txt", "x/ünï/名前.md", "x/plain", "x/..note", "x/run.sh"]);
    assert.equal(readFileSync(join(root, "x/dir/a.txt"), "utf8"), "a ".repeat(1000));
    assert.equal(readFileSync(join(root, "x/ünï/名前.md"), "utf8"), "text");
    assert.equal(lstatSync(join(root, "x/run.sh")).mode & 0o777, 0o600);
  });

test("tools (3): what zip and tar themselves make is read, long names included", async (t) => {
  const { root, extract, base } = await scene(t);
  const from = join(base, "from");
  const deep = `${"n".repeat(60)}/${"m".repeat(90)}/${"long".repeat(30)}.txt`;
  mkdirSync(join(from, `${"n".repeat(60)}/${"m".repeat(90)}`), { recursive: true });
  writeFileSync(join(from, deep), "deep");
  writeFileSync(join(from, "b.bin"), Buffer.alloc(70_000, 7));
  const run = (file: string, ...args: string[]) => execFileSync(file, args, { cwd: from, stdio: "ignore" });
  const made = ["tar", "zip"].filter((name) => existsSync(`/usr/bin/${name}`));
  if (made.includes("tar"))
    for (const [format, what] of [
      ["ustar", "b.bin"],
      ["gnu", "."],
      ["pax", "."],
    ] as const)
      run("tar", `--format=${format}`, "-czf", join(root, `${format}.tgz`), what);
  if (made.includes("zip")) run("zip", "-qr", join(root, "z.zip"), ".");
  for (const name of readdirSync(root)) {
    const output = await extract({ path: name, to: `out-${name}` });
    assert.equal(output.isError, false, `${name}: ${output.text}`);
    if (!name.startsWith("ustar"))
      assert.equal(readFileSync(join(root, `out-${name}`, deep), "utf8"), "deep");
    assert.equal(readFileSync(join(root, `out-${name}`, "b.bin")).length, 70_000);
  }
});

const nothing = /Nothing was unpacked/;
const evilNames: readonly (readonly [what: string, name: string])[] = [
  ["dots at the beginning", "../../C"],
  ["dots within", "a/../../C"],
  ["dots at the end", "a/.."],
  ["an absolute name", "/abs/C"],
  ["backslashes", "..\\C"],
  ["a drive", "C:\\C"],
  ["a drive with a slash", "C:/C"],
  ["a newline", "a\n../../C"],
  ["an escape", "a\u001b[2J"],
  ["a repository's folder", "sub/.GIT/hooks/pre-commit"],
  ["a long name", "n".repeat(300)],
  ["too many folders", `${"d/".repeat(40)}x`],
];
for (const [what, name] of evilNames)
  test(`tools (3), FS: an archive with ${what} in a name is refused whole (A-155)`, async (t) => {
    const { put, extract, tree, base } = await scene(t);
    const items = [
      { name: "fine.txt", content: "x" },
      { name, content: "x" },
    ];
    put("x.zip", zipOf(items));
    put(
      "x.tar",
      tarOf([
        { name: "fine.txt", content: "x" },
        { name: "p", type: "x", content: paxRecord("path", name) },
        { name: "short", content: "x" },
      ]),
    );
    put(
      "y.tar",
      tarOf([
        { name: "fine.txt", content: "x" },
        { name: "././@LongLink", type: "L", content: `${name}\0` },
        { name: "short", content: "x" },
      ]),
    );
    const before = tree();
    for (const path of ["x.zip", "x.tar", "y.tar"]) {
      const output = await extract({ path, to: "out" });
      assert.equal(output.isError, true, path);
      assert.match(output.text, nothing, path);
    }
    assert.deepEqual(tree(), before);
    assert.equal(existsSync(join(base, "C")), false);
  });

/** "27 path=name\n", the length counting itself. */
function paxRecord(key: string, value: string): Buffer {
  const body = Buffer.from(` ${key}=${value}\n`);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

const evilThings: readonly (readonly [what: string, archives: readonly Buffer[]])[] = [
  [
    "a link, and a file through it",
    [
      zipOf([
        { name: "a", content: "/tmp", mode: 0o120777 },
        { name: "a/C", content: "x" },
      ]),
      tarOf([
        { name: "a", type: "2", link: "/tmp" },
        { name: "a/C", content: "x" },
      ]),
    ],
  ],
  ["a hard link", [tarOf([{ name: "h", type: "1", link: "/etc/passwd" }])]],
  [
    "devices, pipes, sockets and what nobody knows",
    [
      ...["3", "4", "6", "S", "Z"].map((type) => tarOf([{ name: "d", type }])),
      ...[0o020666, 0o060666, 0o010666, 0o140777].map((mode) => zipOf([{ name: "d", mode }])),
    ],
  ],
  [
    "names that differ by case, by composition, or not at all",
    [
      zipOf([{ name: "a.txt" }, { name: "A.TXT" }]),
      zipOf([{ name: "caf\u00e9" }, { name: "cafe\u0301" }]),
      zipOf([{ name: "same" }, { name: "./same" }]),
      zipOf([{ name: "D/x" }, { name: "d/y" }]),
      tarOf([{ name: "a.txt" }, { name: "a.txt" }]),
    ],
  ],
  [
    "a file where a folder is",
    [
      zipOf([{ name: "a/b" }, { name: "a" }]),
      zipOf([{ name: "a" }, { name: "a/b" }]),
      tarOf([{ name: "a" }, { name: "a/", type: "5" }]),
    ],
  ],
  [
    "letters that are none",
    [zipOf([{ name: Buffer.from([0x61, 0xff, 0xfe]) }]), tarOf([{ name: Buffer.from([0x61, 0xff]) }])],
  ],
];
for (const [what, archives] of evilThings)
  test(`tools (3), FS: an archive with ${what} is refused whole (A-155)`, async (t) => {
    const { put, extract, tree } = await scene(t);
    for (const [index, bytes] of archives.entries()) {
      put("x.bin", bytes);
      const before = tree();
      const output = await extract({ path: "x.bin", to: "out" });
      assert.equal(output.isError, true, `${index}: ${output.text}`);
      assert.match(output.text, nothing);
      assert.deepEqual(tree(), before);
      // The listing is made by the same reader, and says so too.
      assert.match((await extract({ path: "x.bin", list: true })).text, /would not be unpacked/);
    }
  });

const manyNames = Array.from({ length: 2001 }, (_, index) => ({ name: `f${index}` }));
const bombs: readonly (readonly [what: string, bytes: () => Buffer, sentence: RegExp])[] = [
  ["too many entries", () => zipOf(manyNames), /2001 entries/],
  [
    "entries that share their bytes",
    () =>
      zipOf([
        { name: "a", content: "x" },
        { name: "a", content: "x", sharesWith: 0 },
      ]),
    /overlap/,
  ],
  [
    "a ratio as only bombs have",
    () => zipOf([{ name: "zeros", content: Buffer.alloc(20_000_000) }]),
    /200 times/,
  ],
  [
    "more bytes than it says",
    () => zipOf([{ name: "a", content: Buffer.alloc(100_000), size: 10 }]),
    /larger than it says/,
  ],
  ["a size beyond all", () => zipOf([{ name: "a", size: 200_000_000 }]), /at most 134217728/],
  ["a gzip of zeros", () => gzipSync(Buffer.alloc(140_000_000)), /more than 134217728/],
];
for (const [what, make, sentence] of bombs)
  test(`tools (2), FS: an archive with ${what} is refused before a file is written (A-155)`, async (t) => {
    const { put, extract, tree } = await scene(t);
    put("x.bin", make());
    const before = tree();
    const output = await extract({ path: "x.bin", to: "out" });
    assert.match(output.text, sentence);
    assert.deepEqual(tree(), before);
  });

function wrongDirectorySize(): Buffer {
  const bytes = zipOf([{ name: "a" }]);
  bytes.writeUInt32LE(bytes.readUInt32LE(bytes.length - 10) + 1, bytes.length - 10);
  return bytes;
}

const twoMeanings: readonly (readonly [what: string, bytes: Buffer])[] = [
  ["a local header with another name", zipOf([{ name: "good.txt", localName: "evil.txt", content: "x" }])],
  ["a directory that counts wrong", zipOf([{ name: "a" }, { name: "b" }], { count: 1 })],
  ["something between its entries and its directory", zipOf([{ name: "a" }], { gap: Buffer.from("hidden") })],
  ["a directory of another size", wrongDirectorySize()],
  ["a wrong checksum", zipOf([{ name: "a", content: "x", crc: 1 }])],
  ["a lock", zipOf([{ name: "a", content: "x", flags: 1 }])],
  ["an unknown packing", zipOf([{ name: "a", content: "x", method: 12 }])],
  ["a folder with content", zipOf([{ name: "a/", content: "x" }])],
  ["another file behind it", Buffer.concat([zipOf([{ name: "a" }]), Buffer.from("x")])],
  [
    "a header whose sum is wrong",
    (() => {
      const b = tarOf([{ name: "a", content: "x" }, { name: "b" }]);
      b[1024] = 99;
      return b;
    })(),
  ],
  ["an end that comes too early", tarOf([{ name: "a", content: "x".repeat(600) }], false).subarray(0, 1024)],
  ["a size that is none", tarOf([{ name: "p", type: "x", content: paxRecord("size", "-1") }, { name: "a" }])],
  [
    "a pax record twice",
    tarOf([
      { name: "p", type: "x", content: Buffer.concat([paxRecord("path", "a"), paxRecord("path", "b")]) },
      { name: "c" },
    ]),
  ],
  ["a pax header that is none", tarOf([{ name: "p", type: "x", content: "99 path=x\n" }, { name: "c" }])],
  [
    "a sparse file",
    tarOf([{ name: "p", type: "x", content: paxRecord("GNU.sparse.name", "../x") }, { name: "c" }]),
  ],
  [
    "headers that never end",
    tarOf([...Array(6).fill({ name: "L", type: "L", content: "x\0" }), { name: "c" }]),
  ],
  ["a name for nothing", tarOf([{ name: "L", type: "L", content: "x\0" }])],
];
for (const [what, bytes] of twoMeanings)
  test(`tools (4), FS: an archive with ${what} is refused (A-155)`, async (t) => {
    const { put, extract, tree } = await scene(t);
    put("x.bin", bytes);
    const before = tree();
    for (const list of [true, false])
      assert.equal(
        (await extract({ path: "x.bin", to: "out", list })).isError,
        !list || what !== "a wrong checksum",
      );
    assert.deepEqual(tree(), before);
  });

test("tools (3), FS: a target that is there already is left alone, a planted link included, and one that appears in between too (A-155)", async (t) => {
  const { root, base, put, extract, steps } = await scene(t);
  put(
    "x.zip",
    zipOf([
      { name: "C", content: "evil" },
      { name: "sub/D", content: "evil" },
    ]),
  );
  mkdirSync(join(root, "folder"));
  mkdirSync(join(base, "outside"));
  symlinkSync(join(base, "outside"), join(root, "link"));
  symlinkSync(join(base, "nowhere"), join(root, "dangling"));
  for (const to of ["folder", "link", "dangling"])
    assert.match((await extract({ path: "x.zip", to })).text, /exists already/, to);
  assert.equal((await extract({ path: "x.zip", to: "link/new" })).isError, true);
  assert.equal((await extract({ path: "x.zip", to: "../out" })).isError, true);
  steps.onStep = (step, path) => {
    if (step === "resolved" && path === "out/C" && !existsSync(join(root, "out/sub")))
      symlinkSync(join(base, "outside"), join(root, "out", "sub"));
  };
  const raced = await extract({ path: "x.zip", to: "out" });
  assert.equal(raced.isError, true, raced.text);
  assert.deepEqual(readdirSync(join(base, "outside")), []);
  assert.deepEqual(readdirSync(join(root, "out")), ["sub"]);
});

test("tools (3), FS: an archive that is swapped after it was checked changes nothing: it was read once (A-155)", async (t) => {
  const { root, put, extract, steps } = await scene(t);
  put("x.zip", zipOf([{ name: "good", content: "good" }]));
  steps.onStep = (step, path) => {
    if (step === "resolved" && path === "out")
      writeFileSync(join(root, "x.zip"), zipOf([{ name: "evil", content: "evil" }]));
  };
  assert.equal((await extract({ path: "x.zip", to: "out" })).isError, false);
  assert.deepEqual(readdirSync(join(root, "out")), ["good"]);
});

test("tools (3), FS: an archive that is broken in its last entry has nothing of it written, not even for a moment (A-155)", async (t) => {
  const { put, extract, steps } = await scene(t);
  put(
    "x.zip",
    zipOf([
      { name: "a", content: "x" },
      { name: "b", content: "x", crc: 1 },
    ]),
  );
  const written: string[] = [];
  steps.onStep = (step, path) => {
    if (step === "staged") written.push(path);
  };
  assert.equal((await extract({ path: "x.zip", to: "out" })).isError, true);
  assert.deepEqual(written, []);
});

test("tools (4): what is no archive is said to be none", async (t) => {
  const { put, extract } = await scene(t);
  put("a.zip", Buffer.from("just text"));
  put("b.gz", gzipSync("just text"));
  put("c.zip", Buffer.from("PK but no more"));
  put("d.gz", gzipSync(tarOf(good)).subarray(0, 100));
  for (const [path, sentence] of [
    ["a.zip", /no zip, tar or tar\.gz/],
    ["b.gz", /holds no tar/],
    ["c.zip", /no directory/],
    ["d.gz", /no whole gzip/],
    ["none.zip", /no file/],
  ] as const)
    assert.match((await extract({ path, to: "out" })).text, sentence);
  assert.throws(() => openExtract().plan({ path: "archive" }), InputError);
  assert.throws(() => openExtract().plan({ path: "x.zip", to: "./" }), InputError);
});

test("tools (4), FS: whatever bytes come, reading them ends, and ends in entries or in a sentence (A-155)", () => {
  const seeds = [zipOf(good.map(({ type: _, ...item }) => item)), tarOf(good)];
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.nat(),
      (which, changes, cut) => {
        const bytes = Buffer.from(seeds[which] as Buffer);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const read = which === 0 ? readZip : readTar;
        try {
          read(cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes);
        } catch (error) {
          assert.ok(error instanceof InputError, String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});
