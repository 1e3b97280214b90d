import { openModel } from "../../src/providers/mod.ts";
import { wires } from "../support/model-servers/mod.ts";
import { modelContract } from "./model.ts";

for (const wire of wires) modelContract(wire, openModel);
