import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { type ArchiveEntry, broken } from "./entry.ts";

const inflate = promisify(inflateRaw);

/** PKWARE's APPNOTE 6.3, as far as ordinary archives go: no zip64, no encryption, one file, stored or deflated. */
const signature = { end: 0x06054b50, central: 0x02014b50, local: 0x04034b50 };
const endBytes = 22;
const centralBytes = 46;
const localBytes = 30;
const maxCommentBytes = 0xffff;

/** Of the mode that Unix archivers leave in the upper half of the attributes: the kind of file. */
const kindMask = 0o170000;
const kinds: ReadonlyMap<number, ArchiveEntry["kind"]> = new Map([
  [0, "file"],
  [0o100000, "file"],
  [0o040000, "folder"],
]);

/**
 * The entries of a ZIP archive, by its central directory. Archives that other readers could understand differently are
 * refused: more than one directory, entries that overlap, local headers that say something else.
 */
export function readZip(bytes: Buffer): readonly ArchiveEntry[] {
  const end = findEnd(bytes);
  const count = bytes.readUInt16LE(end + 10);
  const start = bytes.readUInt32LE(end + 16);
  if (bytes.readUInt32LE(end + 4) !== 0 || bytes.readUInt16LE(end + 8) !== count)
    throw broken("it is spread over several files");
  if (count === 0xffff || start === 0xffffffff)
    throw broken("it is in the zip64 format, which is not read here");
  if (start + bytes.readUInt32LE(end + 12) !== end) throw broken("its directory is not where it says");
  const entries: (ArchiveEntry & { readonly from: number; readonly to: number })[] = [];
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const { entry, next } = centralEntry(bytes, at, start);
    entries.push(entry);
    at = next;
  }
  if (at !== end) throw broken("its directory holds more than it says");
  // Entries that share bytes are how some kilobytes become a petabyte.
  const byPlace = entries.toSorted((a, b) => a.from - b.from);
  if (byPlace.some((entry, index) => entry.from < (byPlace[index - 1]?.to ?? 0)))
    throw broken("its entries overlap");
  return entries;
}

/** The end record: the one whose comment ends with the file. */
function findEnd(bytes: Buffer): number {
  const lowest = Math.max(0, bytes.length - endBytes - maxCommentBytes);
  for (let at = bytes.length - endBytes; at >= lowest; at -= 1) {
    const isEnd =
      bytes.readUInt32LE(at) === signature.end &&
      at + endBytes + bytes.readUInt16LE(at + 20) === bytes.length;
    if (isEnd) return at;
  }
  throw broken("it has no directory");
}

function centralEntry(bytes: Buffer, at: number, limit: number) {
  need(bytes, at, centralBytes);
  if (bytes.readUInt32LE(at) !== signature.central) throw broken("its directory cannot be read");
  const flags = bytes.readUInt16LE(at + 8);
  const method = bytes.readUInt16LE(at + 10);
  const crc = bytes.readUInt32LE(at + 16);
  const packed = bytes.readUInt32LE(at + 20);
  const size = bytes.readUInt32LE(at + 24);
  const nameBytes = bytes.readUInt16LE(at + 28);
  const next = at + centralBytes + nameBytes + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  need(bytes, at, next - at);
  const rawName = bytes.subarray(at + centralBytes, at + centralBytes + nameBytes);
  const name = rawName.toString("utf8");
  if (flags & 0x2041) throw broken(`${JSON.stringify(name.slice(0, 100))} is encrypted`);
  if (method !== 0 && method !== 8)
    throw broken(`${JSON.stringify(name.slice(0, 100))} is packed in a way that is not read here`);
  if (packed === 0xffffffff || size === 0xffffffff)
    throw broken("it is in the zip64 format, which is not read here");
  if (method === 0 && packed !== size) throw broken("a stored entry has two sizes");

  const from = bytes.readUInt32LE(at + 42);
  const data = localData(bytes, from, rawName, method);
  if (data + packed > limit) throw broken("an entry reaches into the directory");
  const content = bytes.subarray(data, data + packed);
  const mode = (bytes.readUInt32LE(at + 38) >>> 16) & kindMask;
  // Only Unix archivers (3) and macOS (19) say what kind of file it is.
  const saysKind = [3, 19].includes(bytes[at + 5] as number);
  const kind = name.endsWith("/") ? "folder" : saysKind ? (kinds.get(mode) ?? "other") : "file";
  if (name.endsWith("/") && (size > 0 || (saysKind && (kinds.get(mode) ?? "other") === "other")))
    throw broken("a folder in it is none");
  return {
    next,
    entry: {
      ...{ name, kind, size, from, to: data + packed },
      read: () => unpack(content, { method, size, crc, name }),
    } satisfies ArchiveEntry & { from: number; to: number },
  };
}

/** Where the data begins. The header before it must say the same as the directory: some readers go by the one, some by the other. */
function localData(bytes: Buffer, at: number, name: Buffer, method: number): number {
  need(bytes, at, localBytes);
  const nameEnd = at + localBytes + bytes.readUInt16LE(at + 26);
  const data = nameEnd + bytes.readUInt16LE(at + 28);
  need(bytes, at, data - at);
  const isSame =
    bytes.readUInt32LE(at) === signature.local &&
    bytes.readUInt16LE(at + 8) === method &&
    bytes.subarray(at + localBytes, nameEnd).equals(name);
  if (!isSame) throw broken("an entry says something else than the directory says of it");
  return data;
}

async function unpack(
  content: Buffer,
  entry: { readonly method: number; readonly size: number; readonly crc: number; readonly name: string },
): Promise<Buffer> {
  let plain = content;
  if (entry.method === 8)
    try {
      // One byte more, so that zlib itself stops what is longer than it says.
      plain = await inflate(content, { maxOutputLength: Math.max(1, entry.size + 1) });
    } catch {
      throw broken(
        `${JSON.stringify(entry.name.slice(0, 100))} cannot be unpacked, or is larger than it says`,
      );
    }
  if (plain.length !== entry.size || crc32(plain) !== entry.crc)
    throw broken(`${JSON.stringify(entry.name.slice(0, 100))} is not what its size and checksum say`);
  return plain;
}

function need(bytes: Buffer, at: number, length: number): void {
  if (at < 0 || at + length > bytes.length) throw broken("it ends too early");
}
