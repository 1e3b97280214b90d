import { type Span, type TextFacts, textFacts, valueAt } from "./secret-value.ts";

/** Secrets that are known by themselves. */
const wholes: readonly RegExp[] = [
  /(?<![\w-])(?:sk|rk)[-_][A-Za-z0-9_-]{16,}/g,
  /\b(?:gh[a-z]|github_pat)_[A-Za-z0-9_]{20,}/g,
  /\b(?:glpat-|npm_|hf_|dop_v1_|pypi-|shpat_|AGE-SECRET-KEY-)[A-Za-z0-9_-]{16,}/g,
  /\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}/g,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bAIza[A-Za-z0-9_-]{30,}/g,
  // Telegram's bots; their API has it in the path.
  /(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}/g,
  /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*/g,
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g,
  /(?<=\bhooks\.slack\.com\/services\/)[A-Za-z0-9/]{16,}/g,
  /(?<=\/api\/webhooks\/\d{1,30}\/)[A-Za-z0-9_-]{16,}/g,
  // Behind the name in a URL, or alone where it is too long for one.
  /(?<=:\/\/[^\s/:@"'`$]{0,200}:)[^\s/"'`$;|&<>()\\{}]{1,500}(?=@)/g,
  /(?<=:\/\/)[A-Za-z0-9_.~%+-]{16,500}(?=@)/g,
];

const names =
  "pass(?:word|wd|phrase|code)|(?<![a-z])pass(?![a-z])|mysql_pwd|secret|token|credentials?|bearer|authorization" +
  "|(?:api|access|private|auth|encryption|signing|secret|account|shared)[_-]?key|(?<![a-z])_auth(?![a-z])" +
  "|card[_-]?number|(?<![a-z])cv[cv]2?(?![a-z])";
/** What makes of such a name one of something that is none: where it lies, what it is called, how many there are. */
const harmless =
  /^(?:s?[-_]?(?:file|path|dir|name|id|ids|url|uri|env|type|kind|count|limit|length|len|size|ttl|expir\w*|max|min|policy|store|manager|ref|in|stdin|prompt|sha256|less)(?![a-z])|s(?![a-z])|iz|ed(?![a-z]))/i;

/** `name=value`, `"name": "value"`, a header's `Name: value`. */
const assignment = new RegExp(
  `(${names})([\\w-]{0,40})\\\\{0,3}["']?[ \\t]{0,4}([:=])(?![=>])[ \\t]{0,4}`,
  "gi",
);
/** `--name value`; with "=" it is an assignment. A word of its own, and no redirection's file, where it is judged. */
const flagText = `--?(?!no-)(?:[a-z0-9]{1,20}-){0,3}(?:${names}|pwd)[ \\t]{1,5}`;
const flag = new RegExp(`(?<![\\w-])${flagText}`, "gi");
const judgedFlag = new RegExp(`(?<=^|[\\s"'(])(?<![<>][ \\t]{0,5})${flagText}`, "gi");
/** Up to where cookies stand; each is looked for once in so many characters. */
const maxCookieChars = 2000;
const cookieHeads =
  /(?:\b(?:set-)?cookie[ \t]{0,4}:[ \t]{0,4}|\bcurl\s[^\n;|&]{0,600}?(?<=\s)(?:-b|--cookie)[= ]{1,5}["']?(?=[\w.-]{1,100}=))(?![^\n"']{0,2000}\bcookie\s{0,4}:)/gi;
const scheme = /^["']?(?:(?:bearer|basic|token|digest|negotiate|apikey|bot)\s{1,5})/i;

/** What certain programs take a secret behind; each ends where the secret begins. */
const programs: readonly RegExp[] = [
  /\bsshpass[ \t]{1,5}-p[ \t]{0,5}/g,
  /\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|7z|7za|7zr)\b[^\n;|&]{0,500}?\s-p(?=[^\s])/g,
  /\bredis-cli\b[^\n;|&]{0,500}?\s-a[ \t]{1,5}/g,
  /\b(?:curl|wget|xh|http|https|ab)\s[^\n;|&]{0,600}?(?<=\s)(?:-[a-zA-Z]{0,8}u|--user|--proxy-user|-U|-a|--auth)[= ]{0,5}["']?[^\s"':]{0,100}:/g,
  /\b(?:docker|podman|nerdctl|buildah|skopeo|helm|az|oc)\s[^\n;|&]{0,100}?\blogin\s[^\n;|&]{0,500}?(?<=\s)-p[ \t]{1,5}/g,
  /\s-pass(?:in|out)?[ \t]{1,5}["']?pass:/g,
  /\b(?:un)?zip\b[^\n;|&]{0,500}?\s-P[ \t]{0,5}/g,
  /\bldap[a-z]{1,10}\b[^\n;|&]{0,500}?\s-w[ \t]{1,5}/g,
  /\bmongo(?:sh|dump|restore|export|import)?\b[^\n;|&]{0,500}?\s-p[ \t]{1,5}/g,
  /\bsmbclient\b[^\n;|&]{0,500}?\s-U[ \t]{0,5}["']?[^\s%"']{0,100}%/g,
  /\bssh-keygen\b[^\n;|&]{0,500}?\s-N[ \t]{1,5}/g,
  /\bhtpasswd[ \t]{1,5}-\w{0,5}b\w{0,5}[ \t]{1,5}\S{1,200}[ \t]{1,5}\S{1,100}[ \t]{1,5}/g,
];

/**
 * Where secrets stand in `text`, by what they look like or stand behind; may overlap. Linear in its length. `isJudged`:
 * it may be a command that somebody allows by what he sees of it, so nothing that acts is ever taken for a secret.
 */
export function secretSpans(text: string, isJudged: boolean): readonly Span[] {
  const spans: Span[] = [];
  const facts = textFacts(text, isJudged);
  for (const whole of wholes)
    for (const { index, 0: found } of text.matchAll(whole)) spans.push([index, index + found.length]);
  let hiddenTo = 0;
  for (const match of text.matchAll(assignment)) {
    if (match.index < hiddenTo) continue;
    const found = assigned(facts, match);
    hiddenTo = found.at(-1)?.[1] ?? hiddenTo;
    spans.push(...found);
  }
  for (const { index, 0: found } of text.matchAll(isJudged ? judgedFlag : flag)) {
    const at = index + found.length;
    if (!isInWord(facts, index) && !isBehindDashes(text, index)) spans.push(...valueAt(facts, at, 1));
  }
  for (const program of programs)
    for (const { index, 0: found } of text.matchAll(program))
      spans.push(...valueAt(facts, index + found.length, 1));
  for (const { index, 0: found } of text.matchAll(cookieHeads))
    spans.push(...cookies(text, index + found.length));
  return spans;
}

/** True for the name of a field or variable that holds a secret. */
export function namesSecret(name: string): boolean {
  const [found] = `${name}=`.matchAll(assignment);
  return found !== undefined && !harmless.test(found[2] as string);
}

function assigned(facts: TextFacts, match: RegExpExecArray): readonly Span[] {
  const { text, isJudged } = facts;
  const [whole, name = "", rest = "", sign] = match;
  if (harmless.test(rest) || (sign === ":" && isPlace(text, match))) return [];
  if (isJudged && isBeforeProgram(facts, match)) return [];
  let at = match.index + whole.length;
  if (name.toLowerCase() === "authorization") at += scheme.exec(text.slice(at, at + 40))?.[0].length ?? 0;
  const found = valueAt(facts, at, whole.endsWith("=") ? 1 : 4);
  return found.filter((span) => !isNamed(text, name, span) && !isUsed(facts, match, span));
}

/** Source code says `token: token`. */
function isNamed(text: string, name: string, [start, end]: Span): boolean {
  return text.slice(start, end).toLowerCase() === name.toLowerCase();
}

/**
 * What stands behind a space is a word of its own, and may be a program: `NAME= program`, `A=x: program`,
 * `>x: program`. Not so in what is surely quoted, as a header or JSON is, unless an inner shell could read it like that.
 */
function isBeforeProgram({ text, quotedFrom }: TextFacts, { index, 0: whole }: RegExpExecArray): boolean {
  if (!/\s$/.test(whole)) return false;
  if (whole.trimEnd().endsWith("=")) return /\S=\s+$/.test(whole);
  const start = quotedFrom(index, index + whole.length);
  return start === undefined || /[<>=]/.test(text.slice(start, index));
}

/** `https://token:...` and `secret:folder` (scp) say where something goes: what is there is not for hiding. */
function isPlace(text: string, { index, 0: whole, 1: name = "" }: RegExpExecArray): boolean {
  if (/:\/\/[^\s/"']*$/.test(text.slice(Math.max(0, index - 200), index))) return true;
  return (
    whole.endsWith(":") &&
    /^(?:secret|pass|credentials?|_auth)$/i.test(name) &&
    /^[\w.~/-]/.test(text[index + whole.length] ?? "")
  );
}

/**
 * Of a variable that the same text expands, only what surely is no command is hidden: whoever judges a command must see
 * what `TOOL=rm; $TOOL x` runs, whatever the variable is called.
 */
function isUsed(
  { text, expands }: TextFacts,
  { index, 0: whole }: RegExpExecArray,
  [start, end]: Span,
): boolean {
  const before = /\w{0,60}$/.exec(text.slice(Math.max(0, index - 60), index))?.[0] ?? "";
  const name = /^\w+/.exec(before + whole)?.[0] ?? "";
  const value = text.slice(start, end);
  const isRandom = value.length >= 12 && /\d/.test(value) && /[A-Za-z]/.test(value);
  return !isRandom && expands(name);
}

/** `Cookie: a=1; b=2`: the value of each. */
function cookies(text: string, at: number): readonly Span[] {
  const line = /^[^\n"']*/.exec(text.slice(at, at + maxCookieChars))?.[0] ?? "";
  return [...line.matchAll(/(?<==)[^\s;=&|<>()$`\\]+/g)].map(
    ({ index, 0: value }) => [at + index, at + index + value.length] as const,
  );
}

/** `'x'--token`: a quote that closes goes on in the same word, which may be anything. */
function isInWord({ text, quoteAround }: TextFacts, at: number): boolean {
  return /["']/.test(text[at - 1] ?? "") && quoteAround(at - 1) === undefined;
}

/** Behind a bare "--" a program takes no options: what looks like one is a file's name, and so is what follows. */
function isBehindDashes(text: string, at: number): boolean {
  return /\s--\s[^\n;|&]*$/.test(text.slice(Math.max(0, at - 500), at));
}
