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
