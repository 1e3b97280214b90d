/**
 * The whole test suite: builds what the tests start, finds (or, as root on Debian, installs) a Chromium for the
 * page's tests, then runs node's test runner over everything. Arguments are passed on to it.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const run = (command: string, args: readonly string[]) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", env: process.env }).status ?? 1;

for (const script of ["build.ts", "build-page.ts"]) {
  if (run(process.execPath, [join("scripts", script), "--if-needed"]) !== 0) process.exit(1);
}

const browsers = [
  process.env.CHROMIUM_PATH ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
if (!browsers.some((path) => path !== "" && existsSync(path))) {
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    console.error("No Chromium found for the page's tests; installing it with apt-get ...");
    spawnSync("sh", ["-c", "apt-get update -qq && apt-get install -y -qq chromium >/dev/null"], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  } else
    console.error(
      "No Chromium found: the page's tests will be skipped. Install chromium, or set CHROMIUM_PATH.",
    );
}

process.env.OPENCLAW_TEST_PROGRAM = join(root, "dist", "main.js");
// Hundreds of files import the same sources: each is stripped of its types once.
process.env.NODE_COMPILE_CACHE ??= join(root, "node_modules", ".cache", "tests");
const given = process.argv.slice(2);
const files =
  given.length > 0
    ? given
    : ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.ts", "ui/test/**/*.test.ts"];
// A file that hangs is ended and named; the slowest takes a fifth of this.
const limits = ["--test-concurrency=3", "--test-timeout=300000"];
process.exit(run(process.execPath, ["--test", ...limits, "--test-reporter=spec", ...files]));
