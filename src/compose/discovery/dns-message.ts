/** As much of the DNS message (RFC 1035) as multicast DNS (RFC 6762) needs here: questions and records, both ways. */

export type RecordData =
  | { readonly type: "A"; readonly address: string }
  | { readonly type: "PTR"; readonly target: string }
  | { readonly type: "SRV"; readonly port: number; readonly target: string }
  | { readonly type: "TXT"; readonly texts: readonly string[] };

export type DnsRecord = { readonly name: string; readonly ttlSeconds: number } & RecordData;

export interface Question {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
  /** The asker would have the answer sent to itself alone. */
  readonly wantsUnicast: boolean;
}

export interface Query {
  readonly id: number;
  readonly questions: readonly Question[];
}

export const typeNumbers = { A: 1, PTR: 12, TXT: 16, SRV: 33, any: 255 } as const;
const internet = 1;
/** Set in the class of a question: answer me alone. Set in the class of an answer: forget what you knew of this. */
const topBit = 0x8000;
const headerBytes = 12;
const maxNameBytes = 255;
const maxLabelBytes = 63;
const maxQuestions = 32;

/** Undefined for what is no query, or not one that can be read to its end. */
export function parseQuery(bytes: Buffer): Query | undefined {
  if (bytes.length < headerBytes) return undefined;
  const flags = bytes.readUInt16BE(2);
  // A response, or another operation than a plain question.
  if ((flags & 0xf800) !== 0) return undefined;
  const count = bytes.readUInt16BE(4);
  if (count === 0 || count > maxQuestions) return undefined;
  const questions: Question[] = [];
  let at = headerBytes;
  for (let index = 0; index < count; index++) {
    const read = readName(bytes, at);
    if (!read || read.end + 4 > bytes.length) return undefined;
    const class_ = bytes.readUInt16BE(read.end + 2);
    if ((class_ & ~topBit) === internet || (class_ & ~topBit) === typeNumbers.any)
      questions.push({
        name: read.name,
        type: bytes.readUInt16BE(read.end),
        wantsUnicast: (class_ & topBit) !== 0,
      });
    at = read.end + 4;
  }
  return { id: bytes.readUInt16BE(0), questions };
}

/** The records of a response, as far as they are of a kind that we know; undefined for what is none, or is cut off. */
export function parseResponse(bytes: Buffer): readonly DnsRecord[] | undefined {
  if (bytes.length < headerBytes || (bytes.readUInt16BE(2) & 0xf800) !== topBit) return undefined;
  let at = headerBytes;
  for (let left = bytes.readUInt16BE(4); left > 0; left--) {
    const name = readName(bytes, at);
    if (!name) return undefined;
    at = name.end + 4;
  }
  // Answers, authorities and what else may be of use.
  const count = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  const records: DnsRecord[] = [];
  for (let left = count; left > 0; left--) {
    const name = readName(bytes, at);
    if (!name || name.end + 10 > bytes.length) return undefined;
    const from = name.end + 10;
    const to = from + bytes.readUInt16BE(name.end + 8);
    if (to > bytes.length) return undefined;
    const data = readData(bytes, bytes.readUInt16BE(name.end), from, to);
    if (data) records.push({ name: name.name, ttlSeconds: bytes.readUInt32BE(name.end + 4), ...data });
    at = to;
  }
  return records;
}

function readData(bytes: Buffer, type: number, from: number, to: number): RecordData | undefined {
  switch (type) {
    case typeNumbers.A:
      return to - from === 4 ? { type: "A", address: bytes.subarray(from, to).join(".") } : undefined;
    case typeNumbers.PTR: {
      const target = readName(bytes, from)?.name;
      return target === undefined ? undefined : { type: "PTR", target };
    }
    case typeNumbers.SRV: {
      const target = to - from > 6 ? readName(bytes, from + 6)?.name : undefined;
      return target === undefined ? undefined : { type: "SRV", port: bytes.readUInt16BE(from + 4), target };
    }
    case typeNumbers.TXT: {
      const texts: string[] = [];
      for (let at = from; at < to; at += 1 + (bytes[at] ?? 0))
        texts.push(bytes.toString("utf8", at + 1, Math.min(to, at + 1 + (bytes[at] ?? 0))));
      return { type: "TXT", texts };
    }
    default:
      return undefined;
  }
}

/** Pointers may only lead back, so that a message cannot send us round in circles. */
function readName(bytes: Buffer, from: number): { readonly name: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let size = 0;
  let at = from;
  let end: number | undefined;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { name: labels.join(".").toLowerCase(), end: end ?? at + 1 };
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      const target = ((length & 0x3f) << 8) | low;
      if (target >= at) return undefined;
      end ??= at + 2;
      at = target;
      continue;
    }
    if (length > maxLabelBytes || at + 1 + length > bytes.length) return undefined;
    size += length + 1;
    if (size > maxNameBytes) return undefined;
    labels.push(bytes.toString("utf8", at + 1, at + 1 + length));
    at += length + 1;
  }
}

/** A question for the list of a service's instances, from an ordinary port: answers come to it alone. */
export function queryBytes(name: string): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, nameBytes(name), uint16(typeNumbers.PTR), uint16(internet | topBit)]);
}

/**
 * A response. To one who asked with an ordinary resolver (`legacy`) it repeats the question's id and the question, and
 * is not cached for long (RFC 6762, section 6.7).
 */
export function responseBytes(records: readonly DnsRecord[], legacy?: Query): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(legacy?.id ?? 0, 0);
  header.writeUInt16BE(0x8400, 2);
  header.writeUInt16BE(legacy?.questions.length ?? 0, 4);
  header.writeUInt16BE(records.length, 6);
  const questions = (legacy?.questions ?? []).map(({ name, type }) =>
    Buffer.concat([nameBytes(name), uint16(type), uint16(internet)]),
  );
  return Buffer.concat([
    header,
    ...questions,
    ...records.map((record) => recordBytes(record, legacy !== undefined)),
  ]);
}

function recordBytes(record: DnsRecord, isLegacy: boolean): Buffer {
  const data = dataBytes(record);
  // Others may offer the same service, so its list is added to; everything else here has one owner.
  const isShared = record.type === "PTR";
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(isLegacy ? Math.min(10, record.ttlSeconds) : record.ttlSeconds);
  return Buffer.concat([
    nameBytes(record.name),
    uint16(typeNumbers[record.type]),
    uint16(isLegacy || isShared ? internet : internet | topBit),
    ttl,
    uint16(data.length),
    data,
  ]);
}

function dataBytes(record: DnsRecord): Buffer {
  switch (record.type) {
    case "A":
      return Buffer.from(record.address.split(".").map(Number));
    case "PTR":
      return nameBytes(record.target);
    case "SRV":
      return Buffer.concat([uint16(0), uint16(0), uint16(record.port), nameBytes(record.target)]);
    case "TXT":
      return Buffer.concat(record.texts.map((text) => lengthAndBytes(text, 255)));
  }
}

/** The first label of a service's instance may hold anything but a dot, which parts labels here. */
function nameBytes(name: string): Buffer {
  return Buffer.concat([
    ...name.split(".").map((label) => lengthAndBytes(label, maxLabelBytes)),
    Buffer.alloc(1),
  ]);
}

function lengthAndBytes(text: string, most: number): Buffer {
  const bytes = Buffer.from(text, "utf8").subarray(0, most);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
