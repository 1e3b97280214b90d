/** What a command line is, read the way a POSIX shell would read it. */
export type ParsedCommand =
  /** One program with literal arguments: running `argv` directly does exactly what a shell would do. Never empty. */
  | { readonly simple: true; readonly argv: readonly [program: string, ...words: string[]] }
  /** Anything else, with the first thing that makes it so, as a clause: "an unquoted | (a pipeline)". */
  | { readonly simple: false; readonly why: string };

const maxCommandChars = 32_768;

/** Unquoted, each of these makes a shell do more than run one program with literal arguments. */
const metacharacters: Readonly<Record<string, string>> = {
  "|": "a pipeline",
  "&": "a background or chained command",
  ";": "a chained command",
  "<": "a redirection",
  ">": "a redirection",
  "(": "a subshell",
  ")": "a subshell",
  $: "an expansion",
  "`": "a command substitution",
  "*": "a file pattern",
  "?": "a file pattern",
  "[": "a file pattern",
  "]": "a file pattern",
  "{": "a group or brace expansion",
  "}": "a group or brace expansion",
  "!": "a negation or history expansion",
};

/** Words that are not programs: only a shell knows what they mean. */
const shellWords: ReadonlySet<string> = new Set(
  (
    "if then else elif fi case esac for select while until do done in function time coproc " +
    ". : alias bg bind break builtin cd command continue declare dirs disown enable eval exec exit export fc fg " +
    "getopts hash help history jobs let local logout mapfile newgrp popd pushd read readarray readonly return set " +
    "shift shopt source suspend times trap type typeset ulimit umask unalias unset wait"
  ).split(" "),
);

/**
 * Splits a command line, or says why only a shell could run it. Conservative: what is not surely a plain command is
 * not simple, so a "simple" answer can be matched against an allowlist and spawned without a shell. Pure.
 */
export function parseCommand(text: string): ParsedCommand {
  if (text.length > maxCommandChars) return complex(`longer than ${maxCommandChars} characters`);
  if (!text.isWellFormed()) return complex("broken text (a lone surrogate)");
  const hidden = hiddenCharacter(text);
  if (hidden !== undefined) return complex(hidden);

  const argv: string[] = [];
  let word: string | undefined;
  /** True where the next character would begin a tilde expansion: at a word's start, or after = or : in it. */
  let mayExpandTilde = true;
  let firstHasAssignment = false;

  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === " " || char === "\t") {
      if (word !== undefined) argv.push(word);
      word = undefined;
      mayExpandTilde = true;
      continue;
    }
    if (char === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) return complex("a single quote that is not closed");
      word = (word ?? "") + text.slice(at + 1, end);
      at = end;
      mayExpandTilde = false;
      continue;
    }
    if (char === '"') {
      const quoted = doubleQuoted(text, at + 1);
      if (typeof quoted === "string") return complex(quoted);
      word = (word ?? "") + quoted.text;
      at = quoted.end;
      mayExpandTilde = false;
      continue;
    }
    if (char === "\\") {
      if (at + 1 >= text.length) return complex("a backslash at the end");
      at += 1;
      // Half of a pair would be cut from its other half; the rest of the pair follows as an ordinary character.
      word = (word ?? "") + text.charAt(at);
      mayExpandTilde = false;
      continue;
    }
    const meaning = metacharacters[char];
    if (meaning !== undefined) return complex(`an unquoted ${char} (${meaning})`);
    if (char === "#" && word === undefined) return complex("an unquoted # (a comment)");
    if (char === "~" && mayExpandTilde) return complex("an unquoted ~ (a home folder)");
    if (char === "=" && argv.length === 0) firstHasAssignment = true;
    word = (word ?? "") + char;
    mayExpandTilde = char === "=" || char === ":";
  }
  if (word !== undefined) argv.push(word);

  const [program, ...words] = argv;
  if (program === undefined) return complex("an empty command");
  if (firstHasAssignment) return complex("an assignment before the command");
  if (!/^[\x21-\x7e]+$/.test(program))
    return complex("a program name that is empty, has blanks or is not ASCII");
  if (shellWords.has(program)) return complex(`"${program}" (a word of the shell, not a program)`);
  return { simple: true, argv: [program, ...words] };
}

/** Reads up to the closing quote. The shell keeps a backslash here unless it stands before $ ` " \. */
function doubleQuoted(text: string, start: number): { readonly text: string; readonly end: number } | string {
  let out = "";
  for (let at = start; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === '"') return { text: out, end: at };
    if (char === "$") return "an expansion inside double quotes ($)";
    if (char === "`") return "a command substitution inside double quotes (`)";
    const next = text.charAt(at + 1);
    if (char === "\\" && next !== "" && '$`"\\'.includes(next)) {
      out += next;
      at += 1;
    } else out += char;
  }
  return "a double quote that is not closed";
}

/**
 * Newlines and other controls make one line into two or hide one; invisible and direction-changing characters and
 * foreign blanks make an operator read something else than what runs.
 */
function hiddenCharacter(text: string): string | undefined {
  for (const char of text) {
    if (char === " " || char === "\t") continue;
    if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\u115f\u1160\u3164\uffa0\u2800]/u.test(char)) {
      if (char === "\n" || char === "\r") return "more than one line";
      const code = char.codePointAt(0) ?? 0;
      return `a hidden or control character (U+${code.toString(16).toUpperCase().padStart(4, "0")})`;
    }
  }
  return undefined;
}

function complex(why: string): ParsedCommand {
  return { simple: false, why };
}
