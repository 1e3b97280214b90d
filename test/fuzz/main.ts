/** npm run fuzz -- [--count 100000] [--seed 1]: our way of running commands against bash and dash, with figures. */
import { parseArgs } from "node:util";
import { compare } from "./compare.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "100000" }, seed: { type: "string", default: "1" } },
});
const started = performance.now();
let told = 0;
const figures = await compare(Number(values.seed), Number(values.count), {
  progress: ({ lines, ran, differences, unnamed }) => {
    for (const difference of differences.slice(told)) console.log(difference);
    told = differences.length;
    console.error(`${lines} lines, ${ran} ran, ${differences.length} differ, ${unnamed.length} unnamed`);
  },
});
const { differences, unnamed, ...counts } = figures;
for (const difference of differences.slice(told)) console.log(difference);
for (const call of unnamed) console.log(`not named: ${call}`);
console.log({ ...counts, differences: differences.length, unnamed: unnamed.length });
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s, seed ${values.seed}`);
process.exitCode = differences.length + unnamed.length === 0 ? 0 : 1;
