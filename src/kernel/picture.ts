import { InputError } from "./input-error.ts";

/** A picture that models can be shown, as its own content says. */
export interface PictureFacts {
  readonly type: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  /** "PNG" */
  readonly format: string;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** It begins like one, and cannot be shown: why, for people and models. */
export interface PictureProblem {
  readonly format: string;
  readonly problem: string;
}

/**
 * Of one picture. A provider counts it in base64, of which the strictest takes 5 MiB, and takes no side over 8000
 * pixels while a request holds at most twenty (Anthropic, "Vision", general limits).
 */
export const maxPictureBytes = (5 * 1_048_576 * 3) / 4;
export const maxPictureSidePx = 8000;
/** Of the pictures that people sent, and again of those that tools gave: both together fit a request of 32 MB. */
export const maxPictures = 8;
export const maxPicturesBytes = 10 * 1_048_576;

interface Size {
  readonly widthPx: number;
  readonly heightPx: number;
}

const formats: readonly (readonly [
  begins: RegExp,
  type: PictureFacts["type"],
  format: string,
  size: (bytes: Buffer) => Size,
])[] = [
  [/^\x89PNG\r\n/, "image/png", "PNG", pngSize],
  [/^\xff\xd8\xff/, "image/jpeg", "JPEG", jpegSize],
  [/^GIF8[79]a/, "image/gif", "GIF", gifSize],
  [/^RIFF[\s\S]{4}WEBP/, "image/webp", "WebP", webpSize],
];

/**
 * What a picture is, by walking through its parts without unpacking any: what only begins like one, breaks off, or would
 * be huge once unpacked is a problem here and never a provider's. Undefined: it does not begin like a picture.
 */
export function pictureFacts(bytes: Buffer): PictureFacts | PictureProblem | undefined {
  const head = bytes.toString("latin1", 0, 12);
  const known = formats.find(([begins]) => begins.test(head));
  if (known === undefined) return undefined;
  const [, type, format, sizeOf] = known;
  try {
    const size = sizeOf(bytes);
    const { widthPx, heightPx } = size;
    if (widthPx < 1 || heightPx < 1) throw new InputError("it has no pixels");
    if (Math.max(widthPx, heightPx) > maxPictureSidePx)
      throw new InputError(
        `it has ${widthPx} x ${heightPx} pixels, and no side may have more than ${maxPictureSidePx}`,
      );
    if (bytes.length > maxPictureBytes)
      throw new InputError(`it has ${bytes.length} bytes, and at most ${maxPictureBytes} are shown`);
    return { type, format, ...size };
  } catch (error) {
    // What reads past the end of the bytes throws a RangeError.
    return { format, problem: error instanceof InputError ? error.message : "it breaks off before its end" };
  }
}

function broken(what: string): InputError {
  return new InputError(`it begins like a picture, but ${what}`);
}

/** PNG (W3C), 5: a signature, then chunks up to IEND; the first says the size. */
function pngSize(bytes: Buffer): Size {
  let at = 8;
  let hasData = false;
  for (;;) {
    const length = bytes.readUInt32BE(at);
    const kind = bytes.toString("latin1", at + 4, at + 8);
    if (at === 8 && (kind !== "IHDR" || length !== 13)) throw broken("has no PNG header");
    if (!/^[A-Za-z]{4}$/.test(kind)) throw broken(`has no PNG chunk at byte ${at}`);
    // Behind each chunk, the last one too, stands its checksum.
    bytes.readUInt32BE(at + length + 8);
    if (kind === "IEND") break;
    hasData ||= kind === "IDAT";
    at += length + 12;
  }
  if (!hasData) throw broken("has no picture data");
  return { widthPx: bytes.readUInt32BE(16), heightPx: bytes.readUInt32BE(20) };
}

/** JPEG (ITU T.81), B.1: segments up to the first scan; one of them, SOFn, says the size. */
function jpegSize(bytes: Buffer): Size {
  let size: Size | undefined;
  let at = 2;
  for (;;) {
    if (bytes.readUInt8(at) !== 0xff) throw broken(`has no JPEG segment at byte ${at}`);
    const marker = bytes.readUInt8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const length = bytes.readUInt16BE(at + 2);
    if (marker === 0xda) break;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      size = { heightPx: bytes.readUInt16BE(at + 5), widthPx: bytes.readUInt16BE(at + 7) };
    at += length + 2;
  }
  if (size === undefined) throw broken("says no size");
  if (bytes.lastIndexOf(Buffer.from([0xff, 0xd9])) < at) throw new InputError("it breaks off before its end");
  return size;
}

/** GIF89a, 17-27: a screen, then blocks up to the trailer. A frame may be larger than the screen says. */
function gifSize(bytes: Buffer): Size {
  let widthPx = bytes.readUInt16LE(6);
  let heightPx = bytes.readUInt16LE(8);
  let frames = 0;
  let at = 13 + colorTableBytes(bytes.readUInt8(10));
  for (;;) {
    const kind = bytes.readUInt8(at);
    if (kind === 0x3b) break;
    if (kind === 0x2c) {
      widthPx = Math.max(widthPx, bytes.readUInt16LE(at + 1) + bytes.readUInt16LE(at + 5));
      heightPx = Math.max(heightPx, bytes.readUInt16LE(at + 3) + bytes.readUInt16LE(at + 7));
      frames += 1;
      at += 11 + colorTableBytes(bytes.readUInt8(at + 9));
    } else if (kind === 0x21) at += 2;
    else throw broken(`has no GIF block at byte ${at}`);
    while (bytes.readUInt8(at) !== 0) at += bytes.readUInt8(at) + 1;
    at += 1;
  }
  if (frames === 0) throw broken("has no picture data");
  return { widthPx, heightPx };
}

function colorTableBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** WebP (RFC 9649), 2: chunks in a RIFF container; each that bears a size counts. */
function webpSize(bytes: Buffer): Size {
  const end = bytes.readUInt32LE(4) + 8;
  if (end > bytes.length) throw new InputError("it breaks off before its end");
  let widthPx = 0;
  let heightPx = 0;
  let hasData = false;
  for (let at = 12; at < end; at += 8 + bytes.readUInt32LE(at + 4) + (bytes.readUInt32LE(at + 4) % 2)) {
    const kind = bytes.toString("latin1", at, at + 4);
    const size = webpSizes[kind]?.(bytes, at + 8);
    if (size) {
      widthPx = Math.max(widthPx, size.widthPx);
      heightPx = Math.max(heightPx, size.heightPx);
    }
    hasData ||= ["VP8 ", "VP8L", "ANMF"].includes(kind);
  }
  if (!hasData) throw broken("has no picture data");
  return { widthPx, heightPx };
}

const webpSizes: Readonly<Record<string, (bytes: Buffer, at: number) => Size>> = {
  "VP8 ": (bytes, at) => {
    if (bytes.readUIntBE(at + 3, 3) !== 0x9d012a) throw broken("has no key frame");
    return { widthPx: bytes.readUInt16LE(at + 6) & 0x3fff, heightPx: bytes.readUInt16LE(at + 8) & 0x3fff };
  },
  VP8L: (bytes, at) => {
    const bits = bytes.readUInt32LE(at + 1);
    return { widthPx: (bits & 0x3fff) + 1, heightPx: ((bits >>> 14) & 0x3fff) + 1 };
  },
  VP8X: (bytes, at) => ({
    widthPx: bytes.readUIntLE(at + 4, 3) + 1,
    heightPx: bytes.readUIntLE(at + 7, 3) + 1,
  }),
  ANMF: (bytes, at) => ({
    widthPx: bytes.readUIntLE(at + 6, 3) + 1,
    heightPx: bytes.readUIntLE(at + 9, 3) + 1,
  }),
};
