import { type Header, splitOutsideQuotes, valuesOf, withoutComments } from "./headers.ts";
import { addressOf, domainOf } from "./settings.ts";

/** Who a message says it is from, and whether the receiving server vouches for that. */
export interface From {
  /** In its one spelling; undefined when there is none, or more than one. */
  readonly address: string | undefined;
  readonly isProved: boolean;
}

/**
 * `From` alone is what anybody can write. It is proved when the receiving server says so in the topmost
 * Authentication-Results field (RFC 8601), the only one that no sender can have put there: DMARC passed for the
 * domain of From, or a DKIM signature of that very domain did.
 */
export function fromOf(headers: readonly Header[], authservId: string | undefined): From {
  const address = soleAddress(valuesOf(headers, "from"));
  if (address === undefined) return { address, isProved: false };
  const top = valuesOf(headers, "authentication-results")[0];
  const isProved = authservId !== undefined && top !== undefined && vouches(top, authservId, address);
  return { address, isProved };
}

/** The one address of the one From field; mail programs differ about which of two they show. */
function soleAddress(fields: readonly string[]): string | undefined {
  if (fields.length !== 1) return undefined;
  const value = withoutComments(fields[0] ?? "")?.trim();
  if (
    value === undefined ||
    splitOutsideQuotes(value, ",").length !== 1 ||
    splitOutsideQuotes(value, ";").length !== 1
  ) {
    return undefined;
  }
  // A group ("name: a@b;") is several; what stands outside of the brackets is only a name.
  const bracketed = splitOutsideQuotes(value, "<");
  if (bracketed.length === 1) return addressOf(value);
  const inside = /^([^<>]+)>$/.exec(bracketed[1]?.trim() ?? "")?.[1];
  return bracketed.length === 2 && inside !== undefined ? addressOf(inside.trim()) : undefined;
}

interface Result {
  readonly method: string;
  readonly result: string;
  /** "header.from" to its value; several of one name make the result worthless. */
  readonly properties: ReadonlyMap<string, string>;
}

function vouches(field: string, authservId: string, address: string): boolean {
  const results = resultsOf(field, authservId);
  if (results === undefined) return false;
  const domain = address.slice(address.lastIndexOf("@") + 1);
  const dmarc = results.filter((item) => item.method === "dmarc");
  if (dmarc.length > 1) return false;
  const verdict = dmarc[0];
  if (verdict && verdict.result !== "none") {
    return verdict.result === "pass" && domainOf(verdict.properties.get("header.from") ?? "") === domain;
  }
  return results.some(
    (item) => item.method === "dkim" && item.result === "pass" && signerOf(item.properties) === domain,
  );
}

/** Some servers name only the identity (header.i), which is the signing domain's own or below it. */
function signerOf(properties: ReadonlyMap<string, string>): string | undefined {
  const identity = properties.get("header.i")?.replace(/^.*@/s, "");
  return domainOf(properties.get("header.d") ?? identity ?? "");
}

/** Undefined when the field is not the receiving server's, or cannot be read without a doubt. */
function resultsOf(field: string, authservId: string): readonly Result[] | undefined {
  const text = withoutComments(field);
  if (text === undefined) return undefined;
  const [head = "", ...parts] = splitOutsideQuotes(text, ";");
  const [name = "", version] = head.trim().split(/\s+/);
  if (name.toLowerCase() !== authservId || (version !== undefined && version !== "1")) return undefined;
  const results: Result[] = [];
  for (const part of parts) {
    const words = wordsOf(part);
    if (words.length === 0 || (words.length === 1 && words[0] === "none")) continue;
    const method = /^([a-z0-9-]+)(?:\/1)?=([a-z]+)$/.exec((words[0] ?? "").toLowerCase());
    if (!method) return undefined;
    const properties = new Map<string, string>();
    for (const word of words.slice(1)) {
      const property = /^([a-z0-9-]+\.[a-z0-9_-]+|reason)=(.*)$/is.exec(word);
      const key = property?.[1]?.toLowerCase();
      if (key === undefined || properties.has(key)) return undefined;
      properties.set(key, (property?.[2] ?? "").replace(/^"|"$/g, ""));
    }
    results.push({ method: method[1] ?? "", result: method[2] ?? "", properties });
  }
  return results;
}

/** Words outside of quotes; space around "=" belongs to none. */
function wordsOf(part: string): readonly string[] {
  const close = splitOutsideQuotes(part.trim().replace(/\t/g, " "), " ").filter((word) => word !== "");
  const words: string[] = [];
  for (const word of close) {
    const last = words.at(-1);
    if (last !== undefined && (word.startsWith("=") || /^[a-z0-9._/-]+=$/i.test(last)))
      words[words.length - 1] = last + word;
    else words.push(word);
  }
  return words;
}
