/** Prints docs/protocol.md from the table of methods; with --check it fails when the page is not up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ControlParts, events, methodTable, type SessionNames } from "../src/control/mod.ts";
import { describe } from "../src/kernel/schema.ts";

const file = join(import.meta.dirname, "../docs/protocol.md");
// The rows close over their parts and touch none of them before they are called.
const { methods } = methodTable({} as ControlParts, {} as SessionNames);

const rows = [...methods.values()].map((method) => {
  const required = new Set(method.params.required ?? []);
  const params = Object.entries(method.params.properties ?? {})
    .map(
      ([name, schema]) =>
        `${name}${required.has(name) ? "" : "?"}: ${describe(schema).replaceAll("|", "\\|")}`,
    )
    .join(", ");
  const scope = `${method.scope?.replace("operator.", "") ?? "none"}${method.scopeFor ? " (more for some parameters)" : ""}`;
  return `| \`${method.name}\` | ${scope} | ${params} | ${method.admin ? "yes" : ""} |`;
});

const text = `# Protocol

Clients speak protocol version 4 over a WebSocket on the gateway's port: JSON text frames, \`req\`, \`res\` and \`event\`. The
server opens with the event \`connect.challenge\`; the first request must be \`connect\`; the answer is \`hello-ok\`. Before
that a frame may have 64 KiB and a connection 15 seconds; after it 25 MiB.

Scopes: \`operator.read\`, \`operator.write\` (covers read), \`operator.admin\` (covers all), \`operator.approvals\`,
\`operator.pairing\`. A missing scope is answered with \`FORBIDDEN\` before anything else is looked at.

This page is printed from the table that the gateway dispatches by: \`node scripts/protocol.ts\`.

## Methods

| method | scope | parameters | recorded |
|---|---|---|---|
${rows.join("\n")}

## Events

${events.map((name) => `- \`${name}\``).join("\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/protocol.md is not up to date; run: node scripts/protocol.ts");
  process.exit(1);
}
