/** Prints docs/protocol.md from the table of methods; with --check it fails when the page is not up to date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultMaxBytes, events, type Method } from "../src/control/mod.ts";
import { describe } from "../src/kernel/schema.ts";
import { methodRows } from "../test/support/method-rows.ts";

const file = join(import.meta.dirname, "../docs/protocol.md");

function paramsOf({ params }: Method): string {
  const required = new Set(params.required ?? []);
  return Object.entries(params.properties ?? {})
    .map(
      ([name, schema]) =>
        `${name}${required.has(name) ? "" : "?"}: ${describe(schema).replaceAll("|", "\\|")}`,
    )
    .join(", ");
}

function limitsOf({ maxBytes = defaultMaxBytes, perMinute }: Method): string {
  const size = maxBytes >= 1_048_576 ? `${Math.floor(maxBytes / 1_048_576)} MiB` : `${maxBytes / 1024} KiB`;
  return perMinute === undefined ? size : `${size}, ${perMinute} in 60 s`;
}

const rows = methodRows()
  .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  .map((method) => {
    const scope = `${method.scope?.replace("operator.", "") ?? "none"}${method.scopeFor ? " (more for some parameters)" : ""}`;
    return `| \`${method.name}\` | ${method.role ?? "operator"} | ${scope} | ${paramsOf(method)} | ${limitsOf(method)} | ${method.repeats ?? ""} | ${method.admin ? "yes" : ""} |`;
  });

const text = `# Protocol

Clients speak protocol version 4 over a WebSocket on the gateway's port: JSON text frames, \`req\`, \`res\` and \`event\`. The
server opens with the event \`connect.challenge\`; the first request must be \`connect\`; the answer is \`hello-ok\`. Before
that a frame may have 64 KiB and a connection 15 seconds; after it 25 MiB.

A request is looked at in this order, and the first that does not fit is the answer: role, scope, whether the method
exists, how often it was asked, how long the request is, its parameters. So a caller without rights does not learn which
methods there are.

Scopes: \`operator.read\`, \`operator.write\` (covers read and talk), \`operator.admin\` (covers all), \`operator.approvals\`,
\`operator.pairing\`, \`operator.questions\`. A missing scope is answered with \`FORBIDDEN\`, a method of the other role with
\`unauthorized role\`, one request too many with \`UNAVAILABLE\` and \`retryAfterMs\`, a request that is too long with
\`INVALID_REQUEST\` and the reason \`request-too-long\`.

A repeated \`idempotencyKey\` runs nothing twice. "own": the method keeps a book of its own (that of messages survives a restart). "remembered": the
same caller gets the same answer for ten minutes; the same key with other parameters is refused
(\`idempotency-conflict\`).

Who may not read (a node, a client with other scopes only) gets a health that says \`ok\` and nothing else, no presence and
no session defaults.

This page is printed from the table that the gateway dispatches by: \`node scripts/protocol.ts\`.

## Methods

| method | role | scope | parameters | limits | repeated key | recorded |
|---|---|---|---|---|---|---|
${rows.join("\n")}

## Events

Each has a number that is one higher than the last one of its connection, except those that are for one socket alone
(\`connect.challenge\`, \`node.invoke.*\`). A client that reads so slowly that 50 MiB wait for it loses its connection.

${events.map((name) => `- \`${name}\``).join("\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.error("docs/protocol.md is not up to date; run: node scripts/protocol.ts");
  process.exit(1);
}
