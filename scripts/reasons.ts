/** Prints docs/reasons.md from the table of reasons; with --check it fails when the page is not up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reasons } from "../src/kernel/mod.ts";

const file = join(import.meta.dirname, "../docs/reasons.md");
const rows = Object.entries(reasons).map(
  ([reason, [meaning, next]]) => `| \`${reason}\` | ${meaning} | ${next} |`,
);
const text = `# Reasons

Every refusal has a stable name, \`stage.reason\`. Scripts, the record (\`openclaw audit list\`) and error details use it.
This page is printed from \`src/kernel/reasons.ts\` by \`node scripts/reasons.ts\`.

| reason | what it means | what to do next |
|---|---|---|
${rows.join("\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/reasons.md is not up to date; run: node scripts/reasons.ts");
  process.exit(1);
}
