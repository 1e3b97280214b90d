/**
 * Branch coverage of the folders that decide: kernel, network, auth, access, policy, audit. Prints each branch that no
 * test takes, with its line, and fails when there is one. The tests beside the source must cover them by themselves.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = ["kernel", "network", "auth", "access", "policy", "audit"];
const root = join(import.meta.dirname, "..");
const place = mkdtempSync(join(tmpdir(), "coverage-"));
const report = join(place, "lcov.info");

spawnSync(
  process.execPath,
  [
    "--test",
    "--experimental-test-coverage",
    ...folders.map((folder) => `--test-coverage-include=src/${folder}/**`),
    "--test-coverage-exclude=**/*.test.ts",
    "--test-reporter=lcov",
    `--test-reporter-destination=${report}`,
    ...folders.map((folder) => `src/${folder}/**/*.test.ts`),
  ],
  { cwd: root, stdio: "inherit" },
);

let file = "";
let branches = 0;
const missed: string[] = [];
for (const line of readFileSync(report, "utf8").split("\n")) {
  if (line.startsWith("SF:")) file = line.slice(3);
  if (!line.startsWith("BRDA:")) continue;
  branches += 1;
  const [at, , , taken] = line.slice(5).split(",");
  if (taken === "0") missed.push(`${file}:${at}`);
}
rmSync(place, { recursive: true });
for (const place_ of missed) console.log(place_);
console.log(`${branches - missed.length} of ${branches} branches are covered in ${folders.join(", ")}`);
process.exit(missed.length > 0 ? 1 : 0);
