/** The candidates, nearest first; a near one (a typing slip away) is worth asking "did you mean". */
export function byNearness(
  word: string,
  candidates: readonly string[],
): { readonly nearest: string | undefined; readonly ordered: readonly string[] } {
  const scored = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1));
  const best = scored[0];
  const slips = Math.max(1, Math.floor(word.length / 3));
  return {
    nearest: best && best.distance <= slips ? best.candidate : undefined,
    ordered: scored.map((item) => item.candidate),
  };
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. Long words are cut at 64. */
export function editDistance(a: string, b: string): number {
  const left = a.slice(0, 64);
  const right = b.slice(0, 64);
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length] ?? 0;
}
