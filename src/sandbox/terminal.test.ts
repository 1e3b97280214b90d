import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { identifyFile } from "./file-identity.ts";
import { terminalArguments, terminalText } from "./terminal.ts";

const env = { PATH: "/usr/bin:/bin" };
const skip = spawnSync("python3", ["-V"], { env }).status === 0 ? false : "python3 is not installed";

function inTerminal(file: string, argv: readonly string[], judged: Parameters<typeof terminalArguments>[2]) {
  const { status, stdout } = spawnSync("python3", terminalArguments(file, argv, judged), { env, input: "" });
  return { status, text: stdout.toString() };
}

function script(t: TestContext) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "terminal-")));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "run.sh");
  writeFileSync(path, '#!/bin/sh\necho ran $0 "$@"\n', { mode: 0o755 });
  return path;
}

test("sandbox (7): a file that changes between the start of a terminal and of its program is not run", {
  skip,
}, (t) => {
  const path = script(t);
  const judged = identifyFile(path);
  assert.ok(judged);
  assert.deepEqual(inTerminal(path, ["run.sh", "a b", "$x"], [judged]), {
    status: 0,
    text: `ran ${path} a b $x\r\n`,
  });
  writeFileSync(path, "#!/bin/sh\necho evil\n");
  const { status, text } = inTerminal(path, ["run.sh"], [judged]);
  assert.equal(status, 126);
  assert.match(text, /is not what it was when this command was judged/);
});

test("a text for a sandbox's shell comes through its quotes as it is", { skip }, () => {
  const text = "printf '%s|' \"it's\" '$HOME' '`id`' \"a\\\\b\"; echo";
  const direct = execFileSync("/bin/sh", ["-c", text], { env, input: "" }).toString();
  const quoted = execFileSync("/bin/sh", ["-c", terminalText(text)], { env, input: "" }).toString();
  assert.equal(quoted.replaceAll("\r", ""), direct);
});
