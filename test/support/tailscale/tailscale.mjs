#!/usr/bin/env node
/**
 * Behaves as the documented `tailscale` command, as far as the gateway uses it. What it knows stands in state.json beside
 * it; each call is noted in calls.log.
 */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const file = join(import.meta.dirname, "state.json");
const read = () => JSON.parse(readFileSync(file, "utf8"));
/** In one step: another call may be reading. */
function write(change) {
  const text = JSON.stringify({ ...read(), ...change });
  writeFileSync(`${file}.${process.pid}`, text);
  renameSync(`${file}.${process.pid}`, file);
}
const args = process.argv.slice(2);
appendFileSync(join(import.meta.dirname, "calls.log"), `${JSON.stringify(args)}\n`);
// Whatever a gateway holds of secrets has no business here.
appendFileSync(join(import.meta.dirname, "environment.log"), `${Object.keys(process.env).join(" ")}\n`);

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

const [command, ...rest] = args;
if (command === "status") {
  process.stdout.write(JSON.stringify({ Version: "1.80.0", BackendState: read().backend ?? "Running" }));
} else if (command === "whois") {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (read().holdsWhois) Atomics.wait(cell, 0, 0, 10);
  const login = read().logins?.[rest.at(-1)];
  if (login === undefined) fail("peer not found");
  process.stdout.write(JSON.stringify({ Node: { ID: 1 }, UserProfile: { ID: 2, LoginName: login } }));
} else if ((command === "serve" || command === "funnel") && rest[0] === "status") {
  process.stdout.write(JSON.stringify({ Foreground: read().foreground ?? {}, ...read().background }));
} else if ((command === "serve" || command === "funnel") && rest[0] === "reset") {
  write({ foreground: {}, background: {} });
} else if (command === "serve" || command === "funnel") {
  const { refuses, host = "gw.tail1234.ts.net:443" } = read();
  if (refuses !== undefined) fail(refuses);
  if (rest[0] !== "--https=443" || !/^http:\/\/127\.0\.0\.1:\d+$/.test(rest[1] ?? ""))
    fail("invalid argument");
  const web = { [host]: { Handlers: { "/": { Proxy: rest[1] } } } };
  const isPublic = command === "funnel" || read().alwaysPublic === true;
  write({ foreground: { session: { Web: web, ...(isPublic ? { AllowFunnel: { [host]: true } } : {}) } } });
  const end = () => {
    write({ foreground: {} });
    process.exit(0);
  };
  process.on("SIGTERM", end).on("SIGINT", end);
  setInterval(() => {}, 1 << 30);
} else fail(`unknown command ${command}`);
