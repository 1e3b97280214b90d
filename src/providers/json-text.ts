/**
 * JSON for a request. Half a character (a text cut in the middle of an emoji) makes some providers refuse the
 * request, and every later one: such halves are replaced.
 */
export function jsonText(value: object): string {
  const json = JSON.stringify(value);
  if (!json.includes("\\ud")) return json;
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "string" ? member.toWellFormed() : member,
  );
}

/**
 * Encodes and writes a value, once for as long as somebody holds that object: a conversation grows by two messages
 * a turn, and writing all the older ones again would make every turn cost more than the last.
 */
export function rememberedBy<T extends object>(encode: (value: T) => object): (value: T) => string {
  const texts = new WeakMap<T, string>();
  return (value) => {
    let text = texts.get(value);
    if (text === undefined) {
      text = jsonText(encode(value));
      texts.set(value, text);
    }
    return text;
  };
}
