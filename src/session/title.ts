/** The first words of a text, on one line, for lists: at most `limit` characters. */
export function titleOf(text: string, limit = 80): string {
  const line = text
    .slice(0, limit * 4)
    .replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, " ")
    .trim();
  const characters = [...line];
  return characters.length <= limit ? line : `${characters.slice(0, limit - 1).join("")}…`;
}
