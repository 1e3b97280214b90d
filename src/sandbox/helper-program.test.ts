import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { InputError, systemClock } from "../kernel/mod.ts";
import { createHelperPrograms } from "./helper-program.ts";

/** Helpers in a folder of their own, and time that passes at once. */
async function helpers(t: TestContext, scripts: Readonly<Record<string, string>>, after = systemClock.after) {
  const folder = await mkdtemp(join(tmpdir(), "helper-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(scripts))
    await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return createHelperPrograms({ path: `${folder}::relative:/bin:/usr/bin`, after });
}

test("sandbox (4): a helper gets its arguments as they are, and nothing of the gateway's environment", async (t) => {
  const programs = await helpers(t, {
    tell: 'env | cut -d= -f1 | sort | tr "\\n" " "; printf "[%s]" "$@"; pwd',
  });
  const { code, stdout, stderr } = await programs.run("tell", ["a b", "$(id)", "; id", ""], 10_000);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^(?:(?:LANG|PATH|PWD|OLDPWD|SHLVL|_) )*\[a b\]\[\$\(id\)\]\[; id\]\[\]\/\n$/);
});

test("sandbox (4): what is not there, fails or does not end is an answer too", async (t) => {
  const programs = await helpers(t, { fail: "echo no >&2; exit 3", broken: "" });
  await assert.rejects(programs.run("nothing-of-this-name", [], 1000), InputError);
  assert.deepEqual(await programs.run("fail", [], 10_000), { code: 3, stdout: "", stderr: "no\n" });
});

test("sandbox (6): who does not end when asked is ended, and who prints without end is cut", async (t) => {
  const at: number[] = [];
  const programs = await helpers(
    t,
    { stubborn: 'trap "" TERM; echo ready; while :; do :; done', endless: "yes | head -c 3000000" },
    (delayMs, action) => {
      at.push(delayMs);
      const timer = setImmediate(action);
      return () => clearImmediate(timer);
    },
  );
  const { code } = await programs.run("stubborn", [], 50);
  assert.equal(code, null);
  assert.deepEqual(at, [50, 3000]);
  const long = await (await programs.start("endless", [])).ended;
  assert.equal(long.stdout.length, 1_000_000);
});

test("sandbox (4): a helper that is talked with answers, and its end is told with what it said about it", async (t) => {
  const programs = await helpers(t, {
    echo: 'while read -r line; do echo "<$line>"; done; echo "no input left" >&2; exit 4',
  });
  await assert.rejects(
    programs.talk("nothing-of-this-name", [], () => {}),
    InputError,
  );
  const heard: string[] = [];
  const answered = Promise.withResolvers<void>();
  const helper = await programs.talk("echo", [], (text) => {
    heard.push(text);
    if (heard.join("").includes("\n")) answered.resolve();
  });
  assert.equal(helper.write("a b $(id)\n"), true);
  await answered.promise;
  assert.equal(heard.join(""), "<a b $(id)>\n");
  helper.stop();
  const { code, stderr } = await helper.ended;
  assert.ok(code === null || (code === 4 && stderr === "no input left\n"), `${code} ${stderr}`);
  assert.equal(helper.write("more\n"), false);
});
