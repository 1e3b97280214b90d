/** Makes an image for sandboxes: `node scripts/sandbox-image.ts python`; the same as `openclaw sandbox image python`. */
import { makeImage } from "../src/compose/sandbox-image.ts";
import { systemClock } from "../src/kernel/mod.ts";

const made = await makeImage({
  name: process.argv[2] ?? "minimal",
  engine: undefined,
  mirror: undefined,
  suite: undefined,
  env: process.env,
  clock: systemClock,
  say: (text) => void process.stderr.write(text),
});
if (typeof made === "string") {
  process.stderr.write(`${made}\n`);
  process.exitCode = 1;
} else process.stdout.write(`${made.image} is ready in ${made.engine}.\n`);
