/** A model server of its own process: node test/support/model-servers/main.ts --wire openai-completions --port 0 */
import { parseArgs } from "node:util";
import { startModelServer } from "./mod.ts";
import { wires } from "./wires.ts";

const { values } = parseArgs({
  options: {
    wire: { type: "string", default: "openai-completions" },
    port: { type: "string", default: "0" },
  },
});
const wire = wires.find((name) => name === values.wire);
if (wire === undefined) throw new Error(`--wire must be one of ${wires.join(", ")}`);
const server = await startModelServer({ wire, port: Number(values.port) });
console.log(server.url);
