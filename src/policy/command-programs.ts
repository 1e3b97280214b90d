/**
 * What a program does with its arguments, as far as it matters here: which ones start another program, and which ones
 * run what they are told. Names are base names; a name is judged together with what it resolves to.
 */

const names = (list: string): ReadonlySet<string> => new Set(list.split(" "));

/** Interpreters whose first word is a file to run. With an option before it, or without it, they run something else. */
const scriptRunners =
  /^(?:(?:ba|da|z|fi|k|mk|c|tc|a|r|git-|lk)?sh|shell|python[\d.]*|pypy\d?|node|nodejs|deno|bun|tsx|ts-node|ruby[\d.]*|perl[\d.]*|php[\d.]*|lua(?:jit)?[\d.]*|Rscript|R|groovy|osascript|tclsh|wish|expect|guile|ghci|runghc|irb|julia|elixir|iex|erl|scala|kotlin|java|dotnet|pwsh|powershell(?:\.exe)?|cmd(?:\.exe)?)$/;

/** These run what their arguments or their input say, in ways that no table of options covers. */
const alwaysAsk = names(
  "awk gawk mawk nawk original-awk sed gsed xargs parallel npx bunx uvx uv pipx dlx " +
    "sudo doas su pkexec runuser run0 sudoedit setpriv capsh unshare nsenter chroot systemd-run at batch crontab " +
    "ssh scp sftp sshpass autossh mosh rsh telnet nc ncat netcat socat screen tmux script expect watch entr " +
    "busybox toybox coreutils eval source sqlite3 psql mysql mariadb mongo mongosh redis-cli gdb lldb strace ltrace " +
    "vi vim nvim view ex ed emacs nano less more most man ftp lftp dd tee jq yq m4 bc dc gnuplot ffmpeg convert magick " +
    "docker podman nerdctl kubectl crictl ctr openssl flock start-stop-daemon daemonize ld.so ld-linux-x86-64.so.2 " +
    "install-info update-alternatives dpkg rpm apt apt-get openclaw",
);

/** These run what stands in files of the folder (scripts, hooks, settings): never for good without a person's word. */
const projectRunners = names(
  "make gmake bmake cmake ninja meson scons bazel rake gradle gradlew mvn ant sbt cargo rustc go npm pnpm yarn corepack pip pip3 poetry " +
    "git hg svn tox nox pytest just task tar bsdtar rsync zip unzip find fd curl wget mise direnv",
);

/** With one of these, a program that is otherwise judged by rules runs what it is told; long names in any abbreviation. */
const dangerous: Readonly<Record<string, { readonly short: RegExp; readonly long: readonly string[] }>> = {
  git: {
    short: /^-(?:c|C|O|x|u|i|p)/,
    long: [
      "config-env",
      "exec-path",
      "upload-pack",
      "receive-pack",
      "exec",
      "open-files-in-pager",
      "ext-diff",
      "textconv",
      "git-dir",
      "work-tree",
      "template",
      "paginate",
      "extcmd",
      "tool",
      "edit",
      "interactive",
      "signoff-hook",
    ],
  },
  find: { short: /^-(?:exec|execdir|ok|okdir|delete|fprint\w*|fls|files0-from)$/, long: [] },
  fd: { short: /^-[xX]/, long: ["exec", "exec-batch"] },
  tar: {
    short: /^-?[A-Za-z]*[IF]/,
    long: [
      "to-command",
      "checkpoint-action",
      "use-compress-program",
      "info-script",
      "new-volume-script",
      "rsh-command",
      "rmt-command",
      "absolute-names",
    ],
  },
  rsync: { short: /^-[A-Za-z]*e/, long: ["rsh", "rsync-path", "daemon", "config"] },
  make: {
    short: /^-[A-Za-z]*[fECI]|^\w+\s*[:?+!]*=/,
    long: ["file", "makefile", "eval", "directory", "include-dir"],
  },
  npm: {
    short: /^-c|^(?:exec|x|create|init|innit|explore|dlx|run-func|config|set)$/,
    long: ["call", "script-shell", "prefix", "node-options", "userconfig", "globalconfig"],
  },
  pnpm: {
    short: /^-C|^(?:exec|dlx|create|node|env|config|set)$/,
    long: ["dir", "reporter", "shell-mode", "script-shell"],
  },
  yarn: { short: /^(?:exec|dlx|create|node|config|set)$/, long: ["cwd", "use-yarnrc"] },
  cargo: { short: /^-[CZ]/, long: ["config", "manifest-path"] },
  go: { short: /^-(?:toolexec|exec|overlay|C)|^(?:generate|tool)$/, long: ["toolexec", "exec"] },
  zip: { short: /^-(?:T\w*|\w*TT)/, long: ["unzip-command", "test"] },
  curl: { short: /^-[A-Za-z]*[K]/, long: ["config"] },
  wget: { short: /^-e/, long: ["execute", "use-askpass", "config"] },
  hg: { short: /^-/, long: ["config"] },
};

/** Wrappers: what comes before the program that they start. Anything but this, and the line asks. */
const wrappers: Readonly<
  Record<string, { readonly option: RegExp; readonly valued?: RegExp; readonly operands?: readonly RegExp[] }>
> = {
  nice: { option: /^-(?:\d+|n-?\d+|-adjustment=-?\d+)$/, valued: /^(?:-n|--adjustment)$/ },
  nohup: { option: /^(?!)/ },
  timeout: {
    option: /^(?:--preserve-status|--foreground|-v|--verbose|-k\S+|--kill-after=\S+|-s\S+|--signal=\S+)$/,
    valued: /^(?:-k|--kill-after|-s|--signal)$/,
    operands: [/^\d+(?:\.\d+)?[smhd]?$/],
  },
  stdbuf: {
    option: /^(?:-[ioe]\w+|--(?:input|output|error)=\w+)$/,
    valued: /^(?:-[ioe]|--(?:input|output|error))$/,
  },
  setsid: { option: /^(?:-[cfw]+|--(?:ctty|fork|wait))$/ },
  time: { option: /^(?:-[pvq]+|--(?:portability|verbose|quiet))$/ },
  ionice: { option: /^(?:-[cn]\d|-t)$/, valued: /^-[cn]$/ },
  env: { option: /^(?:-i|--ignore-environment|-|-u\w+|--unset=\w+)$/, valued: /^(?:-u|--unset)$/ },
};

type Wrapper = (typeof wrappers)[string];

const maxNesting = 8;

export interface Unwrapped {
  /** What the innermost wrapper starts. Empty when a wrapper would start nothing. */
  readonly argv: readonly string[];
  readonly wrappers: readonly string[];
  /** What `env` would set. */
  readonly env: Readonly<Record<string, string>>;
  /** `env` takes variables away. */
  readonly clearsEnv: boolean;
  /** Why what is started cannot be told, as a sentence. */
  readonly why?: string;
}

/** The program that a command comes to, behind nice, timeout, env and the like. */
export function unwrap(argv: readonly string[]): Unwrapped {
  const seen: string[] = [];
  const env: Record<string, string> = {};
  let clearsEnv = false;
  let current = argv;
  for (;;) {
    const [program = "", ...rest] = current;
    const name = baseName(program);
    const wrapper = Object.hasOwn(wrappers, name) ? wrappers[name] : undefined;
    if (!wrapper) return { argv: current, wrappers: seen, env, clearsEnv };
    const fail = (why: string): Unwrapped => ({ argv: current, wrappers: seen, env, clearsEnv, why });
    seen.push(name);
    if (seen.length > maxNesting) return fail(`It starts a program through more than ${maxNesting} others.`);
    const taken = takeOptions(rest, wrapper);
    if (rest[0] === "--") rest.shift();
    else if (rest[0]?.startsWith("-"))
      return fail(`${name} is called with an option that is not known here (${rest[0]}).`);
    if (!(wrapper.operands ?? []).every((operand) => operand.test(rest.shift() ?? "")))
      return fail(`${name} is called in a way that is not known here.`);
    if (name === "env") {
      clearsEnv ||= taken > 0;
      takeVariables(rest, env);
    }
    if (rest.length === 0) return fail(`${name} would start nothing, or print the environment.`);
    current = rest;
  }
}

/** Takes the wrapper's own options off the front; gives how many that were. */
function takeOptions(words: string[], wrapper: Wrapper): number {
  const before = words.length;
  for (let word = words[0]; word !== undefined; word = words[0]) {
    if (wrapper.valued?.test(word)) words.splice(0, 2);
    else if (wrapper.option.test(word)) words.shift();
    else break;
  }
  return before - words.length;
}

function takeVariables(words: string[], env: Record<string, string>): void {
  for (let found = variableOf(words[0]); found; found = variableOf(words[0])) {
    env[found.name] = found.value;
    words.shift();
  }
}

function variableOf(word: string | undefined): { readonly name: string; readonly value: string } | undefined {
  const equals = word?.indexOf("=") ?? -1;
  return word === undefined || equals < 1
    ? undefined
    : { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

/** Why this call runs what it is told, and so always asks, as a sentence; undefined when rules may cover it. */
export function runsWhatItIsTold(argv: readonly string[]): string | undefined {
  const [program = "", ...args] = argv;
  const name = baseName(program);
  if (alwaysAsk.has(name)) return `${name} runs or opens what it is told, in more ways than can be checked.`;
  if (scriptRunners.test(name)) {
    const [first] = args;
    if (first === undefined) return `${name} would run what it reads.`;
    return /^[-+–—]/.test(first) || first === "eval" || first === "/c" || first === "/C"
      ? `${name} is an interpreter, and ${JSON.stringify(first)} comes before the file that it runs.`
      : undefined;
  }
  const table = Object.hasOwn(dangerous, name) ? dangerous[name] : undefined;
  const found =
    table && args.find((arg) => table.short.test(arg) || table.long.some((long) => abbreviates(arg, long)));
  return found === undefined ? undefined : `${name} with ${JSON.stringify(found)} runs what it is told.`;
}

/** True for "--exec", "--exe", "--exec=x" where the option is called "exec". */
function abbreviates(arg: string, long: string): boolean {
  const given = /^--([^=]*)/.exec(arg)?.[1];
  return given !== undefined && given !== "" && long.startsWith(given);
}

/** True for a program that no standing rule may name: it runs what its arguments, its input or its folder tell it. */
export function isInterpreter(program: string): boolean {
  const name = baseName(program);
  return (
    scriptRunners.test(name) ||
    alwaysAsk.has(name) ||
    projectRunners.has(name) ||
    Object.hasOwn(wrappers, name)
  );
}

/** True for a program that runs the file which it is given: what that does stands in the file, not in the command. */
export function runsFiles(program: string): boolean {
  return scriptRunners.test(baseName(program));
}

export function baseName(program: string): string {
  return program.slice(program.lastIndexOf("/") + 1);
}
