import { type ArchiveEntry, broken } from "./entry.ts";

const block = 512;
/** Headers that only name the entry after them: PAX (x), its global form (g), GNU's long names (L) and links (K). */
const maxHeaderBytes = 64 * 1024;
const maxHeadersInARow = 4;

/** The entries of a tar archive: POSIX.1-2001 (ustar and pax) and GNU's long names. */
export function readTar(bytes: Buffer): readonly ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  let longName: string | undefined;
  let pax: ReadonlyMap<string, string> = new Map();
  let headersInARow = 0;
  for (let at = 0; ; ) {
    if (at === bytes.length && at > 0) break;
    if (at + block > bytes.length) throw broken("it ends too early");
    const header = bytes.subarray(at, at + block);
    // The end is two blocks of zeros; what stands after it is nobody's.
    if (header.every((byte) => byte === 0)) break;
    requireChecksum(header);
    const type = String.fromCharCode(header[156] as number);
    const size = sizeOf(header, pax);
    const data = at + block;
    const next = data + Math.ceil(size / block) * block;
    if (data + size > bytes.length) throw broken("it ends too early");
    at = Math.min(next, bytes.length);
    if ("xgLK".includes(type)) {
      headersInARow += 1;
      if (size > maxHeaderBytes || headersInARow > maxHeadersInARow) throw broken("its headers are too long");
      const content = bytes.subarray(data, data + size);
      if (type === "x") pax = paxRecords(content);
      else if (type === "L") longName = textOf(content);
      // Long targets of links belong to links, which are refused; global records name no entry.
      continue;
    }
    const name = pax.get("path") ?? longName ?? headerName(header);
    const kind = kindOf(type, name);
    if (kind !== "file" && size > 0)
      throw broken(`${JSON.stringify(name.slice(0, 100))} has content and is no file`);
    entries.push({
      ...{ name, kind, size },
      read: async () => bytes.subarray(data, data + size),
    });
    longName = undefined;
    pax = new Map();
    headersInARow = 0;
  }
  if (headersInARow > 0) throw broken("it ends with a header that names nothing");
  return entries;
}

/** True when the first block is a tar header. */
export function looksLikeTar(bytes: Buffer): boolean {
  if (bytes.length < block) return false;
  const header = bytes.subarray(0, block);
  return header.toString("latin1", 257, 262) === "ustar" && isChecksumRight(header);
}

function kindOf(type: string, name: string): ArchiveEntry["kind"] {
  if (type === "5") return "folder";
  // "7" is a file that wants to lie in one piece. An old archive marks a folder by its name alone.
  if (type === "0" || type === "\0" || type === "7") return name.endsWith("/") ? "folder" : "file";
  return "other";
}

function headerName(header: Buffer): string {
  const name = textOf(header.subarray(0, 100));
  const isUstar = header.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Up to the first zero byte, in UTF-8; broken letters stay visible as such, and are refused with the name. */
function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function sizeOf(header: Buffer, pax: ReadonlyMap<string, string>): number {
  const said = pax.get("size");
  const size = said === undefined ? numberAt(header, 124, 12) : /^\d{1,15}$/.test(said) ? Number(said) : -1;
  if (!Number.isSafeInteger(size) || size < 0) throw broken("an entry has no size");
  return size;
}

/** Octal digits, or, when the first bit is set, the rest as a binary number. */
function numberAt(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if ((field[0] as number) & 0x80) {
    const rest = [(field[0] as number) & 0x7f, ...field.subarray(1)];
    return rest.reduce((sum, byte) => sum * 256 + byte, 0);
  }
  const text = field
    .toString("latin1")
    .replace(/[\0 ]+$/, "")
    .trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : text === "" ? 0 : -1;
}

function requireChecksum(header: Buffer): void {
  if (!isChecksumRight(header)) throw broken("a header's checksum is wrong");
}

/** The sum of the header's bytes, its own field counted as blanks. */
function isChecksumRight(header: Buffer): boolean {
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  return numberAt(header, 148, 8) === sum;
}

/** "27 path=some/name\n": the length counts the whole record. */
function paxRecords(content: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const blank = content.indexOf(32, at);
    const digits = content.toString("latin1", at, Math.max(at, blank));
    const end = at + Number(digits);
    if (!/^\d{1,6}$/.test(digits) || end <= blank + 1 || end > content.length || content[end - 1] !== 10)
      throw broken("a pax header cannot be read");
    const record = content.toString("utf8", blank + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1) throw broken("a pax header cannot be read");
    const key = record.slice(0, equals);
    // Who says it twice means two things to two readers.
    if (records.has(key)) throw broken("a pax header says something twice");
    // Sparse files are described by these; without them the content would be another.
    if (key.startsWith("GNU.sparse")) throw broken("it holds a sparse file, which is not read here");
    records.set(key, record.slice(equals + 1));
    at = end;
  }
  return records;
}
