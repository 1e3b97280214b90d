import { InputError } from "../kernel/mod.ts";

/** A variable by which a program runs, loads or trusts something that nobody was asked about. Compared in upper case. */
const refusedNames: ReadonlySet<string> = new Set(
  (
    "PATH HOME SHELL USER LOGNAME PWD OLDPWD TMPDIR " +
    // Shells
    "BASH_ENV ENV IFS PS4 SHELLOPTS BASHOPTS PROMPT_COMMAND CDPATH GLOBIGNORE ZDOTDIR FPATH HISTFILE INPUTRC FCEDIT " +
    // Programs that other programs start
    "EDITOR VISUAL PAGER MANPAGER BROWSER LESSOPEN LESSCLOSE LESS SSH_ASKPASS SUDO_ASKPASS COMSPEC SYSTEMROOT " +
    // Interpreters and build tools
    "NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE NODE_REDIRECT_WARNINGS NODE_V8_COVERAGE NODE_EXTRA_CA_CERTS " +
    "NODE_TLS_REJECT_UNAUTHORIZED LUA_INIT LUA_PATH LUA_CPATH CLASSPATH MAVEN_OPTS MAVEN_ARGS GRADLE_OPTS SBT_OPTS " +
    "ANT_OPTS DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS PSMODULEPATH PHPRC PHP_INI_SCAN_DIR R_PROFILE R_ENVIRON " +
    "RUSTC RUSTC_WRAPPER RUSTFLAGS RUSTDOC CARGO_HOME GOFLAGS GOPROXY GOTOOLCHAIN CC CXX LD AR MAKEFLAGS MAKEFILES " +
    "GNUMAKEFLAGS MFLAGS VIMINIT EXINIT GVIMINIT MYVIMRC EMACSLOADPATH HGRCPATH HGEDITOR TCLLIBPATH " +
    "UV_INDEX_URL YARN_RC_FILENAME " +
    // What the loader and the C library read
    "GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH MALLOC_CHECK_ HOSTALIASES RESOLV_HOST_CONF RES_OPTIONS TERMINFO " +
    "TERMINFO_DIRS TERMCAP OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES " +
    // Where traffic goes, and whom it trusts
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY FTP_PROXY NO_PROXY SSLKEYLOGFILE SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE " +
    "CURL_HOME WGETRC REQUESTS_CA_BUNDLE KUBECONFIG NETRC SSH_AUTH_SOCK GNUPGHOME BOTO_CONFIG"
  ).split(" "),
);

const refusedBeginnings = (
  "LD_ DYLD_ BASH_FUNC_ PYTHON PERL5 PERLLIB RUBY GEM_ BUNDLE_ GIT_ SVN_ NPM_CONFIG_ PIP_ JAVA_ _JAVA JDK_ CARGO_BUILD_ " +
  "CARGO_TARGET_ CARGO_ALIAS_ AWS_ AZURE_ GOOGLE_ DOCKER_ COMPOSE_ SYSTEMD_ XDG_ OPENCLAW_"
).split(" ");

/** Prefixes above that must not catch these: they only change what is printed. */
const harmlessNames: ReadonlySet<string> = new Set(["PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8"]);

const secretName = /(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|_KEY)$/;

const maxVariables = 64;
const maxValueChars = 32_768;
/** Of all together: the system takes about two million bytes, and the arguments need some of them. */
const maxTotalChars = 131_072;

/**
 * The first thing wrong with the variables that a call asks for, as a sentence that names the variable, or undefined.
 * Names are compared without case: some systems and programs do not distinguish them.
 */
export function environmentProblem(env: Readonly<Record<string, string>>): string | undefined {
  const names = Object.keys(env);
  if (names.length > maxVariables)
    return `env has ${names.length} variables; at most ${maxVariables} are taken.`;
  const total = names.reduce((sum, name) => sum + name.length + (env[name]?.length ?? 0), 0);
  if (total > maxTotalChars)
    return `env holds ${total} characters; at most ${maxTotalChars} are taken. Write what is longer to a file.`;
  for (const name of names) {
    const shown = JSON.stringify(name.slice(0, 80));
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      return `env.${shown} is not a variable name. Use letters, digits and underscores.`;
    const upper = name.toUpperCase();
    const isRefused =
      refusedNames.has(upper) ||
      refusedBeginnings.some((beginning) => upper.startsWith(beginning)) ||
      secretName.test(upper);
    if (isRefused && !harmlessNames.has(upper))
      return `env.${name} may not be set: it changes what programs run, load or trust, or names a secret. Leave it out.`;
    const value = env[name] ?? "";
    if (value.length > maxValueChars || value.includes("\0") || !value.isWellFormed())
      return `The value of env.${name} is too long or holds characters that cannot be passed on.`;
  }
  return undefined;
}

/** What every command gets from the gateway, beside what the call asks for. */
export interface BaseEnvironment {
  /** Folders separated by ":"; parts that are not absolute are left out. */
  readonly PATH: string;
  readonly LANG?: string;
  readonly TZ?: string;
}

/**
 * A command's whole environment. It is built, not inherited: the gateway's own variables hold tokens.
 * Throws an InputError that names the variable that may not be set.
 */
export function buildEnvironment(
  base: BaseEnvironment,
  asked: Readonly<Record<string, string>>,
  place: { readonly home: string; readonly run: string; readonly terminal?: string },
): Record<string, string> {
  const problem = environmentProblem(asked);
  if (problem !== undefined) throw new InputError(problem);
  return {
    LANG: base.LANG ?? "C.UTF-8",
    ...(base.TZ === undefined ? {} : { TZ: base.TZ }),
    TERM: place.terminal ?? "dumb",
    ...gitSettings,
    ...asked,
    PATH: searchPath(base.PATH).join(":"),
    HOME: place.home,
    OPENCLAW_SHELL: "exec",
    [runVariable]: place.run,
  };
}

/**
 * A folder that only looks like a repository, with a config of its own, is none to git unless it is named as one
 * (attack A-116).
 */
const gitSettings = {
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "safe.bareRepository",
  GIT_CONFIG_VALUE_0: "explicit",
} as const;

/** Carries the run's mark through every fork, so that its processes are found again however they detached. */
export const runVariable = "OPENCLAW_RUN";

/** The absolute folders of a PATH. An empty or relative part would mean the working folder, where the agent writes. */
export function searchPath(path: string): readonly string[] {
  return path.split(":").filter((folder) => folder.startsWith("/"));
}
