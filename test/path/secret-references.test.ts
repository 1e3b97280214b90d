/** The gateway's secrets kept elsewhere: followed at the start and at a reload, and never guessed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";
import { programFile } from "../support/program.ts";

const password = "password-0123456789abcdef-0123";

function configOf(auth: object, providers: object) {
  return { gateway: { mode: "local", bind: "loopback", auth }, secrets: { providers } };
}

test("config (3): the gateway's token may lie in a file: followed at the start, anew on secrets.reload, and shown nowhere", async (t) => {
  const gateway = await GatewayProcess.prepare(t);
  const file = join(gateway.folder, "secrets.json");
  const keep = (token: unknown) =>
    writeFileSync(file, JSON.stringify({ gateway: { token } }), { mode: 0o600 });
  keep(gatewayToken);
  const token = { source: "file", provider: "own", id: "/gateway/token" };
  await gateway.writeConfig(configOf({ mode: "token", token }, { own: { source: "file", path: file } }));
  await gateway.start();
  const old = await gateway.connect();
  const shown = JSON.stringify(await old.rpc("config.get", {}));
  assert.ok(!shown.includes(gatewayToken), shown);
  assert.match(shown, /\/gateway\/token/);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [programFile, "gateway", "call", "health", "--json"],
    {
      env: {
        PATH: process.env.PATH,
        HOME: join(gateway.folder, "home"),
        OPENCLAW_STATE_DIR: gateway.stateFolder,
        OPENCLAW_GATEWAY_PORT: String(gateway.port),
      },
    },
  );
  assert.match(stdout, /"ok": ?true/, "the command line follows it too");

  chmodSync(file, 0o644);
  const failed = await old.ask("secrets.reload", {});
  assert.equal(failed.error.code, "UNAVAILABLE");
  assert.match(failed.error.message, /gateway\.auth\.token: .*make it mode 600/);
  await gateway.connect();
  chmodSync(file, 0o600);
  keep(`${gatewayToken}-2`);
  old.sendRaw(JSON.stringify({ type: "req", id: "reload", method: "secrets.reload" }));
  assert.deepEqual(await old.closed, { code: 4001, reason: "gateway auth changed" });
  await assert.rejects(gateway.connect(), /token mismatch/);
  await gateway.connect({ token: `${gatewayToken}-2` });
  const log = await gateway.readLog();
  assert.ok(!log.includes(gatewayToken), "in no log line");
});

test("config (3): a program may hand the password out, and a variable the token; without a shell and without the gateway's own variables", async (t) => {
  const gateway = await GatewayProcess.prepare(t, { env: { OWN_SECRET: "not-for-the-program" } });
  const program = join(gateway.folder, "vault");
  writeFileSync(
    program,
    `#!${process.execPath}
const leaked = process.env.OWN_SECRET !== undefined || process.env.OPENCLAW_STATE_DIR !== undefined;
const values = { "gateway/password": leaked ? "leaked-leaked-leaked-leaked" : "${password}" };
process.stdout.write(JSON.stringify({ protocolVersion: 1, values }));`,
    { mode: 0o700 },
  );
  const given = { source: "exec", provider: "vault", id: "gateway/password" };
  await gateway.writeConfig(
    configOf({ mode: "password", password: given }, { vault: { source: "exec", command: program } }),
  );
  await gateway.start();
  await gateway.connect({ token: undefined, password } as never);

  const second = await GatewayProcess.start(t, {
    config: configOf({ mode: "token", token: { source: "env", id: "GATEWAY_SECRET" } }, {}),
    env: { GATEWAY_SECRET: gatewayToken },
  });
  await second.connect();
});

test("config (3): a reference that leads nowhere refuses the start by the setting's name, whatever else is set", async (t) => {
  for (const [auth, providers] of [
    [{ mode: "token", token: { source: "env", id: "NOT_SET" } }, {}],
    [{ mode: "token", token: "$NOT_SET" }, {}],
    [{ mode: "token", token: { source: "file", id: "/x" } }, {}],
    [{ token: { source: "exec", provider: "v", id: "x" } }, { v: { source: "exec", command: "/bin/false" } }],
  ] as const) {
    const gateway = await GatewayProcess.prepare(t, {
      config: configOf(auth, providers),
      // Must not take its place.
      env: { OPENCLAW_GATEWAY_TOKEN: gatewayToken },
    });
    const { code, stderr } = await gateway.startFails();
    assert.equal(code, 1);
    assert.match(stderr, /gateway\.auth\.token: this secret reference cannot be followed/);
  }
});
