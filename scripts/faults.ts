/**
 * npm run faults [-- --channel telegram --messages 1000 --seed 1]: storms over the whole gateway, channel by channel,
 * with kills, cut connections, repeats and lost answers; prints what became of each message.
 */
import { parseArgs } from "node:util";
import { type CarrierId, carriers } from "../test/faults/carriers/mod.ts";
import { storm } from "../test/faults/storm.ts";
import { verdictOn } from "../test/faults/verdict.ts";

const { values } = parseArgs({
  options: {
    channel: { type: "string" },
    messages: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
const known = Object.keys(carriers) as CarrierId[];
if (values.help) {
  console.log(`npm run faults -- [--channel ${known.join("|")}] [--messages 1000] [--seed 1]`);
  process.exit(0);
}
const chosen = known.filter((id) => values.channel === undefined || values.channel === id);
if (chosen.length === 0) {
  console.error(`--channel must be one of: ${known.join(", ")}`);
  process.exit(2);
}

const table: Record<string, number | string>[] = [];
for (const id of chosen) {
  const { row, wrong } = await weathered(id);
  table.push(row);
  for (const line of wrong) console.log(`${id}: ${line}`);
  if (wrong.length > 0) process.exitCode = 1;
}
console.table(table);

async function weathered(id: CarrierId) {
  const ends: (() => Promise<void>)[] = [];
  const ending = { after: (end: () => Promise<void>) => void ends.push(end) };
  const started = performance.now();
  try {
    const carrier = await carriers[id](ending);
    const after = await storm(carrier, {
      messages: Number(values.messages),
      seed: Number(values.seed),
      ending,
      progress: (written) => process.stderr.write(`\r${id}: ${written} written `),
    });
    process.stderr.write("\n");
    const { wrong, ...counts } = await verdictOn(after);
    const seconds = Math.round((performance.now() - started) / 1000);
    const row = {
      channel: id,
      messages: after.written.length,
      ...after.broken,
      ...counts,
      wrong: wrong.length,
      seconds,
    };
    return { row, wrong };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
