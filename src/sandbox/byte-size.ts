const mib = 1024 ** 2;
const units: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: mib, g: 1024 ** 3 };
const leastBytes = 16 * mib;

/** "512m", "1g" or a number of bytes; undefined: none of these, or less than 16 MB. */
export function bytesOf(size: string | number): number | undefined {
  const [, count = 0, unit = ""] = /^(\d{1,15})([bkmg]?)$/i.exec(String(size).trim()) ?? [];
  const bytes = Number(count) * (units[unit.toLowerCase()] ?? 0);
  return bytes >= leastBytes && Number.isSafeInteger(bytes) ? bytes : undefined;
}
