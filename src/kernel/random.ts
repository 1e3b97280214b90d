import { randomBytes } from "node:crypto";

/** Randomness, passed in so that a simulation can be replayed from its seed. */
export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Buffer;
}

/** The system's generator. Small draws share a pool (asking for each costs 5 microseconds); no byte is given twice. */
export const systemRandom: Random = pooled(randomBytes);

const poolBytes = 4096;

/** Exported for its test. */
export function pooled(draw: (length: number) => Buffer): Random {
  let pool: Buffer = Buffer.alloc(0);
  return {
    bytes(length) {
      if (length > poolBytes / 8) return draw(length);
      if (pool.length < length) pool = draw(poolBytes);
      // A copy, and the drawn bytes are wiped: what was handed out is nowhere else in memory.
      const bytes = Buffer.from(pool.subarray(0, length));
      pool.fill(0, 0, length);
      pool = pool.subarray(length);
      return bytes;
    },
  };
}

/** RFC 9562 version 4 UUID, lower case. */
export function uuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A bearer token: `byteLength` random bytes in base64url without padding (32 bytes give 43 characters). */
export function token(random: Random, byteLength = 32): string {
  return random.bytes(byteLength).toString("base64url");
}

/** `length` characters drawn evenly from `alphabet` (2 to 256 characters): rejection sampling, no modulo bias. */
export function code(random: Random, alphabet: string, length: number): string {
  const limit = 256 - (256 % alphabet.length);
  let out = "";
  while (out.length < length) {
    for (const byte of random.bytes(length * 2)) {
      if (byte < limit && out.length < length) out += alphabet[byte % alphabet.length];
    }
  }
  return out;
}
