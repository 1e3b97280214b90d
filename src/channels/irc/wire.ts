/** One line of the protocol (RFC 2812, with the message tags of IRCv3). */
export interface IrcLine {
  /** As it came. */
  readonly raw: string;
  readonly tags: ReadonlyMap<string, string>;
  /** Who sent it, as the server says; undefined for a line of the server we are connected to without a prefix. */
  readonly from?: Prefix;
  /** In upper case; numerics as three digits. */
  readonly command: string;
  readonly params: readonly string[];
}

export interface Prefix {
  readonly nick: string;
  readonly user: string;
  readonly host: string;
}

/** A line without its line end. Undefined for one that is no command. */
export function parseLine(text: string): IrcLine | undefined {
  let rest = text;
  const tags = new Map<string, string>();
  if (rest.startsWith("@")) {
    const end = rest.indexOf(" ");
    if (end < 0) return undefined;
    for (const tag of rest.slice(1, end).split(";")) {
      const equals = tag.indexOf("=");
      if (equals < 0) tags.set(tag, "");
      else tags.set(tag.slice(0, equals), unescapeTag(tag.slice(equals + 1)));
    }
    rest = rest.slice(end).trimStart();
  }
  let from: Prefix | undefined;
  if (rest.startsWith(":")) {
    const end = rest.indexOf(" ");
    if (end < 0) return undefined;
    from = parsePrefix(rest.slice(1, end));
    rest = rest.slice(end).trimStart();
  }
  const trailing = rest.indexOf(" :");
  const words = (trailing < 0 ? rest : rest.slice(0, trailing)).split(" ").filter((word) => word !== "");
  const command = words.shift();
  if (command === undefined || !/^(?:[A-Za-z]+|\d{3})$/.test(command)) return undefined;
  const params = trailing < 0 ? words : [...words, rest.slice(trailing + 2)];
  return { raw: text, tags, ...(from ? { from } : {}), command: command.toUpperCase(), params };
}

/** `nick!user@host`; a server's name is a nick without the rest. */
export function parsePrefix(text: string): Prefix {
  const match = /^([^!@]*)(?:!([^@]*))?(?:@(.*))?$/.exec(text);
  return { nick: match?.[1] ?? "", user: match?.[2] ?? "", host: match?.[3] ?? "" };
}

const tagEscapes: Readonly<Record<string, string>> = { ":": ";", s: " ", "\\": "\\", r: "\r", n: "\n" };

function unescapeTag(value: string): string {
  return value.replace(/\\(.?)/g, (_, letter: string) => tagEscapes[letter] ?? letter);
}

/** Upper and lower case as ASCII has it: a rule that folds more would merge accounts that are two (attack A-057). */
export function foldAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** How this server compares nicks and channel names: its CASEMAPPING. */
export function foldFor(casemapping: string | undefined): (text: string) => string {
  if (casemapping !== undefined && casemapping !== "rfc1459" && casemapping !== "strict-rfc1459") {
    return foldAscii;
  }
  const last = casemapping === "strict-rfc1459" ? /[[\]\\]/g : /[[\]\\~]/g;
  const braces: Readonly<Record<string, string>> = { "[": "{", "]": "}", "\\": "|", "~": "^" };
  return (text) => foldAscii(text).replace(last, (sign) => braces[sign] ?? sign);
}

export function escapeTag(value: string): string {
  const escapes: Readonly<Record<string, string>> = { ";": ":", " ": "s", "\\": "\\", "\r": "r", "\n": "n" };
  return value.replace(/[; \\\r\n]/g, (sign) => `\\${escapes[sign]}`);
}

/** What a line's text may hold: no line end, no NUL, and no control character (a CTCP of its own, a colour). */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this takes out
  return text.replace(/[\u0000-\u001f\u007f]/g, " ");
}
