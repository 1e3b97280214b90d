import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { maxPictureBytes, maxPictureSidePx, pictureFacts } from "./picture.ts";

// --- pictures, part by part ------------------------------------------------------------------------------------------

const u16be = (value: number) => Buffer.from([value >> 8, value & 255]);
const u16le = (value: number) => Buffer.from([value & 255, value >> 8]);
const u24le = (value: number) => Buffer.from([value & 255, (value >> 8) & 255, value >> 16]);
const u32be = (value: number) =>
  Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
const u32le = (value: number) => Buffer.from(u32be(value)).reverse();
const text = (value: string) => Buffer.from(value, "latin1");
const all = (...parts: readonly Buffer[]) => Buffer.concat(parts);

const chunk = (kind: string, data = Buffer.alloc(0)) => all(u32be(data.length), text(kind), data, u32be(0));
const header = (width: number, height: number) =>
  chunk("IHDR", all(u32be(width), u32be(height), Buffer.from([8, 2, 0, 0, 0])));
const pngOf = (...chunks: readonly Buffer[]) => all(text("\x89PNG\r\n\x1a\n"), ...chunks);
const png = (width = 5, height = 3) =>
  pngOf(header(width, height), chunk("IDAT", deflateSync(Buffer.alloc(48))), chunk("IEND"));

const segment = (marker: number, data: Buffer) =>
  all(Buffer.from([0xff, marker]), u16be(data.length + 2), data);
const frame = (marker: number, width: number, height: number) =>
  segment(marker, all(Buffer.from([8]), u16be(height), u16be(width), Buffer.from([1, 1, 0x11, 0])));
const scan = all(segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])), Buffer.from([1, 2, 3]));
const jpegOf = (...parts: readonly Buffer[]) => all(Buffer.from([0xff, 0xd8]), ...parts);
const jpegEnd = Buffer.from([0xff, 0xd9]);
const jpeg = (width = 5, height = 3, marker = 0xc0) =>
  jpegOf(
    segment(0xe0, text("JFIF\0")),
    segment(0xc4, text("tables")),
    frame(marker, width, height),
    scan,
    jpegEnd,
  );

const screen = (width: number, height: number, flags = 0) =>
  all(
    text("GIF89a"),
    u16le(width),
    u16le(height),
    Buffer.from([flags, 0, 0]),
    Buffer.alloc(flags === 0 ? 0 : 6),
  );
const gifFrame = (left: number, top: number, width: number, height: number, flags = 0) =>
  all(
    text(","),
    ...[left, top, width, height].map(u16le),
    Buffer.from([flags]),
    Buffer.alloc(flags === 0 ? 0 : 6),
    Buffer.from([2, 2, 0x4c, 1, 0]),
  );
const gif = (...frames: readonly Buffer[]) =>
  all(screen(5, 3, 0x80), text("!\xf9\x04\0\0\0\0\0"), ...frames, text(";"));

const riff = (...chunks: readonly Buffer[]) => {
  const data = all(text("WEBP"), ...chunks);
  return all(text("RIFF"), u32le(data.length), data);
};
const part = (kind: string, data: Buffer) =>
  all(text(kind), u32le(data.length), data, Buffer.alloc(data.length % 2));
const lossy = (width: number, height: number) =>
  part("VP8 ", all(Buffer.from([0, 0, 0, 0x9d, 0x01, 0x2a]), u16le(width), u16le(height), Buffer.alloc(3)));
const lossless = (width: number, height: number) =>
  part("VP8L", all(Buffer.from([0x2f]), u32le((width - 1) | ((height - 1) << 14)), Buffer.alloc(2)));
const canvas = (width: number, height: number) =>
  part("VP8X", all(Buffer.alloc(4), u24le(width - 1), u24le(height - 1)));
const animated = (width: number, height: number) =>
  part("ANMF", all(Buffer.alloc(6), u24le(width - 1), u24le(height - 1), Buffer.alloc(8)));

const sound: readonly (readonly [string, Buffer, string])[] = [
  ["PNG", png(), "image/png"],
  ["JPEG", jpeg(), "image/jpeg"],
  ["progressive JPEG", jpeg(5, 3, 0xc2), "image/jpeg"],
  ["JPEG with fill bytes", jpegOf(Buffer.from([0xff]), frame(0xc0, 5, 3), scan, jpegEnd), "image/jpeg"],
  ["GIF", gif(gifFrame(0, 0, 5, 3)), "image/gif"],
  ["GIF with frames and their colours", gif(gifFrame(0, 0, 5, 3, 0x80), gifFrame(1, 1, 2, 2)), "image/gif"],
  ["old GIF", Buffer.from(all(screen(5, 3), gifFrame(0, 0, 5, 3), text(";"))), "image/gif"],
  ["WebP", riff(lossy(5, 3)), "image/webp"],
  ["lossless WebP", riff(lossless(5, 3)), "image/webp"],
  ["extended WebP", riff(canvas(5, 3), part("ICCP", text("x")), lossy(5, 3)), "image/webp"],
  ["animated WebP", riff(canvas(5, 3), part("ANIM", text("xxxxxx")), animated(5, 3)), "image/webp"],
];

for (const [what, bytes, type] of sound) {
  test(`kernel (6): a ${what} is told with its size`, () => {
    const { type: told, widthPx, heightPx } = { widthPx: 0, heightPx: 0, type: "", ...pictureFacts(bytes) };
    assert.deepEqual([told, widthPx, heightPx], [type, 5, 3]);
  });

  test(`kernel (6): a ${what} that breaks off anywhere is a problem`, () => {
    for (let length = 12; length < bytes.length; length++) {
      const found = pictureFacts(bytes.subarray(0, length));
      assert.ok(found && "problem" in found, `${length} of ${bytes.length} bytes`);
    }
  });
}

const html = text("<!doctype html><script>alert(1)</script>".repeat(10));
const lying: readonly (readonly [string, Buffer, RegExp])[] = [
  ["a PNG's beginning and a page", pngOf(html), /no PNG header/],
  ["a PNG's header and a page", pngOf(header(5, 3), html), /breaks off/],
  [
    "a PNG's header and what are no letters",
    pngOf(header(5, 3), text("1234567890123456")),
    /no PNG chunk at byte 33/,
  ],
  [
    "a PNG whose header has another length",
    pngOf(chunk("IHDR", Buffer.alloc(9)), chunk("IEND")),
    /no PNG header/,
  ],
  ["a PNG without data", pngOf(header(5, 3), chunk("IEND")), /no picture data/],
  ["a PNG without width", png(0, 3), /no pixels/],
  ["a PNG without height", png(5, 0), /no pixels/],
  [
    "a JPEG's beginning and a page",
    all(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1]), html),
    /no JPEG segment at byte 8/,
  ],
  ["a JPEG without a frame", jpegOf(segment(0xe0, text("JFIF")), scan, jpegEnd), /says no size/],
  ["a GIF's beginning and a page", all(text("GIF89a"), html), /no GIF block|breaks off/],
  ["a GIF with nothing in it", all(screen(5, 3), text(";")), /no picture data/],
  [
    "a WebP's beginning and a page",
    all(text("RIFF"), u32le(html.length + 4), text("WEBP"), html),
    /no picture data|breaks off/,
  ],
  ["a WebP that is no key frame", riff(part("VP8 ", Buffer.alloc(12))), /no key frame/],
  ["a WebP without data", riff(canvas(5, 3)), /no picture data/],
];
for (const [what, bytes, why] of lying) {
  test(`kernel (6): ${what} is a problem that says so`, () => {
    const found = pictureFacts(bytes);
    assert.ok(found && "problem" in found, JSON.stringify(found));
    assert.match(found.problem, why);
  });
}

const wide = maxPictureSidePx + 1;
const bombs: readonly (readonly [string, Buffer])[] = [
  ["PNG", png(wide, 1)],
  ["PNG of gigabytes", png(65_535, 65_535)],
  ["JPEG", jpeg(1, wide)],
  ["GIF", gif(gifFrame(0, 0, wide, 1))],
  ["GIF whose frame stands outside of its screen", gif(gifFrame(wide - 2, 0, 2, 1))],
  ["WebP", riff(lossy(wide, 1))],
  ["lossless WebP", riff(lossless(1, wide))],
  ["WebP with a small canvas and a huge frame", riff(canvas(1, 1), animated(wide, 1))],
  ["WebP with a huge canvas", riff(canvas(1, wide), lossy(1, 1))],
];
for (const [what, bytes] of bombs) {
  test(`kernel (6): a ${what} with more pixels than are shown is refused by its header, unpacked by nobody`, () => {
    const found = pictureFacts(bytes);
    assert.ok(found && "problem" in found, JSON.stringify(found));
    assert.match(found.problem, /pixels, and no side may have more than 8000/);
  });
}

test("kernel (6): as many pixels and bytes as are allowed are shown, one more of either is not", () => {
  assert.ok("type" in (pictureFacts(png(maxPictureSidePx, maxPictureSidePx)) ?? {}));
  const full = (bytes: number) => pngOf(header(5, 3), chunk("IDAT", Buffer.alloc(bytes - 57)), chunk("IEND"));
  assert.equal(full(1000).length, 1000);
  assert.ok("type" in (pictureFacts(full(maxPictureBytes)) ?? {}));
  const found = pictureFacts(full(maxPictureBytes + 1));
  assert.ok(found && "problem" in found);
  assert.match(found.problem, /at most 3932160 are shown/);
});

test("kernel (6): what does not begin like a picture is none", () => {
  for (const bytes of [text(""), html, text("%PDF-1.7"), text("RIFF\0\0\0\0WAVEfmt "), text("II*\0")])
    assert.equal(pictureFacts(bytes), undefined);
});

test("kernel (6): wild bytes behind a picture's beginning give facts or a problem, and always end", () => {
  const starts = [
    text("\x89PNG\r\n\x1a\n"),
    header(5, 3),
    Buffer.from([0xff, 0xd8, 0xff]),
    screen(5, 3),
    text("RIFF\xff\0\0\0WEBP"),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const bytes = start === starts[1] ? pngOf(start, Buffer.from(rest)) : all(start, Buffer.from(rest));
      const found = pictureFacts(bytes);
      assert.ok(found === undefined || "problem" in found || found.widthPx <= maxPictureSidePx);
    }),
    { numRuns: 2000 },
  );
});
