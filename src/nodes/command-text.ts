/** argv as a shell would be told it: the one text that people are shown and that a plan is bound to. */
export function quoteArgv(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

/** What a person reads before he says yes: the script of a plain shell call as it is, anything else word by word. */
export function commandText(argv: readonly string[]): string {
  const [shell, flag, script] = argv;
  const isShellCall = argv.length === 3 && shell === "/bin/sh" && flag === "-lc" && script !== undefined;
  return isShellCall ? script : quoteArgv(argv);
}

const plainWord = /[\w@%+=:,./-]+|'[^']*'|"[^"$`\\!]*"/;
const plainLine = new RegExp(`^(?:(?:${plainWord.source})+(?:[ \\t]+|$))+$`);

/**
 * The words of a command line that holds nothing but words, as any shell would split it; undefined for everything
 * else, which takes a shell. Narrow on purpose: what is not surely plain is shown and approved as a script.
 */
export function plainArgv(line: string): readonly string[] | undefined {
  const text = line.trim();
  if (text.length > 8192 || !plainLine.test(text)) return undefined;
  const words = text.match(new RegExp(`(?:${plainWord.source})+`, "g")) ?? [];
  const argv = words.map((word) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_all, single?: string, double?: string) => single ?? double ?? ""),
  );
  // NAME=value before a command sets a variable; to a program it would be an argument.
  return argv[0] === undefined || argv[0] === "" || words[0]?.includes("=") ? undefined : argv;
}

/** How a node is asked to run a command line: word by word where it is plain, else by its shell. */
export function nodeArgv(line: string): readonly string[] {
  return plainArgv(line) ?? ["/bin/sh", "-lc", line];
}
