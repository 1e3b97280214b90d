/** Command lines from a seed: most follow the grammar of a shell, some are broken on purpose. */

/** A generator of numbers that gives the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const plain = [
  "a",
  "b1",
  "-x",
  "--y=z",
  "x.txt",
  "dir/a.txt",
  "=",
  "a=b",
  "%",
  "@",
  "+",
  "a:b",
  "é",
  "^",
  ",",
  "]",
  "}",
];
const quoted = [
  "'b c'",
  '"d e"',
  "''",
  '""',
  "'*'",
  '"?"',
  "'$x'",
  '"\\$y"',
  '"a\\\\b"',
  "'\"'",
  '"\'"',
  '"#"',
  "'a'\"b\"c",
];
const escapes = ["\\*", "\\ ", "\\'", '\\"', "\\\\", "\\#", "a\\;b", "\\&", "\\$z", "\\~", "\\{a,b}"];
const patterns = [
  "*",
  "*.txt",
  "?.txt",
  "[ab].txt",
  "[!a].txt",
  "[a-c]*",
  "dir/*",
  "*/a.txt",
  ".*",
  "no*ne",
  "'a'*",
  "\\**",
  "[[:digit:]]*",
  "*'.'txt",
  "[]]*",
  "d?r/",
  "[a",
  "*[",
  '"d"*/[^b]*',
];
const unknown = [
  "$x",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not ours
  "${x:-1}",
  "$(alpha)",
  "`alpha`",
  "$((1+1))",
  "{a,b}",
  "~",
  "$'x'",
  "<(alpha)",
  "a=~",
  '"$x"',
  '"`alpha`"',
  "$$",
  "{1..3}",
];
const programs = [
  "alpha",
  "beta",
  "gamma 3",
  "delta",
  "alpha",
  "beta",
  "./alpha",
  "nosuch",
  '"alpha"',
  "al\\pha",
  "'be'ta",
];
const builtins = [
  "echo",
  "printf '%s|'",
  "true",
  "false",
  ":",
  "test",
  "pwd",
  "cd dir",
  "cd",
  "cd nowhere",
  "export V1=q",
  "exit 4",
  "exit",
  "echo -n",
  "echo -e",
  "command alpha",
  "[ a = a ]",
  "printf '%d\\n'",
  "echo --",
  "test -f x.txt",
  "cat",
];
const files = ["out", "dir/out", "x.txt", "/dev/null", "'o p'", "./out2", "nowhere/x", "dir"];
const pieces = [
  "'",
  '"',
  "\\",
  "$",
  "`",
  "(",
  ")",
  "{",
  "}",
  "<",
  ">",
  "|",
  "&",
  ";",
  "\n",
  "#",
  "!",
  "*",
  "~",
  " ",
  "\t",
  "=",
  "[",
  "]",
  "<<",
  "if ",
  "do ",
  "\\\n",
  "\r",
  "time ",
  "é",
];

export function makeLine(random: () => number): string {
  const line = list(random);
  return random() < 0.25 ? broken(line, random) : line;
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}

function list(random: () => number): string {
  let text = pipeline(random);
  while (random() < 0.4) {
    const operator = pick(
      [" && ", " || ", "; ", " ;", "&&", "\n", " &&\n", " & ", "\n\n"].slice(0, random() < 0.05 ? 9 : 7),
      random,
    );
    text += operator + pipeline(random);
  }
  return random() < 0.05 ? `${text} # a comment (` : text;
}

function pipeline(random: () => number): string {
  let text = (random() < 0.08 ? "! " : "") + simple(random);
  while (random() < 0.3) text += pick([" | ", "|", " |& ", " |\n"], random) + simple(random);
  return text;
}

function simple(random: () => number): string {
  const parts: string[] = [];
  while (random() < 0.12) parts.push(`V${random() < 0.5 ? 1 : 2}=${random() < 0.2 ? "" : word(random)}`);
  if (random() < 0.05) parts.push(redirection(random));
  if (random() > 0.03 || parts.length === 0) parts.push(pick(random() < 0.7 ? programs : builtins, random));
  while (random() < 0.55) parts.push(word(random));
  while (random() < 0.25) parts.push(redirection(random));
  if (random() < 0.1) parts.push(word(random));
  return parts.join(random() < 0.1 ? "  " : " ");
}

function word(random: () => number): string {
  let text = "";
  do {
    const which = random();
    text += pick(
      which < 0.4 ? plain : which < 0.65 ? quoted : which < 0.8 ? escapes : which < 0.98 ? patterns : unknown,
      random,
    );
  } while (random() < 0.15);
  return text;
}

function redirection(random: () => number): string {
  const which = random();
  if (which < 0.1)
    return `<<${pick(["", "-"], random)}'E'\n\tsome $text\n  * \\\n\tE\nE\n`.replace(/\n$/, "\n: ");
  if (which < 0.2) return `<<< ${word(random)}`;
  const operator = pick(
    ["> ", ">", ">>", "2>", "2>> ", "< ", "<", ">|", "&>", "&>>", ">&", "1>", "0<"],
    random,
  );
  if (which < 0.35) return pick(["2>&1", ">&2", "1>&2", "2>&2", "<&0"], random);
  // A shell opens a folder for reading, and its reader fails; here the opening does. (See broken too.)
  const readable = operator.includes("<") ? files.filter((file) => file !== "dir") : files;
  return operator + pick(readable, random);
}

function broken(line: string, random: () => number): string {
  let text = line;
  for (let times = 0; times < 3 && (times === 0 || random() < 0.4); times += 1) {
    const at = Math.floor(random() * (text.length + 1));
    const which = random();
    if (which < 0.5) text = text.slice(0, at) + pick(pieces, random) + text.slice(at);
    else if (which < 0.8) text = text.slice(0, at) + text.slice(at + 1 + Math.floor(random() * 3));
    else text = text.slice(0, at) + text.slice(Math.floor(random() * at), at) + text.slice(at);
  }
  return /<\s*["']?dir["']?\/*(?![\w./"'\\])/.test(text) ? line : text;
}
