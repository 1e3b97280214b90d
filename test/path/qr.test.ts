/** The code that lets one device in, as a person sees it in a terminal. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { qrText } from "../../src/cli/qr-symbol.ts";
import { runCommand } from "../support/command-line.ts";
import { GatewayProcess, gatewayToken } from "../support/gateway.ts";

test("qr shows a code with the address and a one-time key, never the gateway's own secret; as a picture, words or JSON", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const run = (...args: string[]) =>
    runCommand(["qr", "--public-url", "wss://gateway.example", ...args], {
      stateFolder: gateway.stateFolder,
      port: gateway.port,
    });
  const shown = await run("--limited");
  assert.equal(shown.code, 0, shown.err);
  const code = /setup code +(\S+)/.exec(shown.out)?.[1] ?? "";
  assert.ok(shown.out.startsWith(qrText(code, false)), "the picture is the code's");
  assert.match(shown.out, /access +limited/);
  const content = JSON.parse(Buffer.from(code, "base64url").toString("utf8"));
  assert.equal(content.url, "wss://gateway.example");
  assert.ok(content.bootstrapToken.length > 20);
  assert.ok(!JSON.stringify(content).includes(gatewayToken));

  const only = await run("--setup-code-only");
  assert.match(only.out, /^[\w-]+\n$/);
  assert.doesNotMatch((await run("--no-ascii")).out, /█/);
  const json = JSON.parse((await run("--json", "--node")).out);
  assert.deepEqual([json.access, typeof json.setupCode], ["node", "string"]);

  const nowhere = await runCommand(["qr"], { stateFolder: gateway.stateFolder, port: gateway.port });
  assert.equal(nowhere.code, 1, "a gateway that only this machine reaches has no address to give");
  assert.match(nowhere.err, /device\.pair\.setupCode: /);
});

/** Every command of the service, the channels, messages and this one. */
const commands = [
  "gateway install",
  "gateway uninstall",
  "gateway start",
  "gateway stop",
  "gateway restart",
  "gateway status",
  "node install",
  "node uninstall",
  "node restart",
  "channels",
  "channels add",
  "channels remove",
  "channels start",
  "channels status",
  "message",
  "message send",
  "message poll",
  "deliveries",
  "deliveries list",
  "deliveries resubmit",
  "deliveries dismiss",
  "qr",
  "why",
];
test("cli (2): each command explains itself with an example, and says how a script gets JSON", async () => {
  const results = await Promise.all(
    commands.map((command) => runCommand([...command.split(" "), "--help"], { stateFolder: "/nowhere" })),
  );
  for (const [at, { code, out, err }] of results.entries()) {
    const command = commands[at] ?? "";
    assert.equal(code, 0, err);
    assert.ok(out.startsWith(`Usage: openclaw ${command.split(" ")[0]}`), out);
    assert.match(out, /\nExamples?:\n {2}openclaw /);
    if (command.includes(" ")) assert.match(out, /--json/, command);
  }
});
