import { clip, visibleLine, widthOf } from "./visible.ts";

/**
 * Aligned columns with a head line. Cells are made harmless here; the last column is cut to what the terminal has
 * room for (`columns` 0: not cut, for pipes). No rows give an empty text.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
  dim: (text: string) => string = (text) => text,
): string {
  if (rows.length === 0) return "";
  const cells = rows.map((row) => row.map(visibleLine));
  const widths = head.map((title, index) =>
    Math.max(widthOf(title), ...cells.map((row) => widthOf(row[index] ?? ""))),
  );
  const line = (row: readonly string[]): string => {
    const text = row
      .map((cell, index) => cell + " ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(cell))))
      .join("  ")
      .trimEnd();
    return columns > 0 ? clip(text, columns) : text;
  };
  return [dim(line(head)), ...cells.map(line)].map((text) => `${text}\n`).join("");
}

/** "label  value" lines, labels aligned. */
export function facts(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${visibleLine(value)}\n`).join("");
}

/** "just now", "3 min ago", "2 h ago", "5 days ago"; "in 4 min" for what is to come. */
export function ago(atMs: number, nowMs: number): string {
  const elapsed = nowMs - atMs;
  const span = duration(Math.abs(elapsed));
  if (Math.abs(elapsed) < 5000) return "just now";
  return elapsed > 0 ? `${span} ago` : `in ${span}`;
}

/** "12 s", "3 min", "2 h", "5 days". */
export function duration(ms: number): string {
  if (ms < 60_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 48 * 3_600_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} days`;
}

/** "950", "12.3k", "4.5M". */
export function amount(value: number): string {
  if (value < 1000) return String(value);
  if (value < 1_000_000) return `${(value / 1000).toFixed(1)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** Local wall time with its date only where it is not today's: "14:03:07" or "11-20 14:03:07". */
export function clockTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  return isToday ? time : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}
