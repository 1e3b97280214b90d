/**
 * A QR code (ISO/IEC 18004) of a text as bytes, at error correction level L, versions 1 to 40: what a terminal shows
 * for a phone to scan. Rows of modules, true for dark, without the quiet zone. Throws a RangeError for more than 2953
 * bytes.
 */
export function qrSymbol(text: string): readonly (readonly boolean[])[] {
  const bytes = new TextEncoder().encode(text);
  const version = versionFor(bytes.length);
  const codewords = interleave(dataCodewords(bytes, version), version);
  const grid = emptyGrid(version);
  let best = withData(grid, codewords, 0);
  for (let mask = 1; mask < maskRules.length; mask++) {
    const other = withData(grid, codewords, mask);
    if (penalty(other) < penalty(best)) best = other;
  }
  return best;
}

/** Table 9, level L: check codewords in each block, and blocks, by version from 1. */
const checkPerBlock = [
  7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26, 28, 30,
  30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
];
const blockCount = [
  1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18,
  19, 19, 20, 21, 22, 24, 25,
];

interface Shape {
  /** Codewords in all. */
  readonly total: number;
  readonly check: number;
  readonly blocks: number;
  /** Codewords of data. */
  readonly data: number;
}

function shapeOf(version: number): Shape {
  const check = checkPerBlock[version - 1] ?? 0;
  const blocks = blockCount[version - 1] ?? 0;
  const total = Math.floor(freeModules(version) / 8);
  return { total, check, blocks, data: total - check * blocks };
}

/** Modules that hold neither patterns nor format and version information. */
function freeModules(version: number): number {
  const all = (16 * version + 128) * version + 64;
  if (version < 2) return all;
  const alignments = Math.floor(version / 7) + 2;
  return all - (25 * alignments - 10) * alignments + 55 - (version >= 7 ? 36 : 0);
}

function versionFor(byteCount: number): number {
  for (let version = 1; version <= 40; version++) {
    const countBits = version < 10 ? 8 : 16;
    if (4 + countBits + byteCount * 8 <= shapeOf(version).data * 8) return version;
  }
  throw new RangeError(`${byteCount} bytes are too many for a QR code`);
}

/** Mode, length, bytes, terminator, and the two padding bytes in turn. */
function dataCodewords(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const put = (value: number, count: number) => {
    for (let bit = count - 1; bit >= 0; bit--) bits.push((value >>> bit) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  const capacity = shapeOf(version).data * 8;
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < capacity; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Array.from({ length: bits.length / 8 }, (_, at) =>
    bits.slice(at * 8, at * 8 + 8).reduce((byte, bit) => byte * 2 + bit, 0),
  );
}

/** The blocks' codewords in turn, then their check codewords in turn; the first blocks are one shorter. */
function interleave(data: readonly number[], version: number): number[] {
  const { total, check, blocks } = shapeOf(version);
  const short = Math.floor(total / blocks) - check;
  const shortBlocks = blocks - (total % blocks);
  const divisor = generator(check);
  let from = 0;
  const parts = Array.from({ length: blocks }, (_, block) => {
    const part = data.slice(from, from + short + (block < shortBlocks ? 0 : 1));
    from += part.length;
    return { part, rest: remainder(part, divisor) };
  });
  const turns = (pick: (at: number) => (number | undefined)[], count: number) =>
    Array.from({ length: count }, (_, at) => pick(at)).flat();
  return [
    ...turns((at) => parts.map(({ part }) => part[at]), short + 1),
    ...turns((at) => parts.map(({ rest }) => rest[at]), check),
  ].filter((codeword) => codeword !== undefined);
}

/** In GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function multiply(x: number, y: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((y >>> bit) & 1) * x;
  }
  return product;
}

/** (x - 1)(x - 2)(x - 4)..., highest power first, without the leading 1. */
function generator(degree: number): number[] {
  const result = [...Array(degree - 1).fill(0), 1];
  let root = 1;
  for (let turn = 0; turn < degree; turn++) {
    for (let at = 0; at < degree; at++) result[at] = multiply(result[at], root) ^ (result[at + 1] ?? 0);
    root = multiply(root, 2);
  }
  return result;
}

function remainder(data: readonly number[], divisor: readonly number[]): number[] {
  const result: number[] = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ (result.shift() ?? 0);
    result.push(0);
    for (const [at, coefficient] of divisor.entries())
      result[at] = (result[at] ?? 0) ^ multiply(coefficient, factor);
  }
  return result;
}

/** Undefined: a module that data goes into. */
type Grid = (boolean | undefined)[][];

function emptyGrid(version: number): Grid {
  const size = version * 4 + 17;
  const grid: Grid = Array.from({ length: size }, () => Array(size).fill(undefined));
  const set = (x: number, y: number, dark: boolean) => {
    const row = grid[y];
    if (row && x >= 0 && x < size) row[x] = dark;
  };
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  for (const [cx, cy] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const)
    square(4, (dx, dy, ring) => set(cx + dx, cy + dy, ring !== 2 && ring !== 4));
  const places = alignmentPlaces(version);
  const last = places.length - 1;
  for (const [i, cx] of places.entries())
    for (const [j, cy] of places.entries()) {
      const isFinder = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
      if (!isFinder) square(2, (dx, dy, ring) => set(cx + dx, cy + dy, ring !== 1));
    }
  // Kept from the data; the mask brings the right values.
  writeFormat(grid, 0);
  writeVersion(grid, version);
  return grid;
}

function square(radius: number, each: (dx: number, dy: number, ring: number) => void): void {
  for (let dy = -radius; dy <= radius; dy++)
    for (let dx = -radius; dx <= radius; dx++) each(dx, dy, Math.max(Math.abs(dx), Math.abs(dy)));
}

function alignmentPlaces(version: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const places = [6];
  for (let at = version * 4 + 10; places.length < count; at -= step) places.splice(1, 0, at);
  return places;
}

/** Level L and the mask, with their check bits, twice. */
function writeFormat(grid: Grid, mask: number): void {
  const value = (0b01 << 3) | mask;
  let rest = value;
  for (let turn = 0; turn < 10; turn++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((value << 10) | rest) ^ 0x5412;
  const bit = (at: number) => ((bits >>> at) & 1) === 1;
  const set = (x: number, y: number, dark: boolean) => {
    const row = grid[y];
    if (row) row[x] = dark;
  };
  const size = grid.length;
  for (let at = 0; at <= 5; at++) set(8, at, bit(at));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let at = 9; at < 15; at++) set(14 - at, 8, bit(at));
  for (let at = 0; at < 8; at++) set(size - 1 - at, 8, bit(at));
  for (let at = 8; at < 15; at++) set(8, size - 15 + at, bit(at));
  set(8, size - 8, true);
}

function writeVersion(grid: Grid, version: number): void {
  if (version < 7) return;
  let rest = version;
  for (let turn = 0; turn < 12; turn++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let at = 0; at < 18; at++) {
    const dark = ((bits >>> at) & 1) === 1;
    const far = grid.length - 11 + (at % 3);
    const near = Math.floor(at / 3);
    for (const [x, y] of [
      [far, near],
      [near, far],
    ] as const) {
      const row = grid[y];
      if (row) row[x] = dark;
    }
  }
}

/** Where data goes, in its order: two columns at a time from the right, upwards and downwards in turn, around column 6. */
function dataPlaces(grid: Grid): (readonly [x: number, y: number])[] {
  const size = grid.length;
  const places: (readonly [number, number])[] = [];
  let isUpward = true;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = isUpward ? size - 1 - step : step;
      for (const x of [right, right - 1]) if (grid[y]?.[x] === undefined) places.push([x, y]);
    }
    isUpward = !isUpward;
  }
  return places;
}

const maskRules: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function withData(grid: Grid, codewords: readonly number[], mask: number): boolean[][] {
  const rule = maskRules[mask];
  const copy = grid.map((row) => [...row]);
  for (const [at, [x, y]] of dataPlaces(grid).entries()) {
    // The last few places have no codeword, and are light.
    const bit = (((codewords[at >> 3] ?? 0) >>> (7 - (at & 7))) & 1) === 1;
    const row = copy[y];
    if (row) row[x] = bit !== rule?.(x, y);
  }
  writeFormat(copy, mask);
  return copy.map((row) => row.map((module) => module === true));
}

/** How hard it is to read: runs, blocks, what looks like a finder, and too much of one colour. */
function penalty(modules: readonly (readonly boolean[])[]): number {
  const size = modules.length;
  const columns = modules.map((_, x) => modules.map((row) => row[x] ?? false));
  let points = 0;
  for (const line of [...modules, ...columns]) {
    const text = line.map((dark) => (dark ? "1" : "0")).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) points += run.length - 2;
    // Overlapping ones count each.
    points += 40 * [...text.matchAll(/(?=00001011101|10111010000)/g)].length;
  }
  for (let y = 1; y < size; y++)
    for (let x = 1; x < size; x++) {
      const dark = modules[y]?.[x];
      if (dark === modules[y - 1]?.[x] && dark === modules[y]?.[x - 1] && dark === modules[y - 1]?.[x - 1])
        points += 3;
    }
  const dark = modules.flat().filter(Boolean).length;
  return points + 10 * Math.floor(Math.abs((dark * 20) / (size * size) - 10));
}

/** Two rows to a line of text, dark on light whatever the terminal's colours are said to be, four modules of margin. */
export function qrText(text: string, isColoured: boolean): string {
  const modules = qrSymbol(text);
  const margin = 4;
  const size = modules.length + 2 * margin;
  const isDark = (x: number, y: number) => modules[y - margin]?.[x - margin] ?? false;
  const lines: string[] = [];
  for (let y = 0; y < size; y += 2) {
    let line = "";
    // The blocks are the light modules: on a dark terminal they shine, and the rest stays dark.
    for (let x = 0; x < size; x++) line += blockOf(!isDark(x, y), y + 1 < size && !isDark(x, y + 1));
    lines.push(isColoured ? `\x1b[97;40m${line}\x1b[0m` : line);
  }
  return `${lines.join("\n")}\n`;
}

function blockOf(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}
