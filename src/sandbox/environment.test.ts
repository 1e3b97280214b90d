import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../kernel/mod.ts";
import { buildEnvironment, environmentProblem } from "./environment.ts";

const refused = (
  "PATH LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES BASH_ENV ENV PS4 SHELLOPTS BASHOPTS PROMPT_COMMAND IFS " +
  "CDPATH HOME ZDOTDIR NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE NODE_V8_COVERAGE NODE_REDIRECT_WARNINGS " +
  "PYTHONPATH PYTHONSTARTUP PYTHONHOME PYTHONBREAKPOINT PERL5OPT PERL5LIB RUBYOPT RUBYLIB LUA_INIT JAVA_TOOL_OPTIONS " +
  "_JAVA_OPTIONS JDK_JAVA_OPTIONS MAVEN_OPTS GRADLE_OPTS SBT_OPTS DOTNET_STARTUP_HOOKS DOTNET_ADDITIONAL_DEPS " +
  "GLIBC_TUNABLES MALLOC_CHECK_ GCONV_PATH GIT_DIR GIT_WORK_TREE GIT_EXEC_PATH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF " +
  "GIT_TEMPLATE_DIR GIT_CONFIG_COUNT GIT_CONFIG_GLOBAL GIT_PAGER EDITOR PAGER VISUAL MANPAGER LESSOPEN BROWSER HGRCPATH " +
  "CARGO_BUILD_RUSTC_WRAPPER RUSTC_WRAPPER CC CXX MAKEFLAGS VIMINIT EXINIT TERMINFO npm_config_registry " +
  "npm_config_script_shell PIP_INDEX_URL UV_INDEX_URL AWS_CONFIG_FILE KUBECONFIG DOCKER_HOST SSLKEYLOGFILE SSL_CERT_FILE " +
  "NODE_TLS_REJECT_UNAUTHORIZED HTTPS_PROXY ALL_PROXY HOSTALIASES OPENSSL_CONF COMSPEC SystemRoot Path ld_preload " +
  "OPENCLAW_RUN OPENCLAW_GATEWAY_TOKEN OPENAI_API_KEY GITHUB_TOKEN DB_PASSWORD SESSION_SECRET"
).split(" ");
for (const name of refused) {
  test(`sandbox (4): env.${name} is refused by name`, () => {
    assert.match(environmentProblem({ OK: "1", [name]: "x" }) ?? "", new RegExp(name));
  });
}

for (const name of [
  "LD_PRELOAD ",
  "\tLD_PRELOAD",
  "ProgramFiles(x86)",
  "A=B\0LD_PRELOAD",
  "X\nY",
  "LD_PRELOAD=x",
  "BASH_FUNC_ls%%",
  "",
  "1A",
  "ＰＡＴＨ",
]) {
  test(`sandbox (4): ${JSON.stringify(name)} is not a variable name`, () => {
    assert.match(environmentProblem({ [name]: "x" }) ?? "", /not a variable name/);
  });
}

test("sandbox (4): harmless variables pass, and values are bounded", () => {
  assert.equal(
    environmentProblem({
      NO_COLOR: "1",
      FOO: "bar",
      LC_ALL: "C",
      TERM: "xterm",
      PYTHONUNBUFFERED: "1",
      CI: "1",
    }),
    undefined,
  );
  assert.match(environmentProblem({ FOO: "a\0b" }) ?? "", /FOO/);
  assert.match(environmentProblem({ FOO: "a".repeat(40_000) }) ?? "", /FOO/);
  assert.match(
    environmentProblem(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`A${i}`, ""]))) ?? "",
    /65/,
  );
});

test("sandbox (4): more variables than a program can be given are refused before it starts", () => {
  const large = Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`V${n}`, "x".repeat(32_000)]));
  assert.match(environmentProblem(large) ?? "", /holds \d+ characters; at most 131072/);
  assert.equal(environmentProblem({ V: "x".repeat(32_000) }), undefined);
});

test("sandbox (4): the environment is built from nothing else than what is given", () => {
  const place = { home: "/ws", run: "mark.1" };
  assert.deepEqual(
    buildEnvironment({ PATH: "/bin::relative:/usr/bin:." }, { FOO: "1", TERM: "ansi" }, place),
    {
      LANG: "C.UTF-8",
      TERM: "ansi",
      FOO: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.bareRepository",
      GIT_CONFIG_VALUE_0: "explicit",
      PATH: "/bin:/usr/bin",
      HOME: "/ws",
      OPENCLAW_SHELL: "exec",
      OPENCLAW_RUN: "mark.1",
    },
  );
  assert.throws(() => buildEnvironment({ PATH: "/bin" }, { PATH: "/tmp" }, place), InputError);
});
