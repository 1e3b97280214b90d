/**
 * What a screen reader is given of a growing reply: whole sentences, each once. A region that is announced at
 * every delta is read from its start again and again.
 */
export function nextSentences(reply: string, spokenLength: number, ended: boolean): string {
  const fresh = reply.slice(spokenLength);
  if (ended) return fresh;
  let end = 0;
  for (const match of fresh.matchAll(/[.!?…:]\s|\n/g)) end = match.index + match[0].length;
  return fresh.slice(0, end);
}
