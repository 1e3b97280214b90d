/** One header field as it arrived, unfolded. */
export interface Header {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

const maxHeaders = 1_000;

/** The fields in their order, the topmost (written last) first. Bytes that are no UTF-8 become replacement signs. */
export function headersOf(block: Buffer): readonly Header[] {
  const found: Header[] = [];
  let current: { name: string; value: string } | undefined;
  for (const line of block.toString("utf8").split(/\r?\n/)) {
    if (line === "") break;
    if (/^[ \t]/.test(line)) {
      if (current) current.value += ` ${line.trim()}`;
      continue;
    }
    if (found.length >= maxHeaders) break;
    const match = /^([!-9;-~]+)[ \t]*:(.*)$/s.exec(line);
    current = match ? { name: (match[1] ?? "").toLowerCase(), value: (match[2] ?? "").trim() } : undefined;
    if (current) found.push(current);
  }
  return found;
}

export function valuesOf(headers: readonly Header[], name: string): readonly string[] {
  return headers.filter((header) => header.name === name).map((header) => header.value);
}

/** The ids in a References or In-Reply-To field, without their brackets. */
export function messageIdsOf(value: string): readonly string[] {
  return [...value.matchAll(/<([^<>\s]{1,900})>/g)].map((match) => match[1] ?? "");
}

/**
 * The field's words with comments taken out, or undefined where quotes or parentheses do not close: whoever leaves
 * one open could make text of his look like the server's.
 */
export function withoutComments(value: string): string | undefined {
  let out = "";
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < value.length; index += 1) {
    const sign = value.charAt(index);
    if (sign === "\\" && (quoted || depth > 0)) {
      if (depth === 0) out += sign + value.charAt(index + 1);
      index += 1;
    } else if (quoted) {
      quoted = sign !== '"';
      out += sign;
    } else if (sign === "(") depth += 1;
    else if (sign === ")") {
      depth -= 1;
      if (depth < 0) return undefined;
      out += " ";
    } else if (depth === 0) {
      quoted = sign === '"';
      out += sign;
    }
  }
  return quoted || depth > 0 ? undefined : out;
}

/** Split where `sign` stands outside of quotes. */
export function splitOutsideQuotes(value: string, sign: string): readonly string[] {
  const parts = [""];
  let quoted = false;
  for (let index = 0; index < value.length; index += 1) {
    const char = value.charAt(index);
    if (char === '"') quoted = !quoted;
    if (char === sign && !quoted) parts.push("");
    else parts[parts.length - 1] += char;
    if (char === "\\" && quoted) {
      index += 1;
      parts[parts.length - 1] += value.charAt(index);
    }
  }
  return parts;
}
